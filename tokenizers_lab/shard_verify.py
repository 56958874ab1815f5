"""Recount a folder of shards from the raw documents: every token, every byte, every hash.

Three things are held together, document by document: the raw text, the tokens between two BOS, and the sidecar's bytes.
A lossless vocabulary must decode to the text; one that normalises is encoded again and must give the same tokens. The
sidecar must give each token the bytes it stands for, and the table's file must be the vocabulary's. What differs is
reported with its place; nothing is repaired.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from .builders import OPENERS, TABLE
from .byte_counts import byte_lengths, sidecar_values
from .document import COLUMN, Document, read_documents
from .errors import VocabError
from .progress import Advance, bytes_bar, nobody
from .shard_documents import ShardDocument, shard_documents
from .shard_format import SPLITS, read_values, shard_name
from .shard_plan import read_unit
from .shard_verify_parts import Part, parts_of
from .shard_workers import process_pool
from .tokenizer import Encoded, Tokenizer

SHOWN = 20  # differences told one by one


@dataclass(slots=True)
class Verified:
    """What was recounted, and what differs from it (`says` at `where`)."""

    shards: int = 0
    documents: int = 0
    tokens: int = 0
    bytes_raw: int = 0
    validation_bytes: int = 0  # raw, sidecar and table: of the documents with a sidecar, which training may have too
    sidecar_bytes: int = 0
    table_bytes: int = 0
    training_sidecars: bool = False
    differences: int = 0
    shown: list[dict[str, str]] = field(default_factory=list)

    def differs(self, where: str, says: str) -> None:
        self.differences += 1
        if len(self.shown) < SHOWN:
            self.shown.append({"where": where, "says": says})

    def add(self, other: "Verified") -> None:
        """What another recount found, of what comes after."""
        for name in ("documents", "tokens", "bytes_raw", "validation_bytes", "sidecar_bytes", "table_bytes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.training_sidecars |= other.training_sidecars
        self.shown += other.shown[: SHOWN - len(self.shown)]
        self.differences += other.differences

    def to_json(self) -> dict[str, Any]:
        """One JSON object; verdict is PASS or FAIL."""
        return {"verdict": "FAIL" if self.differences else "PASS", **asdict(self)}


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished export. Raises VocabError when it is missing or not one."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise VocabError(f"{path}: not there; an unfinished export has none. Run: pglab shards write --out {folder}")
    try:
        manifest = json.loads(path.read_bytes().decode("utf-8"))
        vocabulary, files = manifest["vocabulary"], manifest["files"]
        good = manifest["format"] == "pglab-shards-1" and vocabulary["kind"] in OPENERS
        good = good and all(type(e["tokens"]) is int and isinstance(e["sha256"], str) for e in files.values())
        good = good and all(name and Path(name).name == name for name in (*files, vocabulary["file"]))
        good = good and isinstance(vocabulary["file_sha256"], str)
        first = manifest["corpus"]["validation_documents"]
        good = good and type(first) is int and first >= 0
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        good = False
    if not good:
        raise VocabError(f"{path}: no manifest of pglab-shards-1. Write the shards again: pglab shards write")
    return dict(manifest)


def verify_shards(
    folder: Path, docs: Path, column: str = COLUMN, workers: int = 1, executor: Executor | None = None
) -> Verified:
    """Recount `folder` from `docs`, one document at a time. Raises VocabError when something cannot be read at all.

    workers: processes that recount file by file, where documents are plain lines; executor: takes their place, and must
    see the same paths.
    """
    if workers < 1:
        raise VocabError(f"--workers {workers}: wanted at least 1.")
    manifest = read_manifest(folder)
    entry = manifest["vocabulary"]
    place = folder / entry["file"]
    digest = _sha256(place)
    tokenizer = _opened(entry["kind"], place, digest)
    found = Verified(shards=sum(name.endswith(".bin") for name in manifest["files"]))
    if digest != entry["file_sha256"]:
        found.differs(place.name, "another tokenizer than the manifest names by its sha256")
    _table(folder / TABLE, tokenizer, found)
    first = manifest["corpus"]["validation_documents"]
    there = sum(path.stat().st_size for name in manifest["files"] if (path := folder / name).is_file())
    with bytes_bar("recount", there + docs.stat().st_size) as advance:
        _files(folder, manifest, found, advance)
        if (executor or workers > 1) and column == COLUMN:
            parts = parts_of(folder, docs, manifest)
            if parts is not None and len(parts) > 1:
                with process_pool(0 if executor else min(workers, len(parts))) as pool:
                    _parts(parts, manifest, found, executor or pool, advance)
                return found
        documents = read_documents(docs, column=column)
        for split in SPLITS:
            there = islice(documents, first) if split == "val" else documents
            shards = shard_documents(folder, manifest["files"], split, tokenizer.bos)
            _split(shards, there, tokenizer, found, advance, split)
    return found


def _parts(
    parts: Sequence[Part], manifest: dict[str, Any], found: Verified, executor: Executor | None, advance: Advance
) -> None:
    """All parts, by an executor; added in order."""
    assert executor is not None
    names, entry = list(manifest["files"]), manifest["vocabulary"]
    try:
        tasks = [executor.submit(verify_part, part, entry["kind"], entry["file"], names) for part in parts]
        for part, task in zip(parts, tasks, strict=True):
            found.add(task.result())
            advance(part.unit.end - part.unit.begin)
    except BrokenExecutor:
        raise VocabError("a worker process died (killed, or out of memory). Recount with fewer --workers.") from None


def verify_part(part: Part, kind: str, file: str, names: Sequence[str]) -> Verified:
    """The documents that begin in one file of shards; names: of the manifest. Raises VocabError."""
    folder, docs, unit = Path(part.folder), Path(part.docs), part.unit
    tokenizer = _opened(kind, folder / file, _sha256(folder / file))
    found, name = Verified(), shard_name(unit.split, unit.index)
    tokens = read_values(folder / name) if (folder / name).is_file() else np.empty(0, np.uint16)
    begin = int(np.count_nonzero(tokens == tokenizer.bos))
    if begin != unit.documents or (unit.index == 0 and len(tokens) and int(tokens[0]) != tokenizer.bos):
        found.differs(name, f"{begin:,} documents begin in it, the manifest says {unit.documents:,}")
        return found
    stored = shard_documents(folder, names, unit.split, tokenizer.bos, unit.index)
    own = islice((document for document in stored if int(document.tokens[0]) == tokenizer.bos), unit.documents)
    _split(own, read_unit(docs, unit, docs), tokenizer, found, nobody, unit.split)
    return found


@lru_cache(maxsize=1)
def _opened(kind: str, place: Path, sha256: str) -> Tokenizer:
    """A tokenizer, opened once in a process for all of its parts."""
    return OPENERS[kind](place.read_bytes(), str(place))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _table(path: Path, tokenizer: Tokenizer, found: Verified) -> None:
    """The table's file against the vocabulary; both count bytes in the challenge's scripts."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            for name in ("base_bytes", "has_leading_space", "is_boundary"):
                if not np.array_equal(stored[name], getattr(tokenizer.table, name)):
                    found.differs(path.name, f"{name} is not the vocabulary's")
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        found.differs(path.name, f"cannot be read ({type(error).__name__})")


def _files(folder: Path, manifest: dict[str, Any], found: Verified, advance: Advance) -> None:
    """The folder's files against the manifest's list."""
    for name, entry in manifest["files"].items():
        if not (folder / name).is_file():
            found.differs(name, "is named by the manifest and not there")
        else:
            if _sha256(folder / name) != entry["sha256"]:
                found.differs(name, "has another sha256 than the manifest says")
            advance((folder / name).stat().st_size)
    for path in sorted(folder.glob("fineweb_*")):
        if path.name not in manifest["files"]:
            found.differs(path.name, "is not named by the manifest")


def _split(
    stored: Iterator[ShardDocument],
    documents: Iterator[Document],
    tokenizer: Tokenizer,
    found: Verified,
    advance: Advance,
    split: str,
) -> None:
    """One split: its documents as shards hold them against the raw ones, in order."""
    for document in documents:
        shard = next(stored, None)
        found.training_sidecars |= split == "train" and shard is not None and shard.lengths is not None
        if shard is None:
            left = 1 + sum(1 for _ in documents)
            found.differs(document.where, f"{left:,} documents from here on have no tokens")
            return
        _document(shard, document, tokenizer, found)
        advance(document.size)
    for shard in stored:
        found.differs(shard.where, "tokens of a document that is not among the raw ones")
        return


def _document(shard: ShardDocument, document: Document, tokenizer: Tokenizer, found: Verified) -> None:
    where = f"{shard.where} ({document.where})"
    found.documents += 1
    found.tokens += len(shard.tokens)
    found.bytes_raw += document.size
    ids = shard.tokens[1:]
    if int(shard.tokens.max()) >= tokenizer.size:
        found.differs(where, f"id {int(shard.tokens.max()):,} in a vocabulary of {tokenizer.size:,}")
        return
    if tokenizer.lossless == "exact":
        right = tokenizer.decode(ids) == document.text and _ordinary(ids, tokenizer)
        says = "does not decode to its document"
    else:
        right = np.array_equal(tokenizer.encode_batch([document.text]).ids, ids)
        says = "its document encodes to other tokens"
    if not right:
        found.differs(where, says)
    if shard.lengths is not None:
        counted = int(shard.lengths.sum(dtype=np.int64))
        found.validation_bytes += document.size
        found.sidecar_bytes += counted
        found.table_bytes += int(tokenizer.table.count(shard.tokens).sum())
        if counted != document.size:
            found.differs(where, f"the sidecar counts {counted:,} bytes, its document has {document.size:,}")
        elif right:
            encoded = Encoded(ids, np.array([0, len(ids)], np.int64))
            lengths = byte_lengths(tokenizer, encoded, [document.text])
            expected = sidecar_values(lengths, encoded.offsets, np.array([document.size], np.int64))
            if not np.array_equal(shard.lengths, expected):
                at = int((shard.lengths != expected).argmax())
                says = f"the sidecar gives token {at:,} {int(shard.lengths[at]):,} bytes, it has {int(expected[at]):,}"
                found.differs(where, says)


def _ordinary(ids: np.ndarray, tokenizer: Tokenizer) -> bool:
    """Whether no special id stands inside a document, where it would be silent."""
    return not bool(tokenizer.table.is_boundary[ids].any())
