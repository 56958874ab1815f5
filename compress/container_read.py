"""Reading `final_model.pgc`: the decode half, as it ships in `train_gpt.py`. The format is FORMAT.md's, section by
section.

Nothing is believed before it is checked: the head and table by their checksum, every size against the file's, the sum
of all declared elements against `limit`, and each stream's checksums before and after it is decoded. Whatever bytes
come in, `unpack_container` yields tensors or raises CodecError, and allocates at most some five times what is declared,
so of `limit` (arrays on their way to floats; the mixing coder up to a quarter GiB of its own beside it).
"""

import json
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from .decode_bytes import byte_decoders, inflate
from .dequantize import STORED, dequantize, part_specs
from .errors import CodecError
from .layouts import Specs, raw_size, take_up

MAGIC = b"\x89PGC\r\n\x1a\n"
HEAD = struct.Struct("<8sBBIIQI")  # magic, version, flags, table bytes stored, table bytes plain, body bytes, CRC
VERSION = 1
TABLE_LIMIT = 1 << 24
DECODE_LIMIT = 1 << 31  # bytes of all decoded parts together


def read_table(data: bytes, limit: int = DECODE_LIMIT) -> tuple[dict[str, Any], list[Specs], list[int]]:
    """The table of a container, dtype and shape of each array stream by stream, and where streams start and end.

    Raises CodecError for whatever is not as FORMAT.md says.
    """
    if len(data) < HEAD.size or data[:8] != MAGIC:
        raise CodecError(f"not a .pgc container: starts with {data[:8].hex()}, wanted {MAGIC.hex()}.")
    _, version, flags, stored, plain, body, crc = HEAD.unpack_from(data)
    if version != VERSION or flags:
        raise CodecError(
            f"container version {version} with flags {flags}; this reader knows version {VERSION}, flags 0."
        )
    start = HEAD.size + stored
    if start + body != len(data) or plain > TABLE_LIMIT:
        raise CodecError(f"the head declares {start + body:,} bytes (table {plain:,}), the file has {len(data):,}.")
    packed = data[HEAD.size : start]
    if zlib.crc32(packed, zlib.crc32(data[:26])) != crc:
        raise CodecError("the checksum of head and table is wrong: the file is damaged. Fetch or write it again.")
    try:
        text = inflate(packed, plain)
        if len(text) != plain:
            raise CodecError(f"the table is {len(text):,} bytes, the head says {plain:,}.")
        table = json.loads(text.decode())
        specs = check_table(table["streams"], table["tensors"], limit)
        ends = [start]
        for row in table["streams"]:
            ends.append(ends[-1] + row[1])
    except CodecError:
        raise
    except Exception as error:  # no object, a row that is no list, a side too long for a number
        raise CodecError(f"the table has another shape than FORMAT.md says ({str(error)[:80]}).") from None
    if ends[-1] != len(data):
        raise CodecError("the streams do not fill the body exactly.")
    return table, specs, ends


def check_counts(values: list[Any], row: list[Any]) -> None:
    """CodecError unless all are integers of 0 or more; `row` is where they stand."""
    if any(type(value) is not int or value < 0 for value in values):
        raise CodecError(f"the row {row!r:.80} has no count where one must be.")


def check_table(streams: list[Any], tensors: list[Any], limit: int) -> list[Specs]:
    """Every claim of the table against the rules; returns dtype and shape of each array, stream by stream."""
    for chain, size, crc, inner in streams:
        check_counts([size, crc, inner], [chain, size, crc, inner])
    specs: list[Specs] = [[] for _ in streams]
    names, left = set(), limit
    for name, dtype, shape, scheme, places in tensors:
        check_counts([*shape, *places], [name, dtype, shape, scheme, places])
        if len(shape) > 16 or prod(side or 1 for side in shape) > 1 << 56:  # numpy refuses these, empty or not
            raise CodecError(f"the tensor {name!r:.60} has {len(shape):,} sides; wanted 16 at most, 2^56 in all.")
        if name in names or name.encode("utf-8", "replace").decode() != name or dtype not in ["bfloat16", *STORED]:
            raise CodecError(f"the tensor {name!r:.60} of dtype {dtype!r:.20} is named twice, or neither can be.")
        names.add(name)
        wants = part_specs(scheme, tuple(shape))
        left -= sum(prod(s) * max(np.dtype(d).itemsize, 4) for d, s in wants)
        if left < 0:
            raise CodecError(f"tensors up to {name!r:.60} declare more than the limit of {limit:,} bytes; refused.")
        if len(places) != len(wants) or max(places) >= len(specs):
            raise CodecError(f"the tensor {name!r:.60} names streams {places!r:.60} that are not there.")
        for place, spec in zip(places, wants, strict=True):
            specs[place].append(spec)
    if any(len({dtype for dtype, _ in stream}) != 1 for stream in specs):
        raise CodecError("a stream mixes arrays of several dtypes, or belongs to no tensor.")
    return specs


def open_stream(chain: str, data: bytes, specs: Specs, decoders: Mapping[str, Callable[..., Any]]) -> list[np.ndarray]:
    """One stream back to its arrays. Raises CodecError for whatever its decoder meets."""
    try:
        *layout, coder = chain.split("+")
        if coder in decoders:
            return decoders[coder](data, specs)
        if coder not in byte_decoders():
            raise CodecError(f"coded with {coder!r:.40}, which this reader does not carry")
        return take_up(layout, byte_decoders()[coder](data, raw_size(specs)), specs)
    except (CodecError, ImportError):
        raise
    except Exception as error:  # zlib, lzma, brotli, zstandard and numpy each have their own
        raise CodecError(f"{chain!r:.40} cannot decode it ({str(error)[:80]})") from None


def stream_arrays(
    row: list[Any], coded: bytes, specs: Specs, decoders: Mapping[str, Callable[..., Any]]
) -> Iterator[np.ndarray]:
    """The arrays of a stream one after another, decoded when the first is asked for. Raises CodecError."""
    chain, _, crc, inner = row
    if zlib.crc32(coded) != crc:
        raise CodecError("checksum wrong, the file is damaged")
    arrays, found = open_stream(chain, coded, specs, decoders), 0
    for array in arrays:
        found = zlib.crc32(array.astype(array.dtype.newbyteorder("<")).tobytes(), found)
    if found != inner:
        raise CodecError("decoded to other numbers than were written; report it with the file")
    while arrays:
        yield arrays.pop(0)


def unpack_container(
    data: bytes, limit: int = DECODE_LIMIT, decoders: Mapping[str, Callable[..., Any]] | None = None
) -> Iterator[tuple[str, np.ndarray, str]]:
    """Yield `(name, array, dtype name)` in the file's order, each stream decoded when it is first needed.

    `decoders` adds coders of whole arrays by name: `decode(data, specs) -> arrays`. bfloat16 arrays are float32 holding
    bfloat16 values. Raises CodecError.
    """
    table, specs, ends = read_table(data, limit)
    opened = [
        stream_arrays(row, data[ends[s] : ends[s + 1]], specs[s], decoders or {})
        for s, row in enumerate(table["streams"])
    ]
    for name, dtype, shape, scheme, places in table["tensors"]:
        parts = []
        for s in places:
            try:
                parts.append(next(opened[s]))
            except CodecError as error:
                raise CodecError(f"stream {s} at byte {ends[s]:,}: {error}.") from None
        yield name, dequantize(scheme, parts, tuple(shape), dtype), dtype
