"""The room's one error: its message is a sentence for a person, and `pglab` prints it as such."""


class ModelError(ValueError):
    """What was met, what was wanted, where, and the next command. Whatever input is bad ends in this and no other."""

    sentence = True
