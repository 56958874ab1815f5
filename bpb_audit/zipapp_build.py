"""Builds `bpb-audit.pyz`: the auditor as one file that runs anywhere with Python and numpy.

    python -m bpb_audit.zipapp_build bpb-audit.pyz
    python bpb-audit.pyz records/track_10min_16mb/2026-11-21_Name --docs docs.jsonl --shards shards

The file is the same bytes for the same sources: entries are sorted and carry one fixed date.
"""

import io
import os
import sys
import tempfile
import zipfile
from pathlib import Path

DATE = (1980, 1, 1, 0, 0, 0)
MAIN = b"import sys\nfrom bpb_audit.cli import main\nsys.exit(main(sys.argv[1:]))\n"


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
    """Write the zipapp whole or not at all; returns its size in bytes."""
    data = archive(Path(__file__).parent)
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o755)
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return len(data)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "bpb-audit.pyz")
    print(f"{target}: {build(target):,} bytes")
