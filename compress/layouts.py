"""How the arrays of a stream lie as one byte string before a compressor sees them: the layouts.

A compressor sees bytes in order, so order matters: columns next to each other, low bytes apart from high bytes, or
only the bits that are used. A layout is a name (`columns`, `shuffle`, `bits6`, `planes6`); several are applied from
left to right. Both directions live here, a few lines each. Integers of `bitsN` and `planesN` lie in [-2**(N-1),
2**(N-1)).
"""

from math import prod

import numpy as np

from .errors import CodecError

Specs = list[tuple[str, tuple[int, ...]]]  # dtype name and shape of each array of a stream


def lay_out(layout: list[str], arrays: list[np.ndarray]) -> bytes:
    """Arrays of one stream to bytes, little-endian. Raises CodecError for an unknown layout or integers too wide."""
    if "columns" in layout:
        arrays = [a.T if a.ndim == 2 else a for a in arrays]
    data = b"".join(np.ascontiguousarray(a).astype(a.dtype.newbyteorder("<")).tobytes() for a in arrays)
    for name in layout:
        if name == "shuffle":
            data = np.frombuffer(data, np.uint8).reshape(-1, arrays[0].itemsize).T.tobytes() if data else b""
        elif name.startswith(("bits", "planes")):
            data = pack_bits(name, np.frombuffer(data, np.int8))
        elif name != "columns":
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
    grid = np.unpackbits((q + (1 << (n - 1))).astype(np.uint8)[:, None], axis=1)[:, 8 - n :]  # (count, n)
    return np.packbits(grid.T if name.startswith("planes") else grid).tobytes()


def unpack_bits(name: str, data: bytes, count: int) -> np.ndarray:
    """`count` int8 values back from `pack_bits`."""
    n = bits_of(name)
    flat = np.unpackbits(np.frombuffer(data, np.uint8), count=count * n)
    grid = flat.reshape(n, count).T if name.startswith("planes") else flat.reshape(count, n)
    return np.packbits(np.pad(grid, ((0, 0), (8 - n, 0))), axis=1)[:, 0].astype(np.int16).astype(np.int8) - (
        1 << (n - 1)
    )


def laid_size(layout: list[str], specs: Specs) -> int:
    """The bytes that `lay_out` makes of arrays of these dtypes and shapes."""
    raw = sum(prod(shape) * np.dtype(dtype).itemsize for dtype, shape in specs)
    for name in layout:
        if name.startswith(("bits", "planes")):
            raw = -(-raw * bits_of(name) // 8)
    return raw


def take_up(layout: list[str], data: bytes, specs: Specs) -> list[np.ndarray]:
    """Bytes back to the arrays of a stream; `data` has exactly `laid_size` bytes."""
    for name in reversed(layout):
        if name == "shuffle":
            item = np.dtype(specs[0][0]).itemsize
            data = np.frombuffer(data, np.uint8).reshape(item, -1).T.tobytes()
        elif name.startswith(("bits", "planes")):
            data = unpack_bits(name, data, sum(prod(shape) for _, shape in specs)).tobytes()
        elif name != "columns":
            raise CodecError(f"the layout {name!r:.40} is not known to this reader")
    out, at = [], 0
    for dtype, shape in specs:
        kind = np.dtype(dtype).newbyteorder("<")
        turned = "columns" in layout and len(shape) == 2
        size = prod(shape) * kind.itemsize
        lies = shape[::-1] if turned else shape
        array = np.frombuffer(data[at : at + size], kind).reshape(lies).astype(dtype)
        out.append(np.ascontiguousarray(array.T) if turned else array)
        at += size
    return out
