"""The one error of this room.

Whatever documents, vocabularies or numbers come in, a function of `tokenizers_lab` returns a right value or raises
`VocabError`, whose message is one sentence: what was met, what was wanted, where, and what to do next.
"""


class VocabError(ValueError):
    """Documents, a vocabulary or shards that cannot be read, built or accounted for as asked."""

    sentence = True  # pglab prints the message as it stands and exits with status 2
