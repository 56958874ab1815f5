"""The path of least damage through a trellis, down each column of a matrix, with error feedback on both sides.

As in `feedback`, what an error costs is the squared rounding error in a triangular frame, so a column is coded when all
later ones are, and its rows one after another; but a choice at one row moves what the next rows aim at. So each of the
trellis's states keeps the errors of its own best path (per-survivor processing), and the Viterbi search stays exact in
the past it has kept. Rows run from the first to the last, as the coder meets them.

Where a weight is much smaller than its step, plain rounding makes almost everything zero and the coder takes it for
next to nothing; the path of least error would leave zero all the time. So there (below half a step) what is not zero
has a price, that of the bits it takes; above, a price would shrink weights, which helps the divergence a little and
hurts the score.

`path_grid` is written for numba and runs as plain Python too.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

SPARED = 1 / 3  # the price is paid below a mean square of 1/4


def path_grid(weights, row_upper, column_lower, row_step, column_step, row_power, column_power, moves):  # type: ignore[no-untyped-def]
    """Stored integers k and the multiples j of half a step that they mean, `(R, C) float64` each.

    row_upper (R, R) or (0, 0): row r holds what an error at row r asks of the rows after it; column_lower (C, C) or
    (0, 0): unit lower triangle; row_power (R,) times column_power (C,): the mean square of a weight there, in steps;
    moves (states, 2): where each state goes.
    """
    rows, columns = weights.shape
    states = moves.shape[0]
    stored, meant = np.zeros((rows, columns)), np.zeros((rows, columns))
    owed = np.zeros((columns, rows))
    beside, fresh = np.zeros((states, rows)), np.zeros((states, rows))
    came, took = np.zeros((rows, states), np.int64), np.zeros((rows, states), np.int64)
    cost, new = np.zeros(states), np.zeros(states)
    for c in range(columns - 1, -1, -1):
        beside[:] = 0.0
        cost[:] = 1e300
        cost[0] = 0.0
        for r in range(rows):
            half = row_step[r] * column_step[c] * 0.5
            aim = weights[r, c] - owed[c, r]
            power = max(row_power[r] * column_power[c], 1e-3)
            price = max(1 / (12 * power) - SPARED, 0.0)  # of anything but zero, where nearly all would be zero anyway
            new[:] = 1e300
            for s in range(states):
                if cost[s] > 1e299:
                    continue
                x = (aim - beside[s, r]) / half
                odd, size = s & 1, abs(x)
                for b in range(2):
                    k = 2 * int(np.floor(((size / (1 + price) + odd) * 0.5 - b) * 0.5 + 0.5)) + b
                    k = max(min(k, 1 << 30), b)
                    j = 2 * k - odd if k > 0 else 0
                    lost = (size - j) ** 2 + price * j * j
                    if k == 2 and odd and size * size < lost:
                        k, lost = 0, size * size
                    total = cost[s] + lost
                    to = moves[s, b]
                    if total < new[to]:
                        new[to] = total
                        came[r, to] = s
                        took[r, to] = k if x >= 0 else -k
            cost[:] = new
            if row_upper.shape[0]:
                for s in range(states):
                    if cost[s] < 1e299:
                        was, k = came[r, s], took[r, s]
                        odd = was & 1
                        miss = (2 * k - (odd if k > 0 else -odd if k < 0 else 0)) * half - aim
                        for z in range(r + 1, rows):
                            fresh[s, z] = beside[was, z] + row_upper[r, z] * miss
                beside, fresh = fresh, beside
        s = int(np.argmin(cost))
        for r in range(rows - 1, -1, -1):
            k, s = took[r, s], came[r, s]
            odd = s & 1
            stored[r, c] = k
            meant[r, c] = 2 * k - (odd if k > 0 else -odd if k < 0 else 0)
        if column_lower.shape[0]:
            error = meant[:, c] * 0.5 * row_step * column_step[c] - weights[:, c]
            for z in range(c):
                owed[z] += column_lower[c, z] * error
    return stored, meant


@cache
def fast_paths() -> Callable[..., Any]:
    """`path_grid`, compiled when numba is installed."""
    try:
        from numba import njit
    except ImportError:
        return path_grid
    return njit(path_grid)
