"""Hashes of 64-token windows, sampled by their own value: passages that two streams share, wherever they stand.

A window inside one document is kept when its hash falls into one sixteenth of all values, so that the same passage is
kept in both streams whatever stands around it. The hash is a polynomial in random values of the ids, modulo 2^64: with
prefix sums a window takes two additions and two multiplications, all in numpy. Shared values are then looked up.
"""

from functools import cache

import numpy as np

WIDTH = 64  # tokens
SAMPLE_BITS = 4  # one window in 16
BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64
FILTER_BITS = 24


def _mixed(values: np.ndarray) -> np.ndarray:
    """(n,) uint64, each value stirred so that every bit depends on all bits (splitmix64's last steps)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@cache
def _values() -> np.ndarray:
    """(65536,) uint64: a random value for each id."""
    return _mixed(np.arange(1, (1 << 16) + 1, dtype=np.uint64) * np.uint64(BASE))


def sampled(ids: np.ndarray, bos: int) -> tuple[np.ndarray, np.ndarray]:
    """(hashes (k,) uint64, first tokens (k,) int64) of the sampled windows that hold no `bos`. ids: (n,) uint16."""
    if len(ids) < WIDTH:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    power = np.full(len(ids), BASE, np.uint64)
    power[0] = 1
    np.multiply.accumulate(power, out=power)  # (n,) BASE^i
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(_values()[ids] * power)))  # (n + 1,)
    inverse = np.full(len(ids) - WIDTH + 1, pow(BASE, -1, 1 << 64), np.uint64)
    inverse[0] = 1
    np.multiply.accumulate(inverse, out=inverse)  # (n - 63,) BASE^-i
    hashes = _mixed((sums[WIDTH:] - sums[:-WIDTH]) * inverse)
    kept = np.flatnonzero(hashes >> np.uint64(64 - SAMPLE_BITS) == 0)
    marks = np.flatnonzero(ids == bos)
    if len(marks):
        ahead = np.append(marks, len(ids))[np.searchsorted(marks, kept)]  # the next mark at or behind the window's head
        kept = kept[ahead >= kept + WIDTH]
    return hashes[kept], kept


class Known:
    """The sampled windows of a set of documents, and which of them were met elsewhere.

    hashes: (k,) uint64 of the windows. owners: (k,) the document of each. Memory: some 30 bytes a sampled window.
    """

    def __init__(self, hashes: np.ndarray, owners: np.ndarray) -> None:
        order = np.argsort(hashes)
        self._sorted, self._owners = hashes[order], owners[order]
        self._met = np.zeros(len(hashes), bool)  # of the first window among equal ones
        self._filter = np.zeros(1 << FILTER_BITS, bool)
        self._filter[self._short(hashes)] = True

    @staticmethod
    def _short(hashes: np.ndarray) -> np.ndarray:
        return (hashes & np.uint64((1 << FILTER_BITS) - 1)).astype(np.int64)

    def meet(self, hashes: np.ndarray) -> None:
        """Mark the windows that are among `hashes` (n,) uint64."""
        near = np.sort(hashes[self._filter[self._short(hashes)]])
        at = np.searchsorted(self._sorted, near)
        inside = at < len(self._sorted)
        at = at[inside]
        self._met[at[self._sorted[at] == near[inside]]] = True

    def counts(self, documents: int) -> tuple[np.ndarray, np.ndarray]:
        """(windows sampled, windows met), (documents,) int64 each."""
        if not len(self._sorted):
            return np.zeros(documents, np.int64), np.zeros(documents, np.int64)
        first = np.searchsorted(self._sorted, self._sorted)
        met = self._owners[self._met[first]]
        return np.bincount(self._owners, minlength=documents), np.bincount(met, minlength=documents)
