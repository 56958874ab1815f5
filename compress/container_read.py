"""Reading `final_model.pgc`: the decode half, as it ships in `train_gpt.py`. The format is FORMAT.md's, section by
section.

Nothing is believed before it is checked: the head and table by their checksum, every size against the file's, the sum
of all declared elements against `limit`, and each stream's checksums before and after it is decoded. Whatever bytes
come in, `unpack_container` yields tensors or raises CodecError, and allocates at most about `limit` bytes (the mixing
coder up to a quarter GiB of its own beside it, whatever is declared).
"""

import json
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from .decode_bytes import byte_decoders, inflate
from .dequantize import FLOATS, STORED, dequantize, part_specs
from .errors import CodecError
from .layouts import laid_size, take_up

MAGIC = b"\x89PGC\r\n\x1a\n"
HEAD = struct.Struct("<8sBBIIQ")  # magic, version, flags, table bytes stored, table bytes plain, body bytes
VERSION = 1
TABLE_LIMIT = 1 << 24
DECODE_LIMIT = 1 << 31  # bytes of all decoded parts together


def read_table(data: bytes) -> tuple[dict[str, Any], int]:
    """The table of a container and the offset of its body. Raises CodecError."""
    if len(data) < HEAD.size + 4 or data[:8] != MAGIC:
        raise CodecError(f"not a .pgc container: starts with {data[:8].hex()}, wanted {MAGIC.hex()}.")
    _, version, flags, stored, plain, body = HEAD.unpack_from(data)
    if version != VERSION or flags:
        raise CodecError(
            f"container version {version} with flags {flags}; this reader knows version {VERSION}, flags 0."
        )
    start = HEAD.size + 4 + stored
    if start + body != len(data) or plain > TABLE_LIMIT:
        raise CodecError(f"the head declares {start + body:,} bytes (table {plain:,}), the file has {len(data):,}.")
    (crc,) = struct.unpack_from("<I", data, HEAD.size)
    if zlib.crc32(data[HEAD.size + 4 : start], zlib.crc32(data[: HEAD.size])) != crc:
        raise CodecError("the checksum of head and table is wrong: the file is damaged. Fetch or write it again.")
    try:
        text = inflate(data[HEAD.size + 4 : start], plain)
        table = json.loads(text.decode())
    except (zlib.error, ValueError, RecursionError) as error:
        raise CodecError(f"the table cannot be read ({str(error)[:80]}).") from None
    if len(text) != plain or not isinstance(table, dict) or {"streams", "tensors"} - set(table):
        raise CodecError("the table is not an object with streams and tensors of the declared size.")
    return table, start


def is_count(value: Any) -> bool:
    """Whether a table's value is an integer that can be a length."""
    return type(value) is int and 0 <= value < 1 << 48


def check_table(table: dict[str, Any], body: int, limit: int) -> list[list[tuple[str, tuple[int, ...]]]]:
    """Every claim of the table against the rules; returns dtype and shape of each array, stream by stream."""
    for row in table["streams"]:
        if [type(v) for v in row] != [str, int, int, int] or not is_count(row[1]):
            raise CodecError(f"a stream's row is {row!r:.80}; wanted [chain, bytes, crc, crc of the content].")
    specs: list[list[tuple[str, tuple[int, ...]]]] = [[] for _ in table["streams"]]
    names, left = set(), limit
    for row in table["tensors"]:
        if [type(v) for v in row] != [str, str, list, str, list] or not all(map(is_count, row[2])) or len(row[2]) > 16:
            raise CodecError(f"a tensor's row is {row!r:.80}; wanted [name, dtype, shape, scheme, streams].")
        name, dtype, shape, scheme, streams = row
        if name in names or name != name.encode("utf-8", "replace").decode() or dtype not in FLOATS + STORED:
            raise CodecError(f"the tensor {name!r:.60} of dtype {dtype!r:.20} is named twice, or neither can be.")
        names.add(name)
        wants = part_specs(scheme, tuple(shape))
        left -= sum(prod(s) * max(np.dtype(d).itemsize, 4) for d, s in wants)
        if left < 0:
            raise CodecError(f"tensors up to {name!r:.60} declare more than the limit of {limit:,} bytes; refused.")
        if len(streams) != len(wants) or not all(is_count(s) and s < len(specs) for s in streams):
            raise CodecError(f"the tensor {name!r:.60} names streams {streams!r:.60} that are not there.")
        for stream, spec in zip(streams, wants, strict=True):
            specs[stream].append(spec)
    if sum(row[1] for row in table["streams"]) != body or not all(specs):
        raise CodecError("the streams do not fill the body exactly, or one belongs to no tensor.")
    if any(len({dtype for dtype, _ in stream}) > 1 for stream in specs):
        raise CodecError("a stream mixes arrays of several dtypes.")
    return specs


def open_stream(
    chain: str, data: bytes, specs: list[tuple[str, tuple[int, ...]]], decoders: Mapping[str, Callable[..., Any]]
) -> list[np.ndarray]:
    """One stream back to its arrays. Raises CodecError for whatever its decoder meets."""
    *layout, coder = chain.split("+")
    try:
        if coder in decoders:
            return decoders[coder](data, specs)
        if coder not in byte_decoders():
            raise CodecError(f"coded with {coder!r:.40}, which this reader does not carry")
        size = laid_size(layout, specs)
        plain = byte_decoders()[coder](data, size)
        if len(plain) != size:
            raise CodecError(f"{len(plain):,} bytes came out, the table says {size:,}")
        return take_up(layout, plain, specs)
    except CodecError:
        raise
    except ImportError:
        raise
    except Exception as error:  # zlib, lzma, brotli, zstandard and numpy each have their own
        raise CodecError(f"{coder} cannot decode it ({str(error)[:80]})") from None


def unpack_container(
    data: bytes, limit: int = DECODE_LIMIT, decoders: Mapping[str, Callable[..., Any]] | None = None
) -> Iterator[tuple[str, np.ndarray, str]]:
    """Yield `(name, array, dtype name)` in the file's order, each stream decoded when it is first needed.

    `decoders` adds coders of whole arrays by name: `decode(data, specs) -> arrays`. bfloat16 arrays are float32 holding
    bfloat16 values. Raises CodecError.
    """
    table, at = read_table(data)
    try:
        specs = check_table(table, len(data) - at, limit)
    except (TypeError, AttributeError, OverflowError) as error:
        raise CodecError(f"the table has another shape than FORMAT.md says ({str(error)[:80]}).") from None
    starts = [at]
    for row in table["streams"]:
        starts.append(starts[-1] + row[1])
    ready: dict[int, list[np.ndarray]] = {}
    for name, dtype, shape, scheme, streams in table["tensors"]:
        parts = []
        for s in streams:
            if s not in ready:
                chain, size, crc, inner = table["streams"][s]
                coded = data[starts[s] : starts[s] + size]
                if zlib.crc32(coded) != crc:
                    raise CodecError(f"stream {s} at byte {starts[s]:,}: checksum wrong, the file is damaged.")
                try:
                    arrays = open_stream(chain, coded, specs[s], decoders or {})
                except CodecError as error:
                    raise CodecError(f"stream {s} at byte {starts[s]:,}: {error}.") from None
                found = 0
                for array in arrays:
                    found = zlib.crc32(array.astype(array.dtype.newbyteorder("<")).tobytes(), found)
                if found != inner:
                    raise CodecError(
                        f"stream {s}: decoded to other numbers than were written; report it with the file."
                    )
                ready[s] = arrays[::-1]
            parts.append(ready[s].pop())
        yield name, dequantize(scheme, parts, tuple(shape), dtype), dtype
