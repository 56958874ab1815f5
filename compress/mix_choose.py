"""What the writer of the mixing coder decides: which row copies which, which way a trellis ran, what regression pays.

How far rows and columns differ, and whether their means do, are moments; what a regression would gain is the evidence
of its Gaussian model, a determinant. Nothing here is tried by coding it.
"""

from math import lgamma, log, pi

import numpy as np

from .mix_plan import LARGEST, Copies, Plan, quarter_power
from .trellis import walk_trellis

RIDGES = (256, 64, 16)  # the surest first: where one pays less than the one before, so will the next
SURE = 3.0  # standard deviations by which integers must follow a trellis, to be taken for its own
NONE = (1, False)  # no trellis


def likely_plans(q: np.ndarray, trellis: tuple[int, bool] = NONE) -> list[Plan]:
    """How to code `(m, n, d)`: two ways where a trellis runs along one side and regression pays along the other."""
    states, down = trellis
    x = q
    if states > 1:
        x = np.stack([walk_trellis(a.T if down else a, states) / 2 for a in q])
        x = x.transpose(0, 2, 1) if down else x
    found = [moments_of(a) for a in x]
    gains = {t: [best_ridge(a.T if t else a, len(q)) for a in x] for t in (False, True)}
    better = sum(g for g, _ in gains[True]) > sum(g for g, _ in gains[False])
    plans = []
    for turned in dict.fromkeys((down, better) if states > 1 else (better,)):
        ridges = np.array([r for _, r in gains[turned]], np.float64)
        priors = np.array([p for _, p in found])
        if turned:
            priors[:, :2] = priors[:, 1::-1]
        priors = quarter_power(2 * np.rint(2 * np.log2(priors)).astype(np.int64))
        levels = np.maximum(np.rint(np.array([p for p, _ in found]) * 256) / 256, 1 / 64)
        known = states if turned == down else 1
        plans.append(Plan(turned, known, int(q.min()), int(q.max()), levels, priors, ridges))
    return plans


def moments_of(q: np.ndarray) -> tuple[float, list[float]]:
    """A matrix's mean magnitude, and the weights that shrink its rows' levels, columns' shares and columns' means."""
    x = np.abs(q).astype(np.float64)
    n, d = x.shape
    mean = max(float(x.mean()), 1 / 256)
    rows, columns = np.maximum(x.mean(1) / mean, 0.02), np.maximum(x.mean(0) / mean, 0.02)
    spread = float(np.square(x / rows[:, None] / columns / mean - 1).mean())
    out = []
    for part, count in ((rows, d), (columns, n)):
        real = float(np.square(part - 1).mean()) - spread / count
        out.append(min(max(spread / max(real, 1e-9), 2), 4096))
    means, noise = q.mean(0), float(q.var())
    real = float(np.square(means).mean()) - noise / n
    sure = real > 2 * noise / n * (2 / d) ** 0.5
    return mean, [*out, min(max(noise / max(real, 1e-9), 1), 4096) if sure else 2.0**100]


def best_ridge(q: np.ndarray, m: int) -> tuple[float, float]:
    """Bits that regression on earlier rows gains by its evidence, and the ridge; `(0, 0)` where it pays nothing."""
    n, d = q.shape
    if n < 32 or (d + 1) ** 2 * m > LARGEST:
        return 0.0, 0.0
    x = q.astype(np.float64)
    x /= np.sqrt(np.square(x).mean(1, keepdims=True)) + 0.3
    x /= np.sqrt(np.square(x).mean(0)) + 1e-3
    best, last = (0.004 * q.size, 0.0), 0.0
    x = x[:: max(1, n // 4096)]
    weight = n / len(x)
    own = x.T @ x if d <= len(x) else x @ x.T
    for ridge in RIDGES:
        value = evidence(own, ridge, *x.shape) * weight
        best = max(best, (value, float(ridge)))
        if value <= last:
            break
        last = value
    return best if best[1] else (0.0, 0.0)


def evidence(own: np.ndarray, ridge: float, n: int, d: int) -> float:
    """log2 of the evidence of a covariance with an inverse Wishart prior of that weight, over that of unit variance."""

    def gamma_ratio(nu: float) -> float:
        return sum(lgamma((nu + n - i) / 2) - lgamma((nu - i) / 2) for i in range(d))

    nu = ridge + d + 1
    _, logdet = np.linalg.slogdet(np.eye(len(own)) + own / ridge)
    told = gamma_ratio(nu) - n * d / 2 * log(pi) - n * d / 2 * log(ridge) - (nu + n) / 2 * logdet
    return (told + n * d / 2 * log(2 * pi * 2.718281828)) / log(2)


def find_trellis(q: np.ndarray, states: int) -> tuple[int, bool]:
    """Which way a trellis of so many states made these integers; no trellis where neither is likely.

    Half of all states are odd; there an integer means half a step more, and so is half a step less on average.
    """
    best = SURE, 1, False
    for down in (False, True) if states > 1 and q.size else ():
        k = np.ascontiguousarray((q.T if down else q)[:4096, :128]).astype(np.float64)
        k /= np.square(k).mean(axis=1, keepdims=True) + 0.25
        odd = walk_trellis((q.T if down else q)[:4096, :128], states) & 1
        less = float(((0.5 - odd) * k).sum()) / (0.5 * float(np.sqrt(np.square(k).sum())) + 1e-9)
        best = max(best, (less, states, down))
    return best[1:]


def find_copies(q: np.ndarray) -> Copies | None:
    """Rows that all but repeat others, when at least eight do."""
    n, d = q.shape
    if n < 16 or d < 16:
        return None
    x = q[:, :: max(1, d // 64)].astype(np.int16)
    own = np.abs(x).mean(1)
    roots: list[int] = []
    free = np.ones(n, bool)
    which = np.full(n, -1)
    for _ in range(16):
        left = np.flatnonzero(free[:4096])
        best = np.zeros(0, np.int64)
        for i in left[:: max(1, len(left) // 192)]:
            near = np.flatnonzero((np.abs(x - x[i]).mean(1) < own / 2) & free)
            if len(near) > len(best):
                best, root = near, int(i)
        best = best[best != root] if len(best) else best
        far = np.abs(q[best].astype(np.int16) - q[root]).max(1) > 127 if len(best) else best
        best = best[~far] if len(best) else best
        if len(best) < 8:
            break
        which[best] = len(roots)
        roots.append(root)
        free[best] = False
        free[root] = False
    if not roots:
        return None
    rows = which >= 0
    return Copies(np.array(roots), rows, which[rows])
