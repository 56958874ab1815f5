"""Builds `bpb-audit.pyz`: the auditor as one file that runs anywhere with Python and numpy.

    python -m bpb_audit.zipapp_build bpb-audit.pyz
    python bpb-audit.pyz records/track_10min_16mb/2026-11-21_Name --docs docs.jsonl --shards shards

The file is the same bytes for the same sources: entries are sorted and carry one fixed date.
"""

import argparse
import io
import sys
import zipfile
from pathlib import Path

from .aside import write_aside
from .command_line import GOOD, place, run_line
from .errors import AuditError

DATE = (1980, 1, 1, 0, 0, 0)
MAIN = b"import sys\nfrom bpb_audit.__main__ import main\nsys.exit(main(sys.argv[1:]))\n"


def archive(folder: Path) -> bytes:
    """The zipapp's bytes, from the sources in `folder`."""
    held = io.BytesIO()
    held.write(b"#!/usr/bin/env python3\n")
    with zipfile.ZipFile(held, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        entries = {"__main__.py": MAIN}
        entries |= {f"bpb_audit/{place.name}": place.read_bytes() for place in folder.glob("*.py")}
        for name in sorted(entries):
            file.writestr(zipfile.ZipInfo(name, DATE), entries[name], zipfile.ZIP_DEFLATED)
    return held.getvalue()


def build(place: Path) -> int:
    """Write the zipapp whole or not at all; returns its size in bytes. Raises AuditError when `place` is a folder."""
    if place.is_dir():
        raise AuditError(f"{place}: is a folder, wanted the name of a file to write. Try: {place / 'bpb-audit.pyz'}")
    place.parent.mkdir(parents=True, exist_ok=True)
    return write_aside(place, archive(Path(__file__).parent), 0o755)


def run(options: argparse.Namespace) -> int:
    """Write the file and say its size. Raises AuditError, OSError."""
    print(f"{options.out}: {build(options.out):,} bytes")
    return GOOD


def main(argv: list[str]) -> int:
    """Run one command line (without the program's name); returns 0, or 2 with one sentence on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m bpb_audit.zipapp_build",
        description="Write the auditor as one file that needs Python and numpy.",
    )
    parser.add_argument(
        "out",
        nargs="?",
        type=place,
        default=Path("bpb-audit.pyz"),
        metavar="FILE",
        help="file to write (default: %(default)s)",
    )
    return run_line(parser, run, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
