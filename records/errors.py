"""The one error of this room: a sentence that says what was met, what was wanted, where, and what to do next."""


class RecordError(ValueError):
    """Raised for whatever a folder, a log or a submission.json may hold that this room cannot use.

    The message is complete in itself; `pglab` prints it after `error:` and leaves with exit status 2.
    """

    sentence = True
