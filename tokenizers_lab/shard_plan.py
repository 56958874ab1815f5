"""The plan of an export: which lines of the documents make which unit of work.

A unit is a run of whole lines of one split, about 32 MB of the file. The plan follows from the file alone, so a run
that was killed and a run on other workers cut the same units; a finished unit can be trusted by its name. What has no
places to start reading at (packed files, parquet, a folder) and lines with their text under another name are written
beside the units as plain lines first; errors still name the row or line that the user gave.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .aside import aside
from .document import COLUMN, LINES, LONGEST_LINE, Document, parse_line, read_documents, unpacked
from .errors import VocabError
from .progress import Advance, nobody
from .shard_format import SPLITS

UNIT_BYTES = 32 << 20
BUFFER = 1 << 18  # of the file at once: documents are longer than the system's own


@dataclass(frozen=True, slots=True)
class Unit:
    """Bytes begin..end of the file, from line `line` (the first is 1) on: `documents` lines that are not blank."""

    index: int
    split: str
    begin: int
    end: int
    line: int
    documents: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The units in order, and the sha256 of the file as it lies there."""

    sha256: str
    size: int
    units: list[Unit]

    def documents(self, split: str) -> int:
        """How many documents a split has."""
        return sum(unit.documents for unit in self.units if unit.split == split)


def is_lines(path: Path) -> bool:
    """Whether a file holds a document a line, by its name."""
    return path.name.removesuffix(".gz").removesuffix(".zst").endswith(LINES)


def plan_units(path: Path, validation: int, unit_bytes: int = UNIT_BYTES, advance: Advance = nobody) -> Plan:
    """Cut a plain file; the first `validation` documents are a split of their own. advance: told of bytes read.

    Raises VocabError for a line above 256 MiB, OSError. Lines are counted here and read later.
    """
    digest = hashlib.sha256()
    units: list[Unit] = []
    split, begin, at, first_line, line, documents, total = SPLITS[0], 0, 0, 1, 0, 0, 0

    def close() -> None:
        nonlocal begin, first_line, documents
        if documents:
            units.append(Unit(len(units), split, begin, at, first_line, documents))
        begin, first_line, documents = at, line + 1, 0

    if not is_lines(path):
        with path.open("rb") as whole:
            sha256, size = hashlib.file_digest(whole, "sha256").hexdigest(), path.stat().st_size
        return Plan(sha256, size, [Unit(0, SPLITS[int(validation < 1)], 0, size, 1, 1)])
    with path.open("rb", BUFFER) as file:
        while data := file.readline(LONGEST_LINE + 1):
            if len(data) > LONGEST_LINE:
                raise VocabError(f"{path}:{line + 1}: a line above {LONGEST_LINE:,} bytes; wanted one document a line.")
            if not data.isspace():
                wanted = SPLITS[int(total >= validation)]
                if wanted != split or (documents and at - begin >= unit_bytes):
                    close()
                    split = wanted
                documents += 1
                total += 1
            digest.update(data)
            line += 1
            at += len(data)
            advance(len(data))
    close()
    return Plan(digest.hexdigest(), at, units)


def read_unit(path: Path, unit: Unit, shown: Path) -> Iterator[Document]:
    """The documents of a unit; errors name lines of `shown`, the file the user gave. Raises VocabError."""
    if not is_lines(path):
        yield from read_documents(path)
        return
    with path.open("rb", BUFFER) as file:
        file.seek(unit.begin)
        number, at = unit.line - 1, unit.begin
        while at < unit.end and (line := file.readline()):
            number += 1
            at += len(line)
            if not line.isspace():
                yield parse_line(line, number, shown, keep=True)


def plain_file(docs: Path, folder: Path, column: str = COLUMN) -> Path:
    """`docs`, or its copy as plain lines in `folder`, made once. Raises VocabError for what read_documents refuses."""
    rows = docs.is_dir() or docs.name.endswith(".parquet") or column != COLUMN
    if not rows and docs.suffix not in (".gz", ".zst"):
        return docs
    name = (docs.name + ".jsonl") if rows else docs.name.removesuffix(docs.suffix)
    copy = folder / f"{_stamp(docs, column)}-{name}"
    if not copy.is_file():
        with aside(copy) as file:
            if rows:
                for document in read_documents(docs, column=column):
                    file.write(json.dumps({COLUMN: document.text}, ensure_ascii=False).encode("utf-8") + b"\n")
            else:
                with unpacked(docs) as source:
                    while data := source.read(1 << 20):
                        file.write(data)
    return copy


def _stamp(docs: Path, column: str) -> str:
    """Changes with the files that `docs` stands for, by their names, sizes and times."""
    files = sorted(docs.iterdir()) if docs.is_dir() else [docs]
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr((stats, column)).encode()).hexdigest()[:16]
