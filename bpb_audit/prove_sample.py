"""A sample of documents that anyone can draw again, and what it says about all of them.

Documents are ordered by sha256(seed, number) and the first n taken: no generator whose algorithm a library may change.
The interval is a percentile bootstrap of the ratio sum of bits / sum of raw bytes over whole documents, because tokens
of one document are not independent.
"""

import hashlib
import struct

import numpy as np

RESAMPLES = 2000


def choose(population: int, count: int, seed: int) -> np.ndarray:
    """(count,) int64, sorted: `count` of the numbers 0 to population - 1."""
    keys = [hashlib.sha256(struct.pack("<QQ", seed, number)).digest()[:8] for number in range(population)]
    order = np.argsort(np.frombuffer(b"".join(keys), ">u8"), kind="stable")
    return np.sort(order[:count])


def interval(bits: np.ndarray, raw: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Bits per raw byte of all documents, from those sampled: (low, high). bits, raw: (d,) of each document."""
    rng = np.random.Generator(np.random.PCG64(0))
    ratios = np.empty(RESAMPLES)
    for at in range(RESAMPLES):
        drawn = rng.integers(0, len(bits), len(bits))
        ratios[at] = bits[drawn].sum() / max(raw[drawn].sum(), 1)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
