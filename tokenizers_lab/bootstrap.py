"""Is one vocabulary better than another, or were the documents kind to it? A paired bootstrap over documents.

Both vocabularies are scored on the same documents; documents are drawn again with replacement, the same draw for both,
and the ratio of their bits is looked at over all draws (Efron and Tibshirani 1993; for text, Koehn 2004). What is
common to the two, such as an easy document, cancels: the interval is much narrower than that of either score.
"""

from dataclasses import dataclass

import numpy as np

DRAWS = 4000
SEED = 20240520


@dataclass(frozen=True, slots=True)
class Difference:
    """a against b: `change` is (bits of a - bits of b) / bits of b; low, high: its 95% interval."""

    change: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def paired(a: np.ndarray, b: np.ndarray, draws: int = DRAWS) -> Difference:
    """Compare bits per document, (D,) each, of the same documents. Deterministic. D of at least 1, b above 0."""
    random = np.random.default_rng(SEED)
    ratios = np.empty(draws)
    step = max(1, 4_000_000 // len(a))  # draws at a time, so that memory stays small
    for at in range(0, draws, step):
        weights = random.multinomial(len(a), np.full(len(a), 1 / len(a)), size=min(step, draws - at))  # (step, D)
        ratios[at : at + step] = (weights @ a) / (weights @ b) - 1
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Difference(float(a.sum() / b.sum() - 1), float(low), float(high))
