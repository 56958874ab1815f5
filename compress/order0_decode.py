"""Integers by how often each occurs, and nothing else: the order-0 coders, over the lanes of the mixing coder.

`order0` writes each array's frequencies before it; `adaptive0` counts as it goes, and looks again at steps that grow by
an eighth. Neither knows a row from a column: they are what everything cleverer is measured against.
"""

import zlib
from typing import Any

import numpy as np

from .errors import CodecError
from .layouts import Specs
from .mix_lanes import TOTAL, LaneReader, lane_count

COUNT = 32  # what one integer weighs against the 256 that were counted before the first


def spans(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and frequency of each of 256 symbols out of 2^18, none of them zero. Raises CodecError for no counts."""
    if not counts.any():
        raise CodecError("a table of frequencies is empty")
    frequency = counts * (TOTAL - 256) // counts.sum() + 1
    frequency[np.argmax(frequency)] += TOTAL - frequency.sum()
    return np.cumsum(frequency) - frequency, frequency


def walk(coder: Any, symbols: np.ndarray, counts: np.ndarray, adaptive: bool) -> None:
    """Code `(n,) uint8`, or fill it in when there is a reader; counts `(256,) int64` are added to when adaptive."""
    due = 0
    for step, a in enumerate(range(0, len(symbols), coder.lanes)):
        if step == due and (adaptive or not step):
            start, frequency = spans(counts)
            due = step + 1 + step // 8
        part = symbols[a : a + coder.lanes]
        if isinstance(coder, LaneReader):
            wanted = coder.peek(len(part))
            part[:] = np.searchsorted(start, wanted, side="right") - 1
            coder.take(wanted, start[part], frequency[part])
        else:
            coder.keep(start[part], frequency[part])
        if adaptive:
            counts += COUNT * np.bincount(part, minlength=256)


def by_frequency(data: bytes, specs: Specs, adaptive: bool) -> list[np.ndarray]:
    """int8 arrays of these shapes back. Raises CodecError."""
    if any(dtype != "int8" for dtype, _ in specs):
        raise CodecError("the order-0 coders hold int8 only")
    found = [np.zeros(shape, np.int8) for _, shape in specs]
    tables = np.ones((len(found), 256), "<u2")
    if not adaptive:
        end, opener = 3 + int.from_bytes(data[:3], "little"), zlib.decompressobj()
        text, data = opener.decompress(data[3:end], tables.nbytes + 1), data[end:]
        if not opener.eof or opener.unused_data or len(text) != tables.nbytes:
            raise CodecError("the tables of frequencies are damaged")
        tables = np.frombuffer(text, "<u2").reshape(tables.shape)
    reader = LaneReader(data, lane_count(sum(a.size for a in found)))
    for array, table in zip(found, tables, strict=True):
        walk(reader, array.reshape(-1).view(np.uint8), table.astype(np.int64), adaptive)
    reader.finish()
    return found


def unorder(data: bytes, specs: Specs) -> list[np.ndarray]:
    """Arrays whose frequencies were written."""
    return by_frequency(data, specs, adaptive=False)


def unadapt(data: bytes, specs: Specs) -> list[np.ndarray]:
    """Arrays whose frequencies were counted on the way."""
    return by_frequency(data, specs, adaptive=True)
