"""What a proof is made of: the very tokens that are scored, and the raw documents they stand for.

No encoder is needed. Any token sequence will do that decodes, with a residual, to the documents; so the tokens come
from the validation shards themselves, and their bytes from the auditor's own reader of the vocabulary.
"""

import hashlib
import struct
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import run

import numpy as np

from .documents import read_documents
from .errors import AuditError
from .evidence import Evidence
from .inputs import open_inputs
from .manifest import sha256_of
from .prove_sample import choose
from .shard_reader import Stream
from .tokenizer_files import find_tokenizer, open_tokenizer
from .vocabulary import Vocabulary


class TextDigest:
    """sha256 over documents, each as its size in eight bytes and its raw UTF-8; and their bytes in all."""

    def __init__(self) -> None:
        self.sha256, self.bytes = hashlib.sha256(), 0

    def add(self, raw: bytes) -> None:
        self.sha256.update(struct.pack("<Q", len(raw)) + raw)
        self.bytes += len(raw)


@dataclass(frozen=True, slots=True)
class Text:
    """The documents to prove. tokens: (N,) uint16, each document `bos` and what follows. marks: (D,) int64, where each
    begins. numbers: (D,) int64, which document of the file each is. population: documents in the shards."""

    tokens: np.ndarray
    marks: np.ndarray
    numbers: np.ndarray
    population: int
    docs: Path
    vocabulary: Vocabulary
    vocabulary_path: Path
    bos: int
    sidecar: Stream | None
    raw_bytes: int
    digest: bytes

    def raw(self) -> Iterator[bytes]:
        """The raw documents in order, read again from the file."""
        yield from _chosen(self.docs, self.numbers)

    def raw_of_targets(self, count: int) -> int:
        """Raw bytes of the first `count` targets by the sidecar; 0 where there is none, or it counts more than are."""
        if self.sidecar is None or self.sidecar.total != len(self.tokens):
            return 0
        taken = total = 0
        for values in self.sidecar.chunks():
            part = values[: count + 1 - taken]
            total += int(part.sum(dtype=np.int64)) - (int(part[0]) if not taken and len(part) else 0)
            taken += len(part)
            if taken == count + 1:
                break
        return total if total <= self.raw_bytes else 0


def _chosen(docs: Path, numbers: np.ndarray) -> Iterator[bytes]:
    wanted = iter(numbers.tolist())
    number = next(wanted, None)
    for at, document in enumerate(read_documents(docs)):
        if number is None:
            return
        if at == number:
            yield document.raw
            number = next(wanted, None)


def open_text(docs: Path, shards: Path | None, vocab: Path | None, sample: int = 0, seed: int = 0) -> Text:
    """Read tokens and documents, and hold one against the other. sample: documents to choose, 0 for all.

    Without shards they are written into a temporary folder first, by the lab's own command. Raises AuditError.
    """
    if shards is not None:
        return _open(docs, shards, vocab, sample, seed)
    if vocab is None:
        raise AuditError("no tokens to prove: give the scored shards with --shards DIR, or a vocabulary with --vocab.")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "shards"
        command = [sys.executable, "-m", "pglab", "shards", "write", "--docs", str(docs), "--vocab", str(vocab)]
        done = run([*command, "--out", str(made)], capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise AuditError(f"no shards could be written for the proof: {said[-1] if said else 'no word why'}")
        return replace(_open(docs, made, vocab, sample, seed), sidecar=None)


def _open(docs: Path, shards: Path, vocab: Path | None, sample: int, seed: int) -> Text:
    given = find_vocabulary(vocab) if vocab is not None else None
    inputs = open_inputs(Evidence(shards, docs, shards, given))
    assert inputs is not None
    if inputs.vocabulary is None or inputs.tokenizer_path is None:
        raise AuditError(f"{shards}: {inputs.refused or 'no tokenizer beside the shards'}. Name one: --vocab FILE")
    tokens = np.concatenate([values.copy() for values in inputs.stream.chunks()])
    if int(tokens.max()) >= len(inputs.vocabulary):
        raise AuditError(
            f"{shards}: token id {int(tokens.max())} in a vocabulary of {len(inputs.vocabulary):,}: these shards were "
            "made with another tokenizer. Name the right one with --vocab FILE."
        )
    if tokens[0] != inputs.bos:
        raise AuditError(f"{shards}: begins with token {tokens[0]}, wanted the document mark {inputs.bos}.")
    marks = np.flatnonzero(tokens == inputs.bos)
    numbers, population = np.arange(len(marks)), len(marks)
    sidecar = inputs.sidecar
    if sample and sample < population:
        numbers = choose(population, sample, seed)
        ends = np.append(marks[1:], len(tokens))
        tokens = np.concatenate([tokens[marks[n] : ends[n]] for n in numbers])
        marks = np.flatnonzero(tokens == inputs.bos)
        sidecar = None
    digest, count = TextDigest(), 0
    for raw in _chosen(docs, numbers):
        digest.add(raw)
        count += 1
    if count < len(numbers) or not digest.bytes:
        raise AuditError(
            f"{docs}: {count:,} documents ({digest.bytes:,} bytes), the shards hold {population:,}. Give the documents "
            "that the shards were made of, validation first."
        )
    return Text(
        tokens,
        marks,
        numbers,
        population,
        docs,
        inputs.vocabulary,
        inputs.tokenizer_path,
        inputs.bos,
        sidecar,
        digest.bytes,
        digest.sha256.digest(),
    )


def find_vocabulary(place: Path) -> Path:
    """A tokenizer file, or the one in a folder. Raises AuditError."""
    found = find_tokenizer(place) if place.is_dir() else place
    if found is None or not found.exists():
        raise AuditError(f"{place}: no tokenizer there; name a .model, tokenizer.json or tiktoken file.")
    return found


def open_vocabulary(place: Path, digest: bytes) -> Vocabulary:
    """The vocabulary that a proof was made with, by its sha256. Raises AuditError for any other file."""
    found = find_vocabulary(place)
    if bytes.fromhex(sha256_of(found)) != digest:
        raise AuditError(
            f"{found}: another vocabulary than the proof was made with (sha256 {digest.hex()[:12]}...). "
            "Name the right one with --vocab FILE."
        )
    opened = open_tokenizer(found)
    if not isinstance(opened, Vocabulary):
        raise AuditError(f"{found}: a byte table, which cannot decode. Name the tokenizer with --vocab FILE.")
    return opened


def weight_of(vocabulary: Vocabulary) -> dict[str, int]:
    """What a vocabulary gives to both sides: bytes of all its tokens, and of the longest."""
    sizes = vocabulary.sizes
    return {"vocabulary": int(sizes.sum()), "its longest token": int(sizes.max())}


def apart(out: Path, *inputs: Path | None) -> None:
    """Raises AuditError where `out` cannot be a new file, or is one of the files that are read."""
    if out.is_dir():
        raise AuditError(f"{out}: is a folder, wanted the name of a file to write.")
    if out.exists() and not out.is_file():
        raise AuditError(f"{out}: is a device or a pipe, and would be replaced; name a file to write.")
    for one in inputs:
        if one is not None and out.exists() and one.exists() and out.samefile(one):
            raise AuditError(f"--out {out}: is {one}, which is read; name another file to write.")
