"""Files that torch wrote: `.pt` checkpoints and the challenge's `final_model.int8.ptz`.

torch is imported inside the functions, and only with `weights_only=True`, so no code in a pickle ever runs. Before
torch sees a byte, the file's size, its inflated size and the sizes in its zip directory are held to a limit; after
it, the numbers of elements that the tensors claim (a view can claim a terabyte over four bytes of storage). Outside
this module a tensor is a numpy array, and bfloat16 is a float32 array whose name maps to "bfloat16".
"""

import io
import lzma
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .aside import write_aside
from .errors import CodecError

FILE_LIMIT = 1 << 31  # bytes, of a checkpoint once inflated
TABLES = ("quantized", "scales", "passthrough")


def write_ptz(path: str | Path, saved: Mapping[str, Any]) -> int:
    """Write the dict of `quantize_official` as the challenge does (torch.save, zlib 9); returns the file's size."""
    import torch

    tables = {key: {n: torch.from_numpy(np.array(v, order="C")) for n, v in saved[key].items()} for key in TABLES}
    buffer = io.BytesIO()
    torch.save({key: tables.get(key, saved[key]) for key in saved}, buffer)
    return write_aside(path, zlib.compress(buffer.getvalue(), 9))


def read_ptz(path: str | Path, limit: int = FILE_LIMIT) -> dict[str, Any]:
    """Read a `.int8.ptz` (zlib; lzma is met too) into the dict of `quantize_official`. Raises CodecError."""
    data = read_limited(path, limit)
    try:
        opener: Any = lzma.LZMADecompressor() if data[:6] == b"\xfd7zXZ\0" else zlib.decompressobj()
        plain = opener.decompress(data, limit)
        if not opener.eof:
            raise CodecError(f"{path}: the compressed stream is cut short, or larger than {limit:,} bytes inflated.")
    except (zlib.error, lzma.LZMAError) as error:
        raise CodecError(f"{path}: neither zlib nor lzma ({error}); wanted a final_model.int8.ptz.") from None
    saved, _ = to_numpy(load_safely(plain, path, limit), path, limit)
    return saved


def read_pt(path: str | Path, limit: int = FILE_LIMIT) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a `.pt` state dict: `(arrays by name, dtype names that numpy lacks)`. Raises CodecError.

    A checkpoint that nests its weights under "model" or "state_dict" is opened there.
    """
    loaded = load_safely(read_limited(path, limit), path, limit)
    for key in ("model", "state_dict", "model_state_dict"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    state, lacking = to_numpy(loaded, path, limit)
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    if not arrays:
        raise CodecError(f"{path}: no tensors by name in it; wanted a state dict.")
    return arrays, lacking


def read_limited(path: str | Path, limit: int) -> bytes:
    """The bytes of a file; CodecError when it is larger than `limit`."""
    size = Path(path).stat().st_size
    if size > limit:
        raise CodecError(f"{path}: {size:,} bytes, the limit is {limit:,}.")
    return Path(path).read_bytes()


def load_safely(data: bytes, path: str | Path, limit: int) -> Any:
    """`torch.load` of bytes with `weights_only`, after the zip directory was held to `limit`. Raises CodecError."""
    import torch

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise CodecError(f"{path}: not a zip as torch.save writes it ({error}).") from None
    if any(entry.compress_type for entry in entries) or sum(entry.file_size for entry in entries) > limit:
        raise CodecError(
            f"{path}: compressed entries, or more than {limit:,} bytes of them; torch.save writes neither."
        )
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds here, none of them ours
        first = str(error).strip().splitlines()[:1]
        raise CodecError(f"{path}: torch cannot load it without running code ({first}).") from None


def to_numpy(loaded: Any, path: str | Path, limit: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Tensors (also one level down) as numpy arrays, and the dtypes numpy lacks by tensor name. Raises CodecError."""
    import torch

    lacking: dict[str, str] = {}
    left = limit

    def array_of(name: str, value: Any) -> Any:
        nonlocal left
        if not isinstance(value, torch.Tensor):
            return value
        left -= value.numel() * value.element_size()
        if left < 0:
            raise CodecError(f"{path}: {name} and its neighbours claim more than {limit:,} bytes of elements.")
        if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
            raise CodecError(f"{path}: {name} is {value.layout} on {value.device}; wanted a plain tensor.")
        if value.dtype == torch.bfloat16:
            lacking[name] = "bfloat16"
            value = value.float()
        try:
            return np.array(value.detach().contiguous().numpy())
        except (TypeError, RuntimeError) as error:
            raise CodecError(f"{path}: {name} has a dtype that numpy lacks ({error}).") from None

    if not isinstance(loaded, Mapping):
        raise CodecError(f"{path}: holds a {type(loaded).__name__}; wanted tensors by name.")
    out: dict[str, Any] = {}
    for key, value in loaded.items():
        nested = isinstance(value, Mapping)
        out[str(key)] = {str(n): array_of(str(n), v) for n, v in value.items()} if nested else array_of(str(key), value)
    return out, lacking
