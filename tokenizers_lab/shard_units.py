"""One unit of an export: read its lines, encode, prove the bytes, write one part file and then its JSON.

The JSON is the checkpoint: a unit is done when it is there, and it names the sha256 of its part. A part holds three
arrays one after another, little-endian: tokens with BOS (uint16), the sidecar's values where they are asked for
(uint16), the raw bytes of each document (int64). A unit can run in any process on any machine that sees the files.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .aside import aside, write_json
from .builders import open_vocabulary
from .byte_counts import byte_lengths, prove_sums, sidecar_values, with_bos
from .document import Document
from .errors import VocabError
from .fast_engine import FastTokenizer
from .progress import Advance, nobody
from .shard_plan import Unit, read_unit
from .tokenizer import Tokenizer

BATCH_BYTES = 1 << 22
_OPENED: dict[str, Tokenizer] = {}  # one vocabulary at a time in a worker, by the spec's hash


@dataclass(frozen=True, slots=True)
class Job:
    """All a worker needs: texts may be read from a copy (`path`) of the file the user gave (`shown`).

    expected: bytes that this worker will encode in all, about.
    """

    path: str
    shown: str
    vocabulary: str
    spec_sha256: str
    folder: str
    unit: Unit
    sidecar: bool
    expected: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """What a unit's JSON says of its part."""

    tokens: int
    documents: int
    bytes_raw: int
    sidecar: bool
    size: int
    sha256: str


def part_path(folder: Path, unit: Unit) -> Path:
    """Where a unit's part lies; its JSON lies beside it."""
    return folder / f"{unit.index:06d}.part"


def encode_unit(job: Job, advance: Advance = nobody) -> int:
    """Do one unit unless it is done; returns its index. advance: told of the bytes that were encoded.

    Raises VocabError, OSError.
    """
    place = part_path(Path(job.folder), job.unit)
    if finished(place, job.unit, job.sidecar) is not None:
        return job.unit.index
    tokenizer = _tokenizer(job)
    if isinstance(tokenizer, FastTokenizer):
        tokenizer.expected = job.expected
    tokens: list[np.ndarray] = []
    values: list[np.ndarray] = []
    sizes: list[np.ndarray] = []
    for group in _groups(read_unit(Path(job.path), job.unit, Path(job.shown))):
        batch_tokens, batch_values, batch_sizes = _encode(tokenizer, group, job.sidecar)
        tokens.append(batch_tokens)
        values.append(batch_values)
        sizes.append(batch_sizes)
        advance(int(batch_sizes.sum()))
    documents = sum(map(len, sizes))
    if documents != job.unit.documents:
        raise VocabError(f"{job.shown}: changed while it was read. Run the same command again.")
    digest, size = hashlib.sha256(), 0
    with aside(place, settled=False) as file:  # its name is settled with the JSON's beside it
        for array in (*tokens, *values, *sizes):
            file.write(array.data)
            digest.update(array.data)
            size += array.nbytes
    part = Part(
        tokens=sum(map(len, tokens)),
        documents=documents,
        bytes_raw=sum(int(some.sum()) for some in sizes),
        sidecar=job.sidecar,
        size=size,
        sha256=digest.hexdigest(),
    )
    write_json(place.with_suffix(".json"), asdict(part))
    return job.unit.index


def finished(place: Path, unit: Unit, sidecar: bool) -> Part | None:
    """The checkpoint of a unit that is done, else None; a torn or foreign one counts as not done."""
    try:
        entry: Any = json.loads(place.with_suffix(".json").read_bytes())
        part = Part(**entry)
        good = part.documents == unit.documents and part.sidecar == sidecar and place.stat().st_size == part.size
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return part if good else None


def read_part(folder: Path, unit: Unit, sidecar: bool) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """(tokens (n,) uint16, sidecar values (n,) uint16 or None, document sizes (D,) int64) of a finished unit.

    Raises VocabError when the part is not what its JSON says.
    """
    place = part_path(folder, unit)
    part = finished(place, unit, sidecar)
    data = place.read_bytes() if part else b""
    if part is None or hashlib.sha256(data).hexdigest() != part.sha256:
        place.with_suffix(".json").unlink(missing_ok=True)
        raise VocabError(f"{place}: was damaged after it was written. Run the same command again; it is done anew.")
    end = 2 * part.tokens
    tokens = np.frombuffer(data, "<u2", part.tokens)
    values = np.frombuffer(data, "<u2", part.tokens, end) if sidecar else None
    return tokens, values, np.frombuffer(data, "<i8", part.documents, end * (2 if sidecar else 1))


def remember(spec_sha256: str, tokenizer: Tokenizer) -> None:
    """Let the units that run in this process use a vocabulary that is open already."""
    _OPENED.clear()
    _OPENED[spec_sha256] = tokenizer


def _tokenizer(job: Job) -> Tokenizer:
    if job.spec_sha256 not in _OPENED:
        spec, tokenizer, _ = open_vocabulary(Path(job.vocabulary))
        if spec.sha256 != job.spec_sha256:
            raise VocabError(f"{job.vocabulary}: changed since the export began. Run the same command again.")
        remember(job.spec_sha256, tokenizer)
    return _OPENED[job.spec_sha256]


def _groups(documents: Iterator[Document]) -> Iterator[list[Document]]:
    """Documents in groups of about 4 MiB, so that engines work in batches and memory stays flat."""
    group: list[Document] = []
    size = 0
    for document in documents:
        if group and size + document.size > BATCH_BYTES:
            yield group
            group, size = [], 0
        group.append(document)
        size += document.size
    if group:
        yield group


def _encode(tokenizer: Tokenizer, group: list[Document], sidecar: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens with BOS, sidecar values (empty unless asked for) and sizes of one group; bytes proven where possible."""
    texts = [document.text for document in group]
    sizes = np.array([document.size for document in group], np.int64)
    if isinstance(tokenizer, FastTokenizer) and all(len(document.raw) == document.size for document in group):
        encoded = tokenizer.encode_raw(texts, [document.raw for document in group])
    else:
        encoded = tokenizer.encode_batch(texts)
    values = np.empty(0, "<u2")
    try:
        if sidecar:
            counted = sidecar_values(byte_lengths(tokenizer, encoded, texts), encoded.offsets, sizes)
            values = counted.astype("<u2", copy=False)
        elif tokenizer.token_bytes is not None:
            prove_sums(tokenizer.token_bytes, encoded, sizes)
        elif tokenizer.lossless == "exact":  # spans of a model that normalises cost four times its ids
            byte_lengths(tokenizer, encoded, texts)
    except VocabError as error:
        raise VocabError(f"{group[0].where} and on: {error}") from None
    if (encoded.ids == tokenizer.bos).any():
        raise VocabError(
            f"{group[0].where} and on: text became id {tokenizer.bos}, which begins a document. Report it."
        )
    return with_bos(encoded, tokenizer.bos).astype("<u2", copy=False), values, sizes.astype("<i8", copy=False)
