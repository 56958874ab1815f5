"""Integer tables of 2^24 slots from a scorer's distances: the same on every machine, and normalised by us.

A scorer says how far each logit lies below the largest, in 1/256 nat. What it says becomes frequencies here, so that a
scorer whose probabilities do not sum to one gains nothing: there is nothing left for it to normalise.

    weight(d) = round(2^30 e^(-d/256))                          an integer, made with integers
    freq(i)   = 1 + floor(weight(i) * ((2^24 - V) / sum))       what is left of 2^24 goes to the first largest

Every machine gets the same. A sum of V weights is an integer below 2^16 * 2^30 = 2^46, exact in float64 in whatever
order it is added. The division and each product are single IEEE operations, correctly rounded everywhere. Nor can
rounding overfill the table: the products sum to at most (2^24 - V)(1 + 2^-51), less than 2^24 - V + 1, and the sum of
their floors is a whole number.
"""

from functools import cache

import numpy as np

from .errors import AuditError

SLOT_BITS = 24
SLOTS = 1 << SLOT_BITS
GRID = 256  # steps of distance to a nat
CHUNK = 1 << 17  # table entries made at a time: they stay in the processor's cache


@cache
def weights() -> np.ndarray:
    """(65536,) float64: round(2^30 e^(-d/256)) of each distance, each a whole number."""
    one = 1 << 128
    ratio = term = one
    count = 0
    while term:  # the series of e^(-1/256), to 128 bits
        count += 1
        term = -term // (GRID * count) if term > 0 else -(term // (GRID * count))
        ratio += term
        if abs(term) <= 1:
            break
    out, power = np.zeros(1 << 16), one
    for d in range(1 << 16):
        out[d] = (power + (1 << 97)) >> 98
        if not out[d]:
            break
        power = power * ratio >> 128
    return out


class Tables:
    """Makes tables; holds the weights. Not to be shared between threads."""

    def __init__(self, size: int) -> None:
        """size: V, the number of token ids, 2 to 65,536. Raises AuditError for any other."""
        if not 2 <= size <= 1 << 16:
            raise AuditError(f"a vocabulary of {size:,} ids cannot be coded; wanted 2 to 65,536.")
        self.size = size
        self.weights = weights()

    def ends(self, distances: np.ndarray) -> np.ndarray:
        """Where each symbol's slots end, all rows laid end to end, (R * V,) int64: row r takes r 2^24 to (r + 1) 2^24.

        distances: (R, V) uint16. Raises AuditError when a row has no 0, the distance of the largest from itself.
        """
        rows = len(distances)
        freq = np.empty((rows, self.size), np.int64)
        step = max(CHUNK // self.size, 1)
        for at in range(0, rows, step):
            some = distances[at : at + step]
            held = np.take(self.weights, some, mode="clip")  # (r, V) float64
            best = some.argmin(axis=1)
            each = np.arange(len(some))
            if some[each, best].any():
                raise AuditError(
                    "the scorer's distances have no 0 in a row: they must be taken from the row's own largest logit."
                )
            held *= ((SLOTS - self.size) / held.sum(axis=1))[:, None]
            made = freq[at : at + step]
            made[...] = held  # floor: all are positive
            made += 1
            made[each, best] += SLOTS - made.sum(axis=1)
        return np.cumsum(freq.reshape(-1))

    def spans(self, distances: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(start, frequency) of one symbol a row, (R,) uint32 each. distances: (R, V) uint16. targets: (R,) ids."""
        start = np.empty(len(targets), np.uint32)
        freq = np.empty(len(targets), np.uint32)
        step = max(CHUNK // self.size, 1)
        for at in range(0, len(targets), step):
            some = slice(at, at + step)
            start[some], freq[some] = self.cut(self.ends(distances[some]), targets[some])
        return start, freq

    def cut(self, ends: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(start within its row, frequency) of one symbol a row, (R,) uint64 each, from what `ends` made."""
        rows = np.arange(len(targets), dtype=np.int64)
        at = rows * self.size + targets
        stop = ends[at]
        start = np.where(at > 0, ends[at - 1], 0)
        return (start - rows * SLOTS).astype(np.uint64), (stop - start).astype(np.uint64)

    def find(self, ends: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """The symbol at one slot a row, (R,) int64. slots: (R,) below 2^24."""
        rows = np.arange(len(slots), dtype=np.int64)
        return np.searchsorted(ends, slots.astype(np.int64) + rows * SLOTS, "right") - rows * self.size


def even_span(size: int, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(start, frequency), uint64 each, of symbols that are all as likely: log2(size) bits each."""
    low, high = (((symbols.astype(np.int64) + more) << SLOT_BITS) // size for more in (0, 1))
    return low.astype(np.uint64), (high - low).astype(np.uint64)


def even_find(size: int, slots: np.ndarray) -> np.ndarray:
    """The symbol at each slot, where all are as likely, (R,) int64."""
    return ((slots.astype(np.int64) + 1) * size - 1) >> SLOT_BITS
