"""A recount in parts: each file of shards with the documents that begin in it, by whoever is told its paths.

The manifest says how many documents begin in each file, so where a part's lines begin follows from the documents alone:
they are read once for that. A part reads on into the next file to the end of its last document. What the parts find,
summed, is what one recount finds; where manifest and documents already disagree, one recount says it better.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .document import LONGEST_LINE
from .shard_format import SPLITS, shard_name
from .shard_plan import BUFFER, Unit, is_lines


@dataclass(frozen=True, slots=True)
class Part:
    """The documents of `unit` as the file `unit.index` of their split holds them, and the paths a worker needs."""

    folder: str
    docs: str
    unit: Unit


def parts_of(folder: Path, docs: Path, manifest: dict[str, Any]) -> list[Part] | None:
    """A part for each file; None where it cannot be cut so: packed documents, or counts that do not agree."""
    if not docs.is_file() or not is_lines(docs) or docs.suffix in (".gz", ".zst"):
        return None
    files = [
        (split, index, manifest["files"][name].get("documents"))
        for split in SPLITS
        for index in range(len(manifest["files"]))
        if (name := shard_name(split, index)) in manifest["files"]
    ]
    if any(type(count) is not int for _, _, count in files):
        return None
    if sum(count for split, _, count in files if split == SPLITS[0]) != manifest["corpus"]["validation_documents"]:
        return None
    units: list[Unit] = []
    at = line = 0
    with docs.open("rb", BUFFER) as source:
        for split, index, count in files:
            begin, first, left = at, line + 1, count
            while left and (data := source.readline(LONGEST_LINE + 1)):
                at, line, left = at + len(data), line + 1, left - (not data.isspace())
            if left:
                return None
            units.append(Unit(index, split, begin, at, first, count))
        if any(not data.isspace() for data in source):
            return None
    return [Part(str(folder), str(docs), unit) for unit in units]
