"""Rounding with error feedback on both sides of a matrix, for any grid of row steps and column steps.

What an error E costs is tr(G E H E^T) (`statistics`). With G = L D L^T and H = M B M^T, L and M unit lower triangular,
that is the squared size of D^(1/2) L^T E M B^(1/2). So columns are rounded from the last to the first and in each the
rows from the last to the first, every number after what the errors so far ask of it: then L^T E M is exactly the
rounding error, and what is left to lose is `d_r b_c` times it squared. With H alone this is GPTQ (Frantar et al.,
arXiv:2210.17323); both sides are YAQA's idea (Tseng et al., arXiv:2505.22988).

`round_grid` is written for numba and runs as plain Python too.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .errors import CodecError

FARTHEST = 1 << 30  # integers beyond this are cut off; a grid is made coarser before that happens


def factors(moment: np.ndarray, damp: float, backwards: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Unit lower triangle (n, n) and diagonal (n,) of a damped second moment; (0, 0) and the diagonal of a vector's.

    damp: share of the mean diagonal added; backwards: the triangle is an upper one. Raises CodecError when the moment
    is not positive even then.
    """
    count = moment.shape[0]
    diagonal = moment if moment.ndim == 1 else np.diag(moment)
    extra = max(damp * float(diagonal.mean()) if count else 0.0, 1e-30)
    if moment.ndim == 1:
        if (moment < 0).any():
            raise CodecError("a second moment is negative; the statistics are damaged, make them again.")
        return np.zeros((0, 0)), moment + extra
    turn = slice(None, None, -1 if backwards else 1)
    try:
        lower = np.linalg.cholesky((moment + np.eye(count) * extra)[turn, turn])
    except np.linalg.LinAlgError:
        raise CodecError(
            "a second moment is not positive definite after damping; use more text to calibrate."
        ) from None
    scale = np.diag(lower)
    return np.ascontiguousarray((lower / scale)[turn, turn]), (scale * scale)[turn]


def round_grid(weights, row_lower, column_lower, row_step, column_step, limit):  # type: ignore[no-untyped-def]
    """Integers q, `(R, C) float64`, with `q * row_step * column_step` near `weights` in the metric of the factors.

    row_lower (R, R) or (0, 0), column_lower (C, C) or (0, 0): unit lower triangles; limit: the largest |q|.
    """
    rows, columns = weights.shape
    q = np.zeros((rows, columns))
    owed = np.zeros((columns, rows))  # E M so far, by column
    beside = np.zeros(rows)  # L^T of the same, within the column
    for c in range(columns - 1, -1, -1):
        beside[:] = 0.0
        for r in range(rows - 1, -1, -1):
            step = row_step[r] * column_step[c]
            aim = weights[r, c] - owed[c, r]
            near = np.rint((aim - beside[r]) / step)
            near = min(max(near, -limit), limit)
            q[r, c] = near
            if row_lower.shape[0]:
                miss = near * step - aim
                for z in range(r):
                    beside[z] += row_lower[r, z] * miss
        if column_lower.shape[0]:
            error = q[:, c] * row_step * column_step[c] - weights[:, c]
            for z in range(c):
                owed[z] += column_lower[c, z] * error
    return q


@cache
def fast_round() -> Callable[..., Any]:
    """`round_grid`, compiled when numba is installed."""
    try:
        from numba import njit
    except ImportError:
        return round_grid
    return njit(round_grid)
