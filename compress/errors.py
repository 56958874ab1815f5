"""The one error of this room.

Whatever bytes, names or numbers come in, a function of `compress` returns a right value or raises `CodecError`, whose
message is one sentence: what was met, what was wanted, where, and what to do next.
"""


class CodecError(ValueError):
    """Weights, a recipe or a file that cannot be coded or decoded as asked."""

    sentence = True  # pglab prints the message as it stands and exits with status 2
