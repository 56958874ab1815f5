"""Are these the shards of these documents, by this tokenizer? Places of documents, overlap with training, wrong pairs.

- Documents that are not in their place are looked for in the whole file by a key of their text, which tells an order
  fault from another text.
- A validation document inside the training shards has the same ids there, so documents are compared by a hash of their
  ids; and as one changed token changes that hash, by sampled windows of 64 tokens too (windows.py). One pass over the
  training shards; memory is that of the validation windows, some 270 MB in all for 62 million tokens.
- A BPE encoder merges neighbours until it cannot. Shards that hold neighbours this vocabulary would have merged were
  not made with it; the share of such pairs tells a wrong pair even when every id is in range and every byte decodes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from .documents import read_documents
from .shard_reader import Batch, Stream, documents
from .survey import key_of
from .windows import Known, sampled

SHORT = 16  # tokens; shorter documents (menus, "404 Not Found") repeat honestly
LEAST_WINDOWS = 4  # sampled windows (some 128 tokens); a document with fewer is compared whole only
MOSTLY = 1 / 3  # share of a document's windows; a licence text or a menu at its foot is less


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
    """Validation documents that also stand in the training shards, whole or for the most part."""

    validation: int  # documents of at least 16 tokens
    training: int
    shared: int  # whole
    first: tuple[int, str] | None  # (validation document, place in training)
    judged: int  # documents with enough sampled windows to be compared by them
    mostly: int  # of those: not whole, but a third or more of their windows are in training
    first_mostly: int | None
    windows: int  # sampled windows of the validation documents
    met: int  # of those: in training


def overlap(validation: Stream, training: Stream, bos: int) -> Overlap:
    """Count validation documents that occur in the training shards, whole (by all ids) or mostly (by windows)."""
    known: dict[bytes, int] = {}
    hashes, owners, number = [], [], 0
    for batch in documents(validation, bos):
        for place, (key, size) in enumerate(_keys(batch), number):
            if size >= SHORT:
                known.setdefault(key, place)
        found, heads = sampled(batch.ids, bos)
        hashes.append(found)
        owners.append((number + np.searchsorted(batch.starts, heads, "right") - 1).astype(np.int32))
        number += len(batch.starts) - 1
    windows = Known(np.concatenate(hashes), np.concatenate(owners))
    total, seen, first = 0, set(), None
    for batch in documents(training, bos):
        for key, _ in _keys(batch):
            at = known.get(key)
            if at is not None:
                first = first or (at, f"training document {total:,}")
                seen.add(at)
            total += 1
        windows.meet(sampled(batch.ids, bos)[0])
    kept, met = windows.counts(number)
    judged = kept >= LEAST_WINDOWS
    whole = np.zeros(number, bool)
    whole[list(seen)] = True
    mostly = np.flatnonzero(judged & ~whole & (met >= MOSTLY * kept))
    return Overlap(
        len(known),
        total,
        len(seen),
        first,
        int(judged.sum()),
        len(mostly),
        int(mostly[0]) if len(mostly) else None,
        int(kept.sum()),
        int(met.sum()),
    )


def _keys(batch: Batch) -> Iterator[tuple[bytes, int]]:
    """(hash of ids, tokens) of every document, BOS not counted."""
    data = memoryview(batch.ids.tobytes())
    for start, end in zip(batch.starts[:-1].tolist(), batch.starts[1:].tolist(), strict=True):
        yield blake2b(data[2 * start + 2 : 2 * end], digest_size=12).digest(), end - start - 1
