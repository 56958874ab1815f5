"""Numbers back from their parts: the decode half of every quantiser.

A tensor in a container has a *scheme*, a few words that say which arrays it is made of and how they become numbers
again. `raw float16` is one array in that dtype; `row int8 float16` are integers and one scale a row; `one` has a
single scale; `affine` a scale and a zero a row; `book` a table of values that the integers look up; `trellis` walks a
trellis of so many states; `grid` has a step for each row and column (`grid`).
"""

from math import prod

import numpy as np

from .errors import CodecError
from .grid import on_grid
from .trellis import next_states, walk_trellis

STORED = [
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
]
FLOATS = ["bfloat16", "float16", "float32", "float64"]


def part_specs(scheme: str, shape: tuple[int, ...]) -> list[tuple[str, tuple[int, ...]]]:
    """dtype and shape of each array that a tensor of this scheme and shape is made of. Raises CodecError."""
    word, *dtypes = scheme.split(" ")
    wants: dict[str, list[tuple[int, ...]]] = {"raw": [shape], "one": [shape, ()], "row": [shape, shape[:1]]}
    wants["affine"] = [shape, shape[:1], shape[:1]]
    if word == "book" and dtypes[2:] and dtypes[2].isdecimal() and 0 < int(dtypes[2][:4]) <= 256:
        wants["book"] = [shape, (int(dtypes.pop()),)]
    if word == "trellis" and dtypes[2:] and dtypes[2].isdecimal():
        next_states(int(dtypes.pop()[:4]))
        wants["trellis"] = [shape, ()]
    if word == "grid" and len(dtypes) > 5 and all(d.isdecimal() and len(d) < 12 for d in dtypes[-2:]) and shape:
        count, states = int(dtypes.pop()), int(dtypes.pop())
        columns = prod(shape[1:]) if shape[0] else 0
        wants["grid"] = [shape, shape[:1], (columns,), (), *([(count,)] * 2 if count else [])]
        if states != 1:
            next_states(states)
        if dtypes[1:3] != ["int8", "int8"] or dtypes[4:] not in ([], ["int32", "int32"]):
            dtypes = []
    if word not in wants or len(wants[word]) != len(dtypes) or any(d not in STORED for d in dtypes):
        raise CodecError(f"the scheme {scheme!r:.60} is not known to this reader")
    if word in ("row", "affine", "trellis") and not shape:
        raise CodecError(f"the scheme {scheme!r:.60} wants rows, the tensor has none")
    return list(zip(dtypes, wants[word], strict=True))


def dequantize(scheme: str, parts: list[np.ndarray], shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """The tensor of this scheme; bfloat16 comes as float32 holding bfloat16 values. Arithmetic is float32."""
    word = scheme.split(" ", 1)[0]
    q, rest = parts[0], [p.astype(np.float32) for p in parts[1:]]
    with np.errstate(all="ignore"):
        if word == "raw":
            out = q
        elif word == "grid":
            rows = parts[1].size
            flat = q.reshape(rows, -1) if rows else q.reshape(0, 0)
            out = on_grid([flat, *parts[1:]], int(scheme.split(" ")[-2])).reshape(shape)
        elif word == "book":
            if q.size and not 0 <= int(q.min()) <= int(q.max()) < rest[0].size:
                raise CodecError("an integer points beyond its table of values")
            out = rest[0][q]
        else:
            if word == "trellis":
                q = walk_trellis(
                    q.reshape(shape[0], -1) if q.size else q.reshape(0, 0), int(scheme.rsplit(" ", 1)[1])
                ).reshape(shape)
            rest = [r.reshape(r.shape + (1,) * (len(shape) - 1)) if r.ndim else r for r in rest]
            out = q.astype(np.float32) * rest[0]
            if word == "affine":
                out = out + rest[1]
    return cast_like(out, dtype)


def cast_like(values: np.ndarray, dtype: str) -> np.ndarray:
    """`values` in the numpy dtype of that name; "bfloat16" is rounded (half to even) and stays float32."""
    with np.errstate(all="ignore"):
        if dtype != "bfloat16":
            return values.astype(dtype)
        bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
        return bits.view(np.float32).reshape(values.shape)
