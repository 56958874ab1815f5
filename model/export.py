"""The border between torch and numpy: weights out to `compress`, and back into a model.

`compress` works on numpy arrays by name. numpy has no bfloat16, so such a tensor goes out as float32 with its name in a
second table. On the way in, every tensor must be there with its shape, and nothing else.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from compress.container import read_container
from compress.errors import CodecError
from compress.official import dequantize_official
from compress.torch_file import read_pt, read_ptz

from .errors import ModelError
from .gpt import GPT


def weights_out(model: GPT) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The state dict as numpy arrays, and {"name": "bfloat16"} for tensors of that dtype (given as float32)."""
    arrays, lacking = {}, {}
    for name, tensor in model.state_dict().items():
        if tensor.dtype == torch.bfloat16:
            lacking[name] = "bfloat16"
            tensor = tensor.float()
        arrays[name] = tensor.detach().cpu().contiguous().numpy().copy()
    return arrays, lacking


def weights_in(model: GPT, arrays: Mapping[str, np.ndarray], where: str) -> None:
    """Put arrays by name into the model, in place; dtypes follow the model's. Raises ModelError."""
    own = model.state_dict()
    if set(own) != set(arrays):
        missing, extra = sorted(set(own) - set(arrays))[:3], sorted(set(arrays) - set(own))[:3]
        raise ModelError(f"{where}: other tensors than this shape has; missing {missing}, not wanted {extra}.")
    for name, tensor in own.items():
        if tuple(arrays[name].shape) != tuple(tensor.shape):
            raise ModelError(f"{where}: {name} is {arrays[name].shape}, this model's is {tuple(tensor.shape)}.")
        if not np.isfinite(arrays[name]).all():
            raise ModelError(f"{where}: {name} holds NaN or infinite values.")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(arrays[name])))


def read_artifact(path: Path) -> dict[str, np.ndarray]:
    """Weights from a .pgc, .int8.ptz, .safetensors or .pt file. Raises ModelError, CodecError or OSError."""
    if path.suffix == ".pgc":
        return read_container(path)
    if path.suffix == ".ptz":
        return dequantize_official(read_ptz(path))
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return load_file(path)
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path}: not safetensors ({str(error)[:80]}).") from None
    if path.suffix == ".pt":
        return read_pt(path)[0]
    raise CodecError(f"{path}: what it is shall be seen by its ending; wanted .pgc, .int8.ptz, .safetensors or .pt.")
