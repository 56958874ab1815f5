"""The grid of row steps and column steps: the decode half, shared by every quantiser that allocates steps.

A value is `j * step * f(a_r) * f(b_c)` with f(e) = 2^(e/4): one step for the tensor, an exponent of a quarter octave
for each row and each column, int8. Quarters of an octave lose 0.007 bits a weight against exact steps, and a row's
exponent takes some three bits. Integers that int8 cannot hold are cut off and what is missing stands beside, place
and amount; with a trellis, j is what the states make of the integers (`trellis`).
"""

import numpy as np

from .errors import CodecError
from .trellis import walk_trellis

QUARTERS = np.array([1.0, 1.1892071, 1.4142135, 1.6817929], np.float32)  # 2^0, 2^(1/4), 2^(1/2), 2^(3/4) in float32


def octaves(exponents: np.ndarray) -> np.ndarray:
    """2^(e/4) in float32, the same on every machine. `(n,) int8 -> (n,) float32`."""
    e = exponents.astype(np.int64)
    return np.ldexp(QUARTERS[e & 3], (e >> 2).astype(np.int32)).astype(np.float32)


def on_grid(parts: list[np.ndarray], states: int, down: int = 0) -> np.ndarray:
    """The values that a grid's arrays mean, float32 `(R, C)`. Raises CodecError.

    parts: integers (R, C); exponents of rows (R,) and columns (C,); step (); and if any are missing their places (n,)
    in the flattened integers and amounts (n,), to be added. states: 1, or those of a trellis, which walks along rows,
    or columns where `down`.
    """
    q, rows, columns, step, *missing = parts
    q = q.astype(np.int64)
    if missing:
        places, amounts = (m.astype(np.int64) for m in missing)
        if places.size and not 0 <= int(places.min()) <= int(places.max()) < q.size:
            raise CodecError("an amount stands beyond its tensor")
        np.add.at(q.reshape(-1), places, amounts)
    if states > 1:
        q = walk_trellis(q.T, states).T if down else walk_trellis(q, states)
    with np.errstate(all="ignore"):
        by_row = step.astype(np.float32) * octaves(rows)
        return (q.astype(np.float32) * by_row[:, None]) * octaves(columns)
