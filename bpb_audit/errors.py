"""The auditor's one error.

Whatever bytes come in, a reader of this room returns a right value or raises `AuditError`; nothing else. Its message is
one sentence for the person who called: what was met, what was wanted, where, and the next command. `pglab.py` and
`bpb_audit.cli` print it after `error: ` and exit with status 2.
"""


class AuditError(ValueError):
    """Something given to the auditor is not what it says it is, or cannot be read."""

    sentence = True
