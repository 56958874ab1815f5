"""The path of least damage through a trellis, along each row of a matrix, with error feedback on both sides.

As in `feedback`, what an error costs is the squared rounding error in a triangular frame, so a row is coded when all
later ones are, and its columns one after another; but a choice at one column moves what the next columns aim at. So
each of the trellis's states keeps the errors of its own best path (per-survivor processing), and the Viterbi search
stays exact in the past it has kept. Columns run from the first to the last, as the coder meets them.

Each bit that a choice is likely to take has a price, small enough that weights shrink no more than plain rounding makes
them: a higher one lowers the divergence at equal size and hurts the score.

`path_grid` is written for numba and runs as plain Python too.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

PRICE = 0.05  # of a bit, in squares of half a step


@cache
def bit_prices() -> np.ndarray:
    """`(49, 256)`: the price of a value of j halves where weights have a mean square of 2^((row - 24) / 4) steps.

    Bits are those of a Laplace distribution, in whole 1/1024.
    """
    j = np.arange(256)
    share = 2.0 ** ((np.arange(49)[:, None] - 24) / -8) * 2**-0.5  # what a half step is of the mean size
    mass = np.where(j, np.exp(-np.maximum(j - 1, 0) * share) - np.exp(-(j + 1) * share), 0) / 2
    mass[:, 1] = 0.5 - np.exp(-2 * share[:, 0]) / 2
    mass[:, 0] = 1 - np.exp(-share[:, 0])
    return np.rint(1024 * PRICE * -np.log2(np.maximum(mass, 2.0**-40))) / 1024


def path_grid(weights, row_lower, column_upper, row_step, column_step, row_power, column_power, moves, price):  # type: ignore[no-untyped-def]
    """Stored integers k and the multiples j of half a step that they mean, `(R, C) float64` each.

    row_lower (R, R) or (0, 0): unit lower triangle; column_upper (C, C) or (0, 0): row c holds what an error at column
    c asks of the columns after it; row_power (R,) times column_power (C,): the mean square of a weight there, in steps;
    moves (states, 2): where each state goes; price: `bit_prices`.
    """
    rows, columns = weights.shape
    states = moves.shape[0]
    stored, meant = np.zeros((rows, columns)), np.zeros((rows, columns))
    owed = np.zeros((rows, columns))
    beside, fresh = np.zeros((states, columns)), np.zeros((states, columns))
    came, took = np.zeros((columns, states), np.int64), np.zeros((columns, states), np.int64)
    cost, new = np.zeros(states), np.zeros(states)
    for r in range(rows - 1, -1, -1):
        beside[:] = 0.0
        cost[:] = 1e300
        cost[0] = 0.0
        for c in range(columns):
            half = row_step[r] * column_step[c] * 0.5
            aim = weights[r, c] - owed[r, c]
            size = max(min(int(np.rint(4 * np.log2(row_power[r] * column_power[c] + 1e-30))), 24), -24) + 24
            new[:] = 1e300
            for s in range(states):
                if cost[s] > 1e299:
                    continue
                x = (aim - beside[s, c]) / half
                for b in range(2):
                    rest = (s & 1) + 2 * b
                    near = 2 * int(np.floor((x - rest) / 4 + 0.5)) + b
                    for k in (near, near - 2 if near > 0 else near + 2):  # the nearest, and the next towards zero
                        j = 2 * k + (s & 1)
                        total = cost[s] + (x - j) ** 2 + price[size, min(abs(j), price.shape[1] - 1)]
                        to = moves[s, b]
                        if total < new[to]:
                            new[to] = total
                            came[c, to] = s
                            took[c, to] = k
            cost[:] = new
            if column_upper.shape[0]:
                for s in range(states):
                    if cost[s] < 1e299:
                        was = came[c, s]
                        miss = (2 * took[c, s] + (was & 1)) * half - aim
                        for z in range(c + 1, columns):
                            fresh[s, z] = beside[was, z] + column_upper[c, z] * miss
                beside, fresh = fresh, beside
        s = int(np.argmin(cost))
        for c in range(columns - 1, -1, -1):
            k, s = took[c, s], came[c, s]
            stored[r, c] = k
            meant[r, c] = 2 * k + (s & 1)
        if row_lower.shape[0]:
            error = meant[r] * 0.5 * row_step[r] * column_step - weights[r]
            for z in range(r):
                owed[z] += row_lower[r, z] * error
    return stored, meant


@cache
def fast_paths() -> Callable[..., Any]:
    """`path_grid`, compiled when numba is installed."""
    try:
        from numba import njit
    except ImportError:
        return path_grid
    return njit(path_grid)
