"""What a stream of the mixing coder says before its integers: which matrices go side by side, and how each is coded.

Arrays of one shape may make a block; a matrix of which rows copy others makes two, its own rows and then the
differences of the copying rows from theirs. An array that is no matrix is laid into one and padded with zeros.
"""

from typing import NamedTuple

import numpy as np

from .errors import CodecError

Shape = tuple[int, ...]
LARGEST = 1 << 22  # entries of all covariances of a block together


class Plan(NamedTuple):
    """How a block `(m, n, d)` is coded; arrays hold a row for each matrix."""

    turned: bool  # coded column by column
    states: int  # of the trellis that each row walks as it is coded, 1 for none
    low: int
    high: int
    levels: np.ndarray  # (m,) mean magnitude
    priors: np.ndarray  # (m, 3) weight of the matrix in a row's level, in a column's share, and in its mean
    ridges: np.ndarray  # (m,) weight of no correlation, in rows; 0 for no regression


class Copies(NamedTuple):
    """Which rows of a matrix are coded as differences from which others."""

    roots: np.ndarray  # rows that are copied
    rows: np.ndarray  # (n,) bool, the rows that copy
    which: np.ndarray  # index into roots, one for each of those


def quarter_power(codes: np.ndarray) -> np.ndarray:
    """2 ** (codes / 4), the same float64 on every machine."""
    roots = np.array([1.0, 1.189207115002721, 1.4142135623730951, 1.681792830507429])
    return np.ldexp(roots[codes % 4], codes // 4)


def matrix_shape(shape: Shape) -> tuple[int, int]:
    """Rows and columns of the matrix that an array of this shape is coded as; `rows * columns` may exceed its size."""
    count = 1
    for side in shape:
        count *= side
    rows = shape[0] if len(shape) > 1 else 1
    columns = count // rows if rows else 0
    if min(rows, columns) >= 8 and (rows + columns) ** 2 < 4096 * count:
        return rows, columns
    width = 1 << (count.bit_length() // 2)
    return -(-count // width), width if count else 0


class PlanReader:
    """Plans back from their bytes. Raises CodecError for bytes that are none."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> np.ndarray:
        """The next bytes, as `(count,) uint8`."""
        got = np.frombuffer(self.data[self.at : self.at + count], np.uint8)
        self.at += count
        if len(got) < count:
            raise CodecError("the plan of the mixing coder is cut short")
        return got

    def copies(self, rows: int) -> Copies | None:
        """Copies of a matrix of so many rows, or None."""
        count = int(self.take(2).view("<u2")[0])
        if not count:
            return None
        roots = self.take(4 * count).view("<u4").astype(np.int64)
        mask = np.unpackbits(self.take(-(-rows // 8)), count=rows).astype(bool)
        which = self.take(int(mask.sum())) if count > 1 else np.zeros(int(mask.sum()), np.uint8)
        if count > 256 or roots.max() >= rows or mask[roots].any() or (len(which) and which.max() >= count):
            raise CodecError("rows of the mixing coder copy rows that are not there")
        return Copies(roots, mask, which.astype(np.int64))

    def plan(self, matrices: int, rows: int, columns: int) -> Plan:
        """The plan of a block of these sizes."""
        count, way, low, high = (int(v) for v in self.take(4))
        turned, states = way & 1, 1 << (way >> 1)
        codes = self.take(6 * matrices).reshape(matrices, 6)
        low, high = low - (low & 128) * 2, high - (high & 128) * 2
        levels = np.ascontiguousarray(codes[:, :2]).view("<u2")[:, 0] / 256
        codes = codes.astype(np.int64)
        ridges = np.where(codes[:, 5], quarter_power(codes[:, 5]), 0)
        priors = quarter_power(2 * codes[:, 2:5])
        side = (rows if turned else columns) + 1
        if count != matrices or low > high or (ridges.any() and side * side * matrices > LARGEST):
            raise CodecError("the plan of the mixing coder does not fit its matrices")
        return Plan(bool(turned), states, low, high, np.maximum(levels, 1 / 64), priors, ridges)
