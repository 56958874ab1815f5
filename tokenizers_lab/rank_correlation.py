"""Do two measures put the same things in the same order? Spearman's rank correlation, with what chance would give.

The p-value is the share of shuffled orders that agree at least as much in either direction (a permutation test); the
interval is a bootstrap over the things ranked. With a dozen things both are wide, and say so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000
SEED = 20240520


@dataclass(frozen=True, slots=True)
class Correlation:
    """rho: -1 to 1. p: two-sided. low, high: 95% interval."""

    rho: float
    p: float
    low: float
    high: float
    count: int


def spearman(a: Sequence[float], b: Sequence[float]) -> Correlation:
    """Correlation of the ranks of `a` and `b`, ties in the middle. Deterministic. ValueError for fewer than three."""
    from scipy.stats import rankdata

    if len(a) != len(b) or len(a) < 3 or len(set(a)) < 2 or len(set(b)) < 2:
        raise ValueError(f"{len(a)} and {len(b)} values; wanted as many of both, three at least, not all the same.")
    x, y = np.asarray(a, float), np.asarray(b, float)
    random = np.random.default_rng(SEED)
    rho = _pearson(rankdata(x)[None], rankdata(y)[None])[0]
    shuffled = random.permuted(np.tile(rankdata(y), (DRAWS, 1)), axis=1)
    by_chance = np.abs(_pearson(np.tile(rankdata(x), (DRAWS, 1)), shuffled))
    p = (1 + np.count_nonzero(by_chance >= abs(rho) - 1e-12)) / (1 + DRAWS)
    drawn = random.integers(0, len(x), (DRAWS, len(x)))
    spread = _pearson(rankdata(x[drawn], axis=1), rankdata(y[drawn], axis=1))
    low, high = np.nanquantile(spread, [0.025, 0.975])
    return Correlation(float(rho), float(p), float(low), float(high), len(x))


def _pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n,) correlation of the rows of x and y, (n, k) each; nan where a row has one value only."""
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    spread = np.sqrt((x * x).sum(1) * (y * y).sum(1))
    return np.divide((x * y).sum(1), spread, out=np.full(len(x), np.nan), where=spread > 0)
