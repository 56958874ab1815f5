"""Decoding a stream of the mixing coder: shapes in, integers out, numba where there is one.

The first call of a process compiles the model (some seconds); without numba the same text runs as plain Python, about
a thousand times slower, which is enough to check a small file on a machine that has nothing else.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .errors import CodecError
from .mix_model import model_tables, run_mix


@cache
def fast_mix() -> Callable[..., int]:
    """`run_mix`, compiled when numba is installed."""
    try:
        from numba import njit
    except ImportError:
        return run_mix
    return njit(run_mix)


def matrix_sizes(specs: list[tuple[str, tuple[int, ...]]]) -> np.ndarray:
    """`(m, 3) int64`: rows, columns, start of the previous matrix when it has the same shape, else -1."""
    out, start, last = [], 0, (-1, -1, -1)
    for _, shape in specs:
        rows = shape[0] if len(shape) > 1 else 1
        count = 1
        for side in shape:
            count *= side
        columns = count // rows if rows else 0
        out.append((rows, columns, last[2] if last[:2] == (rows, columns) else -1))
        last = (rows, columns, start)
        start += count
    return np.array(out, np.int64).reshape(-1, 3)


def unmix(
    data: bytes, specs: list[tuple[str, tuple[int, ...]]], run: Callable[..., int] | None = None
) -> list[np.ndarray]:
    """int8 arrays of these shapes back from the coder's bytes. Raises CodecError."""
    if any(dtype != "int8" for dtype, _ in specs):
        raise CodecError("the mixing coder holds int8 only")
    sizes = matrix_sizes(specs)
    q = np.zeros(int((sizes[:, 0] * sizes[:, 1]).sum()), np.int64)
    lags = np.zeros(int(sizes[:, 0].sum()), np.int64)
    used = (run or fast_mix())(q, sizes, lags, np.array(bytearray(data), np.uint8), True, *model_tables())
    if used != len(data) or (q.size and max(q.max(), -q.min() - 1) > 127):
        raise CodecError("the coded integers do not end where their bytes end, or leave the range of int8")
    out, at = [], 0
    for _, shape in specs:
        count = int(np.prod(shape, dtype=np.int64))
        out.append(q[at : at + count].astype(np.int8).reshape(shape))
        at += count
    return out


def mix_decoders() -> dict[str, Callable[[bytes, Any], Any]]:
    """Decoders of whole arrays by the name that stands in a container."""
    return {"mix": unmix}
