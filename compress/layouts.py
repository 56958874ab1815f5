"""How the arrays of a stream lie as one byte string before a compressor sees them: the layouts.

A compressor sees bytes in order, so order matters: columns next to each other, low bytes apart from high bytes, or
only the bits that are used. A layout is a name (`columns`, `shuffle`, `bits6`, `planes6`); several are applied from
left to right. Both directions live here, a few lines each. Integers of `bitsN` and `planesN` lie in [-2**(N-1),
2**(N-1)).
"""

from collections.abc import Callable
from math import prod

import numpy as np

from .errors import CodecError

Specs = list[tuple[str, tuple[int, ...]]]  # dtype name and shape of each array of a stream


def lay_out(layout: list[str], arrays: list[np.ndarray]) -> bytes:
    """Arrays of one stream to bytes, little-endian. Raises CodecError for an unknown layout or integers too wide."""
    data = b"".join(np.ascontiguousarray(a).astype(a.dtype.newbyteorder("<")).tobytes() for a in arrays)
    for name in layout:
        if name == "shuffle":
            data = np.frombuffer(data, np.uint8).reshape(-1, arrays[0].itemsize).T.tobytes() if data else b""
        elif name == "columns":
            if any(n.startswith(("bits", "planes")) for n in layout[: layout.index(name)]):
                raise CodecError("columns of packed bits cannot be told apart; put columns first.")
            whole = split_arrays(data, [(a.dtype.name, a.shape) for a in arrays])
            data = b"".join(np.ascontiguousarray(a.T if a.ndim == 2 else a).tobytes() for a in whole)
        elif name.startswith(("bits", "planes")):
            data = pack_bits(name, np.frombuffer(data, np.int8))
        else:
            raise CodecError(f"no layout is called {name!r:.40}; try columns, shuffle, bits6 or planes6.")
    return data


def bits_of(name: str) -> int:
    """The N of `bitsN` or `planesN`; CodecError unless it is 1 to 8."""
    digits = name.removeprefix("bits").removeprefix("planes")
    if digits not in ["1", "2", "3", "4", "5", "6", "7", "8"]:
        raise CodecError(f"no layout is called {name!r:.40}; N of bitsN and planesN is 1 to 8.")
    return int(digits)


def pack_bits(name: str, q: np.ndarray) -> bytes:
    """int8 values to N bits each: one after another (`bitsN`), or plane by plane from the highest (`planesN`)."""
    n = bits_of(name)
    if q.size and (q.min() < -(1 << (n - 1)) or q.max() >= 1 << (n - 1)):
        raise CodecError(f"{name} holds {n}-bit integers, met {q.min()} to {q.max()}. Choose a wider layout.")
    grid = np.unpackbits((q.astype(np.int16) + (1 << (n - 1))).astype(np.uint8)[:, None], axis=1)[:, 8 - n :]
    return np.packbits(grid.T if name.startswith("planes") else grid).tobytes()


def read_bits(name: str, data: bytes, specs: Specs) -> bytes:
    """The int8 values of `pack_bits` as bytes. Raises CodecError when there are fewer or more."""
    n, count = bits_of(name), sum(prod(shape) for _, shape in specs)
    if len(data) != -(-count * n // 8):
        raise CodecError(f"{len(data):,} bytes came out, {count:,} integers of {n} bits were to come")
    flat = np.unpackbits(np.frombuffer(data, np.uint8), count=count * n)
    grid = flat.reshape(n, count).T if name.startswith("planes") else flat.reshape(count, n)
    whole = np.packbits(np.pad(grid, ((0, 0), (8 - n, 0))), axis=1)[:, 0].astype(np.int8)
    return (whole - np.int8(1 << (n - 1)) if n < 8 else whole ^ -128).tobytes()


def read_shuffle(name: str, data: bytes, specs: Specs) -> bytes:
    """The bytes of wider numbers back beside each other."""
    return np.frombuffer(data, np.uint8).reshape(np.dtype(specs[0][0]).itemsize, -1).T.tobytes()


def read_columns(name: str, data: bytes, specs: Specs) -> bytes:
    """Matrices that lie column by column back to rows."""
    turned = split_arrays(data, [(d, s[::-1] if len(s) == 2 else s) for d, s in specs])
    return b"".join(np.ascontiguousarray(a.T if a.ndim == 2 else a).tobytes() for a in turned)


def layout_readers() -> dict[str, Callable[[str, bytes, Specs], bytes]]:
    """What undoes each layout, by its name without the number."""
    return {"columns": read_columns, "shuffle": read_shuffle, "bits": read_bits, "planes": read_bits}


def raw_size(specs: Specs) -> int:
    """The bytes of arrays of these dtypes and shapes."""
    return sum(prod(shape) * np.dtype(dtype).itemsize for dtype, shape in specs)


def split_arrays(data: bytes, specs: Specs) -> list[np.ndarray]:
    """Little-endian bytes to arrays of these dtypes and shapes. Raises CodecError when there are fewer or more."""
    if len(data) != raw_size(specs):
        raise CodecError(f"{len(data):,} bytes came out, the table says {raw_size(specs):,}")
    out, at = [], 0
    for dtype, shape in specs:
        kind = np.dtype(dtype).newbyteorder("<")
        out.append(np.frombuffer(data, kind, prod(shape), at).reshape(shape).astype(dtype))
        at += out[-1].nbytes
    return out


def take_up(layout: list[str], data: bytes, specs: Specs) -> list[np.ndarray]:
    """Bytes back to the arrays of a stream. Raises CodecError."""
    for name in reversed(layout):
        word = name.rstrip("12345678")
        if word not in layout_readers():
            raise CodecError(f"the layout {name!r:.40} is not known to this reader")
        data = layout_readers()[word](name, data, specs)
    return split_arrays(data, specs)
