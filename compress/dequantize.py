"""Numbers back from their parts: the decode half of every quantiser.

A tensor in a container has a *scheme*, a few words that say which arrays it is made of and how they become numbers
again. `raw float16` is one array in that dtype; `row int8 float16` are integers and one scale a row; `one` has a
single scale; `affine` a scale and a zero a row; `book` a table of values that the integers look up; `trellis` walks a
trellis of so many states; `grid` has a step for each row and column (`grid`).

Each scheme is a function that knows the shapes of its arrays and one that computes the values, under its word in
`scheme_decoders`: a script that is built for one recipe carries the rows of that table that its files may need.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from .errors import CodecError
from .grid import on_grid
from .trellis import next_states, walk_trellis

Sides = tuple[int, ...]
INTEGERS = ["bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"]
STORED = [*INTEGERS, "float16", "float32", "float64"]


def raw_shapes(shape: Sides, dtypes: list[str]) -> list[Sides]:
    """The values themselves."""
    return [shape]


def raw_values(parts: list[np.ndarray], shape: Sides) -> np.ndarray:
    """The values as they are stored."""
    return parts[0]


def one_shapes(shape: Sides, dtypes: list[str]) -> list[Sides]:
    """Integers and one scale."""
    return [shape, ()]


def row_shapes(shape: Sides, dtypes: list[str]) -> list[Sides]:
    """Integers and a scale a row. Raises CodecError for a tensor without rows."""
    if not shape:
        raise CodecError("the scheme wants rows, the tensor has none")
    return [shape, shape[:1]]


def affine_shapes(shape: Sides, dtypes: list[str]) -> list[Sides]:
    """Integers, a scale and a zero a row. Raises CodecError for a tensor without rows."""
    return [*row_shapes(shape, dtypes), shape[:1]]


def scaled(parts: list[np.ndarray], shape: Sides) -> np.ndarray:
    """Integers times a scale, by row where it has rows, in float32; and a zero on top where there is one."""
    q, *rest = (p.astype(np.float32) for p in parts)
    scale, *zeros = (r.reshape(r.shape + (1,) * (len(shape) - 1) * r.ndim) for r in rest)
    out = q * scale
    for zero in zeros:
        out = out + zero
    return out


def book_shapes(shape: Sides, dtypes: list[str], entries: int) -> list[Sides]:
    """Integers and a table of values. Raises CodecError for a table too long."""
    if entries > 256:
        raise CodecError("the scheme has a table of more than 256 values")
    return [shape, (entries,)]


def book_values(parts: list[np.ndarray], shape: Sides, entries: int) -> np.ndarray:
    """Values of the table. Raises CodecError for an integer beyond it."""
    q, table = parts[0].astype(np.int64), parts[1]
    if q.size and not 0 <= int(q.min()) <= int(q.max()) < entries:
        raise CodecError("an integer points beyond its table of values")
    return table.astype(np.float32)[q]


def trellis_shapes(shape: Sides, dtypes: list[str], states: int) -> list[Sides]:
    """Integers and half a step. Raises CodecError for a tensor without rows or an unknown number of states."""
    next_states(states)
    return [row_shapes(shape, dtypes)[0], ()]


def trellis_values(parts: list[np.ndarray], shape: Sides, states: int) -> np.ndarray:
    """What the walk through the trellis makes of the integers, times half a step."""
    q, half = parts
    matrix = q.reshape(shape[0], -1) if q.size else q.reshape(0, 0)
    return scaled([walk_trellis(matrix, states).reshape(shape), half], shape)


def grid_shapes(shape: Sides, dtypes: list[str], states: int, count: int, down: int = 0) -> list[Sides]:
    """Integers, exponents of rows and columns, a step, places and amounts. Raises CodecError."""
    if states != 1:
        next_states(states)
    if not shape or dtypes[1:3] != ["int8", "int8"] or dtypes[4:] != ["int32", "int32"][: 2 * count] or down > 1:
        raise CodecError("the scheme is not known to this reader")
    columns = prod(shape[1:]) if shape[0] else 0
    return [shape, shape[:1], (columns,), (), *[(count,)] * len(dtypes[4:])]


def grid_values(parts: list[np.ndarray], shape: Sides, states: int, count: int, down: int = 0) -> np.ndarray:
    """Integers times a step for each row and column."""
    rows = parts[1].size
    flat = parts[0].reshape(rows, -1) if rows else parts[0].reshape(0, 0)
    return on_grid([flat, *parts[1:]], states, down).reshape(shape)


def scheme_decoders() -> dict[str, tuple[Callable[..., list[Sides]], Callable[..., np.ndarray]]]:
    """Of each scheme: shapes of its arrays `(shape, dtypes, *numbers)`, its values `(parts, shape, *numbers)`."""
    return {
        "raw": (raw_shapes, raw_values),
        "one": (one_shapes, scaled),
        "row": (row_shapes, scaled),
        "affine": (affine_shapes, scaled),
        "book": (book_shapes, book_values),
        "trellis": (trellis_shapes, trellis_values),
        "grid": (grid_shapes, grid_values),
    }


def read_scheme(scheme: str) -> tuple[Any, list[str], list[int]]:
    """Its row of `scheme_decoders`, its dtypes, and the numbers behind them. Raises CodecError."""
    word, *rest = scheme.split(" ")
    dtypes = [w for w in rest if w in STORED]
    numbers = [w for w in rest if w.isdecimal() and len(w) < 12]
    if word not in scheme_decoders() or dtypes + numbers != rest:
        raise CodecError("the scheme is not known to this reader")
    return scheme_decoders()[word], dtypes, list(map(int, numbers))


def part_specs(scheme: str, shape: Sides) -> list[tuple[str, Sides]]:
    """dtype and shape of each array that a tensor of this scheme and shape is made of. Raises CodecError."""
    (shapes, _), dtypes, numbers = read_scheme(scheme)
    try:
        return list(zip(dtypes, shapes(shape, dtypes, *numbers), strict=True))
    except CodecError as error:
        raise CodecError(f"{error}: {scheme!r:.60}") from None
    except (TypeError, ValueError):  # other numbers, or another count of arrays
        raise CodecError(f"the scheme {scheme!r:.60} is not known to this reader") from None


def dequantize(scheme: str, parts: list[np.ndarray], shape: Sides, dtype: str) -> np.ndarray:
    """The tensor of this scheme; bfloat16 comes as float32 holding bfloat16 values. Arithmetic is float32."""
    (_, values), _, numbers = read_scheme(scheme)
    with np.errstate(all="ignore"):
        return cast_like(values(parts, shape, *numbers), dtype)


def cast_like(values: np.ndarray, dtype: str) -> np.ndarray:
    """`values` in the numpy dtype of that name; "bfloat16" is rounded (half to even) and stays float32."""
    if dtype != "bfloat16":
        return values.astype(dtype)
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return bits.view(np.float32).reshape(values.shape)
