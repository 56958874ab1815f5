"""The field's other quantisers, each in its best form, so that a table can show what they are worth.

`AffineInt` has a zero beside each row's scale; `ClipSearch` seeks the row scale of least squared error; `Ternary` has
the exact optimum of one scale a row (as ternary weight networks approximate, arXiv:1605.04711); `KMeans` has a table of
values a tensor, found by Lloyd's algorithm.
"""

import numpy as np

from .errors import CodecError
from .official import to_float16
from .quantizers import Made, MatrixQuantizer, RowInt, row_scales
from .statistics import Metric

SHARES = np.linspace(0.3, 1.0, 36, dtype=np.float32)  # of a row's largest magnitude, tried as its clip
ROUNDS, BINS = 50, 8192


class Unclipped(RowInt):
    """Integers of `bits` bits by row, clipped by nobody's choice of sigma."""

    word = ""

    def __init__(self, bits: int, min_size: int = 1024) -> None:
        super().__init__(bits, 0.0, min_size)
        self.name = f"int{bits}-{self.word}"


class AffineInt(Unclipped):
    """Asymmetric integers of `bits` bits with one fp16 scale and one fp16 zero a row."""

    word = "affine"

    def quantise(self, name: str, matrix: np.ndarray, metric: Metric | None) -> Made:
        x, half = matrix.astype(np.float32), 1 << (self.bits - 1)
        low, high = x.min(axis=1), x.max(axis=1)
        scale = row_scales(name, (high - low) / (2 * half - 1))
        zero = to_float16(name, low + half * scale.astype(np.float32))
        q = np.rint((x - zero.astype(np.float32)[:, None]) / scale.astype(np.float32)[:, None])
        q = q.clip(-half, half - 1).astype(np.int8)
        return "affine int8 float16 float16", [q, scale, zero]


class ClipSearch(Unclipped):
    """Symmetric integers of `bits` bits; each row's clip is the one of least squared error among 36."""

    word = "search"

    def quantise(self, name: str, matrix: np.ndarray, metric: Metric | None) -> Made:
        x, top = matrix.astype(np.float32), (1 << (self.bits - 1)) - 1
        reach = np.abs(x).max(axis=1)
        least, best = np.full(reach.shape, np.inf), np.zeros((*reach.shape,), np.float16)
        for share in SHARES:
            scale = row_scales(name, share * reach / top)
            s = scale.astype(np.float32)[:, None]
            error = np.square(np.rint(x / s).clip(-top, top) * s - x).sum(axis=1, dtype=np.float64)
            better = error < least
            least, best = np.where(better, error, least), np.where(better, scale, best)
        q = np.rint(x / best.astype(np.float32)[:, None]).clip(-top, top).astype(np.int8)
        return "row int8 float16", [q, best]


class Ternary(MatrixQuantizer):
    """-1, 0 and 1 times one fp16 scale a row, the best of all such."""

    name = "ternary"

    def __init__(self, min_size: int = 1024) -> None:
        self.min_size = min_size

    def quantise(self, name: str, matrix: np.ndarray, metric: Metric | None) -> Made:
        x = matrix.astype(np.float64)
        size = -np.sort(-np.abs(x), axis=1)  # largest first; the k largest kept lose least where sum^2 / k is most
        sums, k = np.cumsum(size, axis=1), np.arange(1, x.shape[1] + 1)
        kept = np.argmax(sums * sums / k, axis=1)
        rows = np.arange(x.shape[0])
        scale = row_scales(name, (sums / k)[rows, kept])
        q = (np.sign(x) * (np.abs(x) >= size[rows, kept][:, None])).astype(np.int8)
        return "row int8 float16", [q, scale]


class KMeans(MatrixQuantizer):
    """A table of `entries` fp16 values for each tensor, by Lloyd's algorithm on its histogram."""

    def __init__(self, entries: int, min_size: int = 1024) -> None:
        if not 2 <= entries <= 128:
            raise CodecError(f"a table has 2 to 128 entries; met {entries}.")
        self.entries, self.min_size = entries, min_size
        self.name = f"kmeans{entries}"

    def quantise(self, name: str, matrix: np.ndarray, metric: Metric | None) -> Made:
        table = to_float16(name, lloyd(matrix.reshape(-1).astype(np.float64), self.entries))
        middles = (table[1:].astype(np.float64) + table[:-1].astype(np.float64)) / 2
        q = np.searchsorted(middles, matrix).astype(np.int8)
        return f"book int8 float16 {self.entries}", [q, table]


def lloyd(x: np.ndarray, entries: int) -> np.ndarray:
    """The table (entries,) of nearly least squared error for these numbers, ascending; deterministic."""
    counts, edges = np.histogram(x, BINS)
    at, weight = (edges[1:] + edges[:-1]) / 2, counts.astype(np.float64)
    table = np.quantile(x, (np.arange(entries) + 0.5) / entries)
    for _ in range(ROUNDS):
        owner = np.searchsorted((table[1:] + table[:-1]) / 2, at)
        mass = np.bincount(owner, weight, entries)
        found = np.bincount(owner, weight * at, entries) / np.maximum(mass, 1e-300)
        table = np.sort(np.where(mass > 0, found, table))
    return table
