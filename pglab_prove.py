"""`pglab prove`: the auditor's proof under the one command; every option is the auditor's own (bpb_audit/prove_cli.py).

The auditor also runs alone, on the standard library and numpy, so its parser is there and this door hands words over.
"""

from typing import Annotated

from cyclopts import App, Parameter

Words = Annotated[str, Parameter(allow_leading_hyphen=True, show=False)]

prove = App(
    name="prove",
    help="The validation text really compressed with the model, and restored: bits per byte without trust.",
)


def _hand_over(verb: str, words: tuple[str, ...]) -> int:
    from bpb_audit.prove_cli import main

    return main([verb, *words])


def write(*words: Words) -> int:
    """Compress the documents with the model into a proof, and verify it."""
    return _hand_over("write", words)


def check(*words: Words) -> int:
    """Restore the documents from a proof and the artifact alone, and compare."""
    return _hand_over("check", words)


def info(*words: Words) -> int:
    """What a proof says of itself, nothing decoded."""
    return _hand_over("info", words)


for _verb in (write, check, info):
    prove.command(_verb, help_flags=[], version_flags=[])
