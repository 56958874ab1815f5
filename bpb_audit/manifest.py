"""What a `manifest.json` beside the shards says of them: tokens and sha256 of each file, validation documents.

The public manifests list other things and a stranger's may hold anything; whatever is not understood is taken as not
said. Nothing here is trusted: the numbers are only compared with those counted from the files.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Listed:
    """One file: tokens, and sha256 in hexadecimal; None where the manifest does not say."""

    tokens: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was understood; empty for no manifest."""

    files: dict[str, Listed] = field(default_factory=dict)
    validation_documents: int | None = None


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def read_manifest(folder: Path) -> Manifest:
    """The manifest in `folder`. Never raises for what is in it: an odd manifest says nothing."""
    place = folder / "manifest.json"
    try:
        top = json.loads(place.read_bytes()) if place.stat().st_size < 1 << 26 else None
    except (OSError, ValueError, RecursionError):
        return Manifest()
    if not isinstance(top, dict):
        return Manifest()
    corpus, files = top.get("corpus"), top.get("files")
    listed = {}
    for name, entry in files.items() if isinstance(files, dict) else ():
        if isinstance(entry, dict):
            digest = entry.get("sha256")
            listed[name] = Listed(_count(entry.get("tokens")), digest if isinstance(digest, str) else None)
    return Manifest(listed, _count(corpus.get("validation_documents")) if isinstance(corpus, dict) else None)


def sha256_of(path: Path) -> str:
    """The sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
