"""`python -m bpb_audit PATH...`: the auditor without the rest of the lab."""

import sys

from bpb_audit.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
