"""The one error of the experiments."""


class RunError(ValueError):
    """An experiment cannot be read, run or found; the message is a sentence for the user."""

    sentence = True
