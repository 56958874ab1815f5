"""Reading weights, whatever they lie in: `.pt`, `.int8.ptz`, safetensors, npz, llama2.c's `.bin`, or our own `.pgc`.

The format is told by the file's first bytes, not by its name. Nothing runs code: torch files go through
`weights_only`, npz is read without pickle, and a safetensors file's header is held to the file's size by its own
library. A file that was quantised already keeps its integers beside its values (`parts`), so that they can be recoded
without a second rounding.
"""

import io
import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .container_read import DECODE_LIMIT, MAGIC, unpack_container
from .container_write import file_order
from .decoders import array_decoders
from .dequantize import STORED, cast_like
from .errors import CodecError
from .llama2c import HEAD, is_llama2c, read_llama2c
from .official import OFFICIAL_FORMAT, dequantize_official
from .stage import Parts
from .torch_file import read_pt, read_ptz


class Weights(NamedTuple):
    """A state dict as it was read."""

    path: str
    tensors: dict[str, np.ndarray]
    dtypes: dict[str, str]  # of tensors whose dtype numpy lacks: "bfloat16", held as float32
    parts: list[Parts] | None  # the integers as they lie in the file, where it was quantised

    @property
    def parameters(self) -> int:
        """The number of elements of float tensors."""
        return sum(v.size for v in self.tensors.values() if v.dtype.kind == "f")


def read_weights(path: str | Path, limit: int = DECODE_LIMIT) -> Weights:
    """Read a file of weights. Raises CodecError for anything else, OSError when it is not there."""
    found = read_any(path, limit)
    for name, values in found.tensors.items():
        if values.dtype.name not in STORED:
            raise CodecError(
                f"{path}: {name!r:.60} is of {values.dtype.name}, which no container holds; wanted bools, integers or "
                "floats of up to 64 bits."
            )
    return found


def read_any(path: str | Path, limit: int) -> Weights:
    """The same, of whatever dtypes."""
    with Path(path).open("rb") as stream:
        head = stream.read(HEAD)
    start = head[:8]
    if start == MAGIC:
        try:
            found = list(unpack_container(Path(path).read_bytes(), limit, array_decoders()))
        except CodecError as error:  # of bytes; here they have a name
            raise CodecError(f"{path}: {error}") from None
        tensors = {name: values for name, values, _ in found}
        return Weights(str(path), tensors, {n: d for n, _, d in found if d == "bfloat16"}, None)
    if start[:4] in (b"PK\3\4", b"PK\5\6"):
        names = zip_names(path)
        return (
            read_npz(path, limit)
            if all(n.endswith(".npy") for n in names)
            else Weights(str(path), *read_pt(path), None)
        )
    if start[:1] == b"\x78" or start[:6] == b"\xfd7zXZ\0":
        return read_official(path, limit)
    if len(start) == 8 and int.from_bytes(start, "little") < Path(path).stat().st_size:
        return read_safetensors(path, limit)
    if is_llama2c(path, head):
        return Weights(str(path), read_llama2c(path, limit), {}, None)
    raise CodecError(
        f"{path}: {f'starts with {start.hex()}' if start else 'is empty'}; "
        "wanted .pt, .int8.ptz, safetensors, npz, llama2.c's .bin or .pgc."
    )


def zip_names(path: str | Path) -> list[str]:
    """The names in a zip file; CodecError when its directory is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise CodecError(f"{path}: a damaged zip ({error}); wanted a torch checkpoint or npz.") from None


def read_official(path: str | Path, limit: int) -> Weights:
    """A `.int8.ptz` of the official format, with its integers kept as parts."""
    saved = read_ptz(path, limit)
    if saved.get("__quant_format__") != OFFICIAL_FORMAT:
        plain = {n: v for n, v in saved.items() if isinstance(v, np.ndarray)}
        if plain and len(plain) == len(saved):
            return Weights(str(path), plain, {}, None)
        kinds = sorted({str(v["type"]) for v in saved.values() if isinstance(v, Mapping) and "type" in v})
        if kinds:
            raise CodecError(
                f"{path}: its {len(saved):,} entries are of the types {', '.join(kinds):.80}, a format that one "
                "submission made for itself; only its own script reads it. Save plain tensors there, as .npz or .pt."
            )
    hold_tables(path, saved)
    tensors = dequantize_official(saved)
    dtypes = {**saved["dtypes"], **saved.get("passthrough_orig_dtypes", {})}
    parts = []
    for name in sorted(tensors, key=file_order):
        shape, dtype = tensors[name].shape, dtypes.get(name, tensors[name].dtype.name)
        if name in saved["quantized"]:
            scale = np.asarray(saved["scales"][name])
            scheme = f"{'row' if scale.ndim else 'one'} int8 {scale.dtype.name}"
            parts.append(Parts(name, dtype, shape, scheme, [saved["quantized"][name], scale]))
        else:
            kept = np.asarray(saved["passthrough"][name])
            parts.append(Parts(name, dtype, shape, f"raw {kept.dtype.name}", [kept]))
    return Weights(str(path), tensors, {n: d for n, d in dtypes.items() if d == "bfloat16"}, parts)


def hold_tables(path: str | Path, saved: Mapping[str, Any]) -> None:
    """CodecError unless what the official format's tables hold are tensors that a container can hold too."""
    for part in ("quantized", "scales", "passthrough"):
        for name, value in saved[part].items() if isinstance(saved.get(part), Mapping) else ():
            if not isinstance(value, np.ndarray) or value.dtype.name not in STORED:
                met = value.dtype.name if isinstance(value, np.ndarray) else type(value).__name__
                raise CodecError(f"{path}: {part} holds {met} under {name!r:.60}; wanted a tensor of numbers.")
    if not isinstance(saved.get("passthrough_orig_dtypes", {}), Mapping):
        raise CodecError(f"{path}: passthrough_orig_dtypes is no table; the challenge's export did not write it.")


def check_npy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Hold an array's claim to the bytes that are there, before numpy makes room. Raises ValueError."""
    with archive.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        claimed, held = prod(shape) * dtype.itemsize, entry.file_size - stream.tell()
    if claimed != held and not dtype.hasobject:
        raise ValueError(f"{entry.filename} declares {claimed:,} bytes and holds {held:,}")


def read_npz(path: str | Path, limit: int) -> Weights:
    """An npz of plain arrays. Raises CodecError for objects, damage, or more than `limit` bytes."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > limit:
                raise CodecError(f"{path}: inflates to more than {limit:,} bytes.")
            for entry in archive.infolist():
                check_npy(archive, entry)
        with np.load(path, allow_pickle=False) as found:
            return Weights(str(path), {name: found[name] for name in found.files}, {}, None)
    except CodecError:
        raise
    except Exception as error:  # zipfile's decompressors and numpy's header parser each have kinds of their own
        raise CodecError(f"{path}: not an npz of plain arrays ({str(error)[:100]}).") from None


def npz_bytes(tensors: Mapping[str, np.ndarray]) -> bytes:
    """An uncompressed npz; the same bytes for the same arrays. Raises CodecError for a name that it cannot hold."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, values in tensors.items():
            coded = name.encode("utf-8", "replace")
            if "\0" in name or coded.decode() != name or len(coded) > 65_000:
                raise CodecError(f"the name {name!r:.60} cannot stand in an npz. Rename the tensor.")
            held = io.BytesIO()
            np.lib.format.write_array(held, np.asarray(values), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), held.getvalue())
    return buffer.getvalue()


def read_safetensors(path: str | Path, limit: int) -> Weights:
    """A safetensors file; bfloat16 becomes float32. Raises CodecError."""
    from safetensors import SafetensorError, deserialize

    if Path(path).stat().st_size > limit:
        raise CodecError(f"{path}: more than {limit:,} bytes.")
    kinds = {"F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1", "U8": "u1"}
    kinds |= {"BOOL": "?", "U16": "u2", "U32": "u4", "U64": "u8", "BF16": "u2"}
    try:
        entries: list[tuple[str, dict[str, Any]]] = deserialize(Path(path).read_bytes())
    except SafetensorError as error:
        raise CodecError(f"{path}: not a safetensors file ({str(error)[:80]}); wanted weights.") from None
    tensors, dtypes = {}, {}
    for name, entry in entries:
        if entry["dtype"] not in kinds:
            raise CodecError(f"{path}: {name} has the dtype {entry['dtype']}, which numpy lacks.")
        values = np.frombuffer(entry["data"], "<" + kinds[entry["dtype"]]).reshape(entry["shape"])
        if entry["dtype"] == "BF16":
            dtypes[name] = "bfloat16"
            values = (values.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = cast_like(values, values.dtype.name)
    return Weights(str(path), tensors, dtypes, None)
