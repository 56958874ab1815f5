"""What a `manifest.json` beside the shards says of them: tokens and sha256 of each file, validation documents.

The public manifests list other things and a stranger's may hold anything; names that are not known are taken as not
said. A manifest that cannot be read, or says a known thing in an impossible way, is a fault that is named: damage must
not switch off the comparison. Nothing here is trusted: the numbers are only compared with those counted from the files.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LARGEST = 1 << 26  # bytes


@dataclass(frozen=True, slots=True)
class Listed:
    """One file: tokens, and sha256 in hexadecimal; None where the manifest does not say."""

    tokens: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was understood; empty for no manifest. `faults`: one sentence for each thing that could not be."""

    files: dict[str, Listed] = field(default_factory=dict)
    validation_documents: int | None = None
    faults: tuple[str, ...] = ()


MISSING: Any = object()  # a name the manifest does not have; null is a value, and a wrong one


def _count(value: Any, what: str, faults: list[str]) -> int | None:
    if value is MISSING or (type(value) is int and value >= 0):
        return None if value is MISSING else value
    faults.append(f"{what} is {value!r:.40}; wanted a whole number")
    return None


def _table(value: Any, what: str, faults: list[str]) -> dict[str, Any]:
    if value is not MISSING and not isinstance(value, dict):
        faults.append(f"{what} is {value!r:.40}; wanted an object")
    return value if isinstance(value, dict) else {}


def _digest(value: Any, what: str, faults: list[str]) -> str | None:
    good = isinstance(value, str) and re.fullmatch("[0-9a-fA-F]{64}", value) is not None
    if not good and value is not MISSING:
        faults.append(f"{what} is {value!r:.40}; wanted 64 hexadecimal digits")
    return value.lower() if good else None


def read_manifest(folder: Path) -> Manifest:
    """The manifest in `folder`. Never raises for what is in it: what is wrong with it stands in `faults`."""
    place = folder / "manifest.json"
    if not place.is_file():
        return Manifest()
    try:
        size = place.stat().st_size
        if size >= LARGEST:
            return Manifest(faults=(f"it has {size:,} bytes; wanted fewer than {LARGEST:,}",))
        top = json.loads(place.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        return Manifest(faults=(f"it is not JSON that can be read ({str(error)[:60]})",))
    if not isinstance(top, dict):
        return Manifest(faults=(f"it is {top!r:.40}; wanted an object",))
    faults: list[str] = []
    listed = {}
    for name, value in _table(top.get("files", MISSING), "files", faults).items():
        entry = _table(value, f"files[{name!r:.60}]", faults)
        listed[name] = Listed(
            _count(entry.get("tokens", MISSING), f"tokens of {name!r:.60}", faults),
            _digest(entry.get("sha256", MISSING), f"sha256 of {name!r:.60}", faults),
        )
    corpus = _table(top.get("corpus", MISSING), "corpus", faults)
    wanted = _count(corpus.get("validation_documents", MISSING), "corpus.validation_documents", faults)
    return Manifest(listed, wanted, tuple(faults))


def sha256_of(path: Path) -> str:
    """The sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
