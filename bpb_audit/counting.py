"""The arithmetic of the recount, vectorised: table bytes per token, sums per document, a sidecar read in step.

Pure functions over numpy arrays; nothing here reads a document. The official rule in one line: a token counts its base
bytes, and one more for its leading space unless the token before it is a boundary. It is applied backwards: every
leading space is charged, then those behind a boundary are taken back, because boundaries are rare.
"""

from collections.abc import Iterator

import numpy as np

from .errors import AuditError
from .shard_reader import Stream
from .vocabulary import ByteTable

IDS = 1 << 16  # a token is a uint16


class Meter:
    """A byte table made ready for counting streams of uint16 ids; ids beyond the table count 0."""

    def __init__(self, table: ByteTable) -> None:
        size = min(len(table), IDS)
        full = np.zeros(IDS, np.int64)
        full[:size] = (table.base_bytes + table.has_leading_space)[:size]
        self.full = full  # (65536,) int64: base bytes and leading space of each id
        self._full = full.astype(np.min_scalar_type(int(full.max())))  # small enough for the cache
        self._spaced = np.zeros(IDS, bool)
        self._spaced[:size] = table.has_leading_space[:size]
        self._boundary = np.zeros(IDS, bool)
        self._boundary[:size] = table.is_boundary[:size]
        first = np.flatnonzero(~self._boundary)
        self._below = int(first[0]) if len(first) else IDS
        self._head_only = not self._boundary[self._below : size].any()  # boundaries are 0.._below - 1, as usual

    def _behind_boundary(self, ids: np.ndarray, before: int | None) -> np.ndarray:
        """Positions of tokens with a leading space behind a boundary: the space is not charged there."""
        if self._head_only:
            marks = np.flatnonzero(ids < self._below)
        else:
            marks = np.flatnonzero(self._boundary.take(ids, mode="clip"))
        places = marks[marks < len(ids) - 1] + 1
        if len(ids) and (before is None or self._boundary[before]):
            places = np.append(0, places)
        return places[self._spaced[ids[places]]]

    def each(self, ids: np.ndarray, before: int | None = None) -> np.ndarray:
        """(n,) unsigned: what each token counts. ids: (n,) uint16; `before`: the id ahead, None at the start."""
        counted = self._full.take(ids, mode="clip")
        counted[self._behind_boundary(ids, before)] -= 1
        return counted

    def total(self, ids: np.ndarray, before: int | None = None) -> int:
        """The sum of `each`, without keeping it."""
        counted = int(self._full.take(ids, mode="clip").sum(dtype=np.uint64))
        return counted - len(self._behind_boundary(ids, before))


def per_document(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(d,) int64: sums of `values` (n,) over documents [starts[j], starts[j + 1])."""
    return np.add.reduceat(values, starts[:-1], dtype=np.int64)


class Follower:
    """Hands out the next n values of a stream, whatever its chunks are."""

    def __init__(self, stream: Stream) -> None:
        self._chunks: Iterator[np.ndarray] = stream.chunks()
        self._rest = np.zeros(0, np.uint16)
        self._name = stream.files[0]

    def take(self, count: int) -> np.ndarray:
        """(count,) uint16. Raises AuditError when the stream ends before."""
        parts = [self._rest]
        have = len(self._rest)
        while have < count:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise AuditError(
                    f"{self._name}: ends before its shards do. Write the sidecar again from the same shards."
                )
            parts.append(chunk.copy())
            have += len(chunk)
        joined = np.concatenate(parts)
        self._rest = joined[count:]
        return joined[:count]
