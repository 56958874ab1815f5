"""The encoder of the trellis: the path of least squared error, row by row (Viterbi), compiled by numba.

`best_path` is written for numba and runs as plain Python too; the tests compare it with trying every path of a short
row.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .errors import CodecError
from .quantizers import Made, MatrixQuantizer
from .statistics import Metric
from .trellis import next_states


def best_path(x, moves, rate):  # type: ignore[no-untyped-def]
    """Stored integers of one row, `(C,) float64` in steps -> `(C,) int64`; `rate` is steps^2 charged for each |k|."""
    states, n = moves.shape[0], x.size
    cost = np.full(states, 1e300)
    cost[0] = 0.0
    came = np.zeros((n, states), np.int64)
    took = np.zeros((n, states), np.int64)
    for t in range(n):
        new = np.full(states, 1e300)
        for s in range(states):
            if cost[s] < 1e299:
                for b in range(2):
                    r = (s & 1) + 2 * b
                    k = int(2 * np.floor((x[t] - r) / 4 + 0.5)) + b
                    k = min(max(k, -126 - b), 126 + b)  # int8, and still odd where b is
                    off = x[t] - (2 * k + (s & 1))
                    to = moves[s, b]
                    total = cost[s] + off * off + rate * abs(k)
                    if total < new[to]:
                        new[to] = total
                        came[t, to] = s
                        took[t, to] = k
        cost = new
    state = np.argmin(cost)
    out = np.zeros(n, np.int64)
    for t in range(n - 1, -1, -1):
        out[t] = took[t, state]
        state = came[t, state]
    return out


@cache
def fast_path() -> Callable[..., Any]:
    """`best_path`, compiled when numba is installed."""
    try:
        from numba import njit
    except ImportError:
        return best_path
    return njit(best_path)


class Trellis(MatrixQuantizer):
    """Trellis-coded quantisation: one step for all tensors, `states` states, near the rate-distortion bound."""

    def __init__(self, step: float, states: int = 32, min_size: int = 1024) -> None:
        next_states(states)
        if not 0 < step < 1e4:
            raise CodecError(f"a step lies above 0 and below 10,000; met {step}.")
        self.step, self.states, self.min_size = step, states, min_size
        self.name = f"trellis{states}-{step:g}"

    def quantise(self, name: str, matrix: np.ndarray, metric: Metric | None) -> Made:
        half = np.float32(self.step / 2)  # the trellis works on twice as fine a grid, of which each state sees half
        moves, search = next_states(self.states), fast_path()
        k = np.stack([search(row, moves, 0.0) for row in matrix.astype(np.float64) / float(half)])
        return f"trellis int8 float32 {self.states}", [k.astype(np.int8), np.asarray(half)]


class Uniform(MatrixQuantizer):
    """One step for all tensors: with an entropy coder behind, the best scalar quantiser at equal squared error."""

    def __init__(self, step: float, min_size: int = 1024) -> None:
        if not 0 < step < 1e4:
            raise CodecError(f"a step lies above 0 and below 10,000; met {step}.")
        self.step, self.min_size = step, min_size
        self.name = f"step-{step:g}"

    def quantise(self, name: str, matrix: np.ndarray, metric: Metric | None) -> Made:
        step = np.float32(self.step)
        q = np.rint(matrix.astype(np.float32) / step).clip(-127, 127).astype(np.int8)
        return "one int8 float32", [q, np.asarray(step)]
