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


def charge(table: ByteTable) -> np.ndarray:
    """(65536,) int32: base bytes and leading space of each id; ids beyond the table count 0."""
    full = np.zeros(1 << 16, np.int32)
    size = min(len(table), 1 << 16)
    full[:size] = (table.base_bytes + table.has_leading_space)[:size]
    return full


def _wide(column: np.ndarray, beyond: bool) -> np.ndarray:
    """(65536,) bool: the column, continued with `beyond` for ids that the table does not have."""
    wide = np.full(1 << 16, beyond)
    wide[: len(column)] = column[: 1 << 16]
    return wide


def after_boundary(ids: np.ndarray, table: ByteTable, before: int | None) -> np.ndarray:
    """Positions of tokens with a leading space that must not be charged, as the token before them is a boundary.

    ids: (n,) uint16. `before`: the id that stands before ids[0]; None: the stream begins here, taken as a boundary.
    """
    boundary = _wide(table.is_boundary, True)
    wanted = np.flatnonzero(boundary)
    marks = np.flatnonzero(ids == wanted[0]) if len(wanted) == 1 else _any_of(ids, boundary)
    places = marks[marks < len(ids) - 1] + 1
    if len(ids) and (before is None or boundary[before]):
        places = np.append(0, places)
    return places[_wide(table.has_leading_space, False)[ids[places]]]


def _any_of(ids: np.ndarray, member: np.ndarray) -> np.ndarray:
    return np.flatnonzero(member[ids])


def table_bytes(ids: np.ndarray, table: ByteTable, before: int | None = None) -> np.ndarray:
    """(n,) int32: what each token counts by the official table. ids: (n,) uint16."""
    counted = charge(table)[ids]
    counted[after_boundary(ids, table, before)] -= 1
    return counted


def table_total(ids: np.ndarray, table: ByteTable, before: int | None = None) -> int:
    """The sum of `table_bytes` without making it: one histogram, and the few spaces behind boundaries."""
    counts = np.bincount(ids, minlength=1 << 16)
    return int(counts @ charge(table).astype(np.int64)) - len(after_boundary(ids, table, before))


def per_document(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(d,) int64: sums of `values` (n,) over documents [starts[j], starts[j + 1])."""
    return np.add.reduceat(values, starts[:-1], dtype=np.int64)


def in_step(stream: Stream) -> "Follower":
    """A reader that hands out a stream piece by piece, for a sidecar that is read beside its shards."""
    return Follower(stream)


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
