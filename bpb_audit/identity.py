"""Are these the shards of these documents, by this tokenizer? Places of documents, overlap with training, wrong pairs.

- Documents that are not in their place are looked for in the whole file by a key of their text, which tells an order
  fault from another text.
- A validation document inside the training shards has the same ids there, so documents are compared by a hash of their
  ids, one pass over the training shards in constant memory.
- A BPE encoder merges neighbours until it cannot. Shards that hold neighbours this vocabulary would have merged were
  not made with it; the share of such pairs tells a wrong pair even when every id is in range and every byte decodes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from .documents import read_documents
from .shard_reader import Stream, documents
from .survey import key_of

SHORT = 16  # tokens; shorter documents (menus, "404 Not Found") repeat honestly


@dataclass(frozen=True, slots=True)
class Places:
    """Where documents that did not match in place were found. moved: (shard document, line in the file) pairs."""

    looked_for: int
    moved: tuple[tuple[int, int], ...]
    read: int  # raw documents looked through

    @property
    def shift(self) -> int | None:
        """The one distance all moved documents share (line - 1 - document), or None when they differ."""
        shifts = {line - 1 - document for document, line in self.moved}
        return shifts.pop() if len(shifts) == 1 else None


def locate(lost: dict[str, int], docs: Path) -> Places:
    """Look for documents (loose text key -> shard document) in all of `docs`."""
    moved: list[tuple[int, int]] = []
    read = 0
    for document in read_documents(docs):
        read += 1
        at = lost.get(key_of(document.text))
        if at is not None:
            moved.append((at, document.line))
    return Places(len(lost), tuple(moved), read)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Validation documents (of at least 16 tokens) that also stand in the training shards."""

    validation: int
    training: int
    shared: int
    first: tuple[int, str] | None  # (validation document, place in training)


def overlap(validation: Stream, training: Stream, bos: int) -> Overlap:
    """Count validation documents that occur whole in the training shards. Memory: 16 bytes a validation document."""
    known: dict[bytes, int] = {}
    for number, (key, size) in enumerate(_keys(validation, bos)):
        if size >= SHORT:
            known.setdefault(key, number)
    total, seen, first = 0, set(), None
    for key, _ in _keys(training, bos):
        at = known.get(key)
        if at is not None:
            if first is None:
                first = (at, f"training document {total:,}")
            seen.add(key)
        total += 1
    return Overlap(len(known), total, len(seen), first)


def _keys(stream: Stream, bos: int) -> Iterator[tuple[bytes, int]]:
    """(hash of ids, tokens) of every document, BOS not counted."""
    for batch in documents(stream, bos):
        data = memoryview(batch.ids.tobytes())
        for start, end in zip(batch.starts[:-1].tolist(), batch.starts[1:].tolist(), strict=True):
            yield blake2b(data[2 * start + 2 : 2 * end], digest_size=12).digest(), end - start - 1
