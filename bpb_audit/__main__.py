"""`python -m bpb_audit PATH...` and `python -m bpb_audit prove ...`: the auditor without the rest of the lab."""

import sys


def main(argv: list[str]) -> int:
    """Run one command line (without the program's name); returns the exit status."""
    if argv[:1] == ["prove"]:
        from bpb_audit.prove_cli import main as prove_main

        return prove_main(argv[1:])
    from bpb_audit.cli import main as audit_main

    return audit_main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
