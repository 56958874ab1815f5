"""Byte tables that submissions ship as `.npz` or `.npy`: per-id byte lengths, sometimes with the two space columns.

In use are the lab's `token_table.npz` (base_bytes, has_leading_space, is_boundary) and the public `*.meta.npz` with
`is_boundary_token` and a few descriptions. The arrays are read by hand from the zip: numpy's own loader would take a
header's word for the size of an array, and this one compares it with the bytes that are there. Pickled objects are
refused. A table says how many bytes a token counts, not which ones: it can be compared, not decoded.
"""

import io
import math
import re
import struct
import zipfile
import zlib

import numpy as np

from .errors import AuditError
from .vocabulary import MAX_IDS, ByteTable

LENGTHS = (
    "base_bytes",
    "token_bytes",
    "byte_lengths",
    "bytes_per_token",
    "token_byte_lengths",
    "lengths",
    "piece_bytes",
)
BOUNDARIES = ("is_boundary", "is_boundary_token")
MEMBER_BYTES = 1 << 26
_HEADER = re.compile(
    rb"\{\s*'descr':\s*'([|<=>]?[bBiufUS?][0-9]{0,5})',\s*'fortran_order':\s*(?:False|True),"
    rb"\s*'shape':\s*\(((?:[0-9]{1,9}, ?)*[0-9]{0,9})\),?\s*\}\s*"
)


def read_npy(data: bytes, where: str) -> np.ndarray:
    """The array of one `.npy`. Raises AuditError for objects, odd headers, and sizes that do not match."""
    if data[:6] != b"\x93NUMPY" or len(data) < 12 or data[6] not in (1, 2, 3):
        raise AuditError(f"{where}: not a numpy array file (it starts with {data[:8]!r}).")
    start = 10 if data[6] == 1 else 12
    (size,) = struct.unpack("<H" if data[6] == 1 else "<I", data[8:start])
    match = _HEADER.fullmatch(data[start : start + size]) if size < 10_000 else None
    if match is None:
        raise AuditError(f"{where}: header {data[start : start + 60]!r}; wanted plain numbers or texts, never objects.")
    try:
        dtype = np.dtype(match[1].decode())
    except (TypeError, ValueError):
        raise AuditError(f"{where}: numpy has no type {match[1].decode()!r}.") from None
    shape = tuple(int(word) for word in match[2].decode().replace(",", " ").split())
    body = data[start + size :]
    if len(shape) > 2 or dtype.itemsize == 0 or math.prod(shape) * dtype.itemsize != len(body):
        raise AuditError(f"{where}: shape {shape} of {dtype} does not fit the {len(body):,} bytes behind the header.")
    return np.frombuffer(body, dtype).reshape(shape)


def read_npz(data: bytes, where: str) -> dict[str, np.ndarray]:
    """Every array of an `.npz`, at most 64 MiB each. Raises AuditError for whatever is not one."""
    arrays: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if len(names) > 64:
                raise AuditError(f"{where}: {len(names)} members; a byte table has a handful.")
            for name in names:
                with archive.open(name) as member:
                    content = member.read(MEMBER_BYTES + 1)
                if len(content) > MEMBER_BYTES:
                    raise AuditError(f"{where}: {name} is above {MEMBER_BYTES:,} bytes; a byte table is not.")
                arrays[name.removesuffix(".npy")] = read_npy(content, f"{where}: {name[:60]}")
    except AuditError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        RuntimeError,
        ValueError,
        struct.error,
        KeyError,
        IndexError,
    ):
        raise AuditError(f"{where}: not a whole .npz file; write it again with numpy.savez.") from None
    except Exception as error:  # bz2 and lzma members have errors of their own
        raise AuditError(f"{where}: an .npz member cannot be unpacked ({type(error).__name__}).") from None
    return arrays


def byte_table(arrays: dict[str, np.ndarray], where: str) -> ByteTable:
    """The table in the arrays; columns that are absent are all False. Raises AuditError when none gives lengths."""
    name = next((name for name in LENGTHS if name in arrays), None)
    if name is None:
        raise AuditError(f"{where}: holds {sorted(arrays)[:8]}; wanted one of {', '.join(LENGTHS)}.")
    lengths = arrays[name]
    whole = lengths.dtype.kind in "iub" or (
        lengths.dtype.kind == "f" and bool((np.isfinite(lengths) & (lengths == np.round(lengths))).all())
    )
    if lengths.ndim != 1 or not 0 < len(lengths) <= MAX_IDS or not whole:
        raise AuditError(
            f"{where}: {name} is {lengths.dtype} of shape {lengths.shape}; wanted whole numbers, one a token."
        )
    base = lengths.astype(np.int64)
    if base.min() < 0 or base.max() > 65_535:
        raise AuditError(f"{where}: {name} runs from {base.min():,} to {base.max():,}; wanted 0 to 65,535 bytes.")
    columns = []
    for names in (("has_leading_space",), BOUNDARIES):
        column = next((arrays[n] for n in names if n in arrays), np.zeros(len(base), bool))
        if column.shape != base.shape or column.dtype.kind not in "biu":
            raise AuditError(
                f"{where}: {names[0]} is {column.dtype} of shape {column.shape}; wanted {base.shape} of bool."
            )
        columns.append(column.astype(bool))
    return ByteTable(base, columns[0], columns[1])
