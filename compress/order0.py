"""The order-0 coders as stages: a static table an array, or counts as they come."""

import zlib

import numpy as np

from .errors import CodecError
from .mix_lanes import lane_count
from .mix_writer import LaneWriter
from .order0_decode import walk
from .stage import Coder

LARGEST = 65535  # of a stored frequency


class Order0(Coder):
    """How often each integer occurs, written before each array or counted on the way; nothing else."""

    def __init__(self, adaptive: bool = False) -> None:
        self.adaptive = adaptive
        self.name = self.chain = "adaptive0" if adaptive else "order0"

    def encode(self, arrays: list[np.ndarray]) -> bytes:
        if any(array.dtype != np.int8 for array in arrays):
            raise CodecError(f"{self.name} holds int8 only, met {sorted({a.dtype.name for a in arrays})}.")
        writer = LaneWriter(lane_count(sum(a.size for a in arrays)))
        tables = np.ones((len(arrays), 256), "<u2")
        for array, table in zip(arrays, tables, strict=True):
            symbols = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            if not self.adaptive:
                counts = np.bincount(symbols, minlength=256).astype(np.int64)
                table[:] = -(-counts * LARGEST // max(int(counts.max()), 1))
            walk(writer, symbols, table.astype(np.int64), self.adaptive)
        text = zlib.compress(tables.tobytes(), 9)
        return (b"" if self.adaptive else len(text).to_bytes(3, "little") + text) + writer.finish()
