"""The challenge's own weight format, `int8_clean_per_row_v1`, in numpy.

Every float matrix of more than 65,536 elements becomes int8 with one fp16 scale per row; other large float tensors
get one fp32 scale; small ones are kept as fp16, and a few named control tensors as fp32. This is the reference that
every table of this room compares with, so the arithmetic follows torch to the bit: fp32 throughout, the 99.99984th
percentile by linear interpolation with a fused multiply-add, rounding half to even. `torch_file` puts the result into
a `final_model.int8.ptz` and takes it out again; nothing here needs torch.

Tensors are numpy arrays. numpy has no bfloat16: such a tensor is a float32 array whose name maps to "bfloat16" in
`dtypes`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .dequantize import cast_like
from .errors import CodecError

OFFICIAL_FORMAT = "int8_clean_per_row_v1"
KEEP_FLOAT_MAX = 65_536  # float tensors of at most this many elements are not quantised
CLIP_QUANTILE = np.float32(99.99984 / 100.0)
CONTROL_PARTS = ["attn_scale", "mlp_scale", "resid_mix", "q_gain", "skip_weight"]  # in a name: kept as fp32


def upper_quantile(magnitudes: np.ndarray) -> np.ndarray:
    """The clip quantile of each row, as `torch.quantile` gives it. `(R, C) float32 -> (R,) float32`, C > 0."""
    rank = np.float32(CLIP_QUANTILE * np.float32(magnitudes.shape[1] - 1))
    below, above = int(rank), int(np.ceil(rank))
    weight = float(np.float32(rank - np.float32(below)))
    ordered = np.partition(magnitudes, (below, above), axis=1)
    low, high = ordered[:, below], ordered[:, above]
    span = (high - low).astype(np.float64)  # the difference is rounded to fp32 first, the multiply-add only once
    mixed = low + weight * span if weight < 0.5 else high - (1.0 - weight) * span
    return mixed.astype(np.float32)


def quantize_official_tensor(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One float tensor to `(int8 of the same shape, scale)`; the scale is fp16 `(R,)` for matrices, else fp32 `()`."""
    x = np.asarray(values, dtype=np.float32)
    if x.ndim == 2:
        clip = upper_quantile(np.abs(x)) if x.size else np.zeros(x.shape[0], np.float32)
        scale = np.maximum(clip / np.float32(127), np.float32(1.0 / 127.0))
        held = np.maximum(np.minimum(x, clip[:, None]), -clip[:, None])
        q = np.clip(np.rint(held / scale[:, None]), -127, 127).astype(np.int8)
        return q, scale.astype(np.float16)
    top = float(upper_quantile(np.abs(x).reshape(1, -1))[0]) if x.size else 0.0
    one = np.float32(top / 127.0 if top > 0 else 1.0)
    q = np.clip(np.rint(np.clip(x, np.float32(-top), np.float32(top)) / one), -127, 127).astype(np.int8)
    return q, np.asarray(one)


def keeps_fp32(name: str) -> bool:
    """Whether a small tensor of this name is a control tensor, which the challenge keeps as fp32."""
    return any(part in name for part in CONTROL_PARTS)


def quantize_official(state: Mapping[str, np.ndarray], dtypes: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A state dict to the dict that the challenge saves; arrays where torch has tensors.

    `dtypes` names tensors whose dtype numpy does not have ("bfloat16", given as float32). Raises CodecError for values
    that are not finite, or too large for the fp16 they would be kept in.
    """
    quantized: dict[str, np.ndarray] = {}
    scales: dict[str, np.ndarray] = {}
    kept_dtypes: dict[str, str] = {}
    passthrough: dict[str, np.ndarray] = {}
    original: dict[str, str] = {}
    qmeta: dict[str, dict[str, Any]] = {}
    for name, values in state.items():
        dtype = (dtypes or {}).get(name, values.dtype.name)
        if values.dtype.kind != "f":
            passthrough[name] = values
            continue
        if not np.isfinite(values).all():
            raise CodecError(f"{name} holds NaN or infinite values; only finite weights can be coded. Check the run.")
        if values.size > KEEP_FLOAT_MAX:
            quantized[name], scales[name] = quantize_official_tensor(values)
            kept_dtypes[name] = dtype
            if scales[name].ndim:
                qmeta[name] = {"scheme": "per_row", "axis": 0}
        elif keeps_fp32(name):
            passthrough[name] = values.astype(np.float32)
        elif dtype in ("float32", "bfloat16"):
            original[name] = dtype
            passthrough[name] = to_float16(name, values)
        else:
            passthrough[name] = values
    out: dict[str, Any] = {"__quant_format__": OFFICIAL_FORMAT, "quantized": quantized, "scales": scales}
    out |= {"dtypes": kept_dtypes, "passthrough": passthrough}
    if qmeta:
        out["qmeta"] = qmeta
    if original:
        out["passthrough_orig_dtypes"] = original
    return out


def to_float16(name: str, values: np.ndarray) -> np.ndarray:
    """`values` as float16; CodecError where a value would become infinite."""
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if not np.isfinite(half).all():
        raise CodecError(f"{name} holds values beyond fp16's 65,504 and would be kept as fp16. Scale or rename it.")
    return half


def dequantize_official(saved: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The challenge's saved dict back to a state dict; bfloat16 tensors come as float32 holding bfloat16 values.

    Raises CodecError when the dict is not of the format or its parts do not fit each other.
    """
    check_official(saved)
    out: dict[str, np.ndarray] = {}
    for name, q in saved["quantized"].items():
        scale = saved["scales"][name].astype(np.float32)
        with np.errstate(over="ignore"):
            spread = scale.reshape((-1,) + (1,) * (q.ndim - 1)) if scale.ndim else scale
            out[name] = cast_like(q.astype(np.float32) * spread, saved["dtypes"][name])
    original = saved.get("passthrough_orig_dtypes", {})
    for name, kept in saved["passthrough"].items():
        out[name] = cast_like(kept, original[name]) if name in original else kept
    return out


def check_official(saved: Mapping[str, Any]) -> None:
    """CodecError unless `saved` has the format's parts, and scales that fit their integers."""
    if saved.get("__quant_format__") != OFFICIAL_FORMAT:
        raise CodecError(
            f"the file says its format is {str(saved.get('__quant_format__'))!r:.60}, wanted {OFFICIAL_FORMAT!r}."
        )
    for part in ("quantized", "scales", "dtypes", "passthrough"):
        if not isinstance(saved.get(part), Mapping):
            raise CodecError(
                f"the saved dict has no table {part!r}; the file was not written by the challenge's export."
            )
    floats = ("float16", "bfloat16", "float32", "float64")
    for name, q in saved["quantized"].items():
        scale, dtype = saved["scales"].get(name), saved["dtypes"].get(name)
        rows = None if scale is None else scale.shape
        if q.dtype != np.int8 or rows is None or (rows and rows != q.shape[:1]) or dtype not in floats:
            raise CodecError(f"{name}: integers {q.shape} {q.dtype}, scale {rows} and dtype {dtype!r} do not fit.")
    for name, dtype in saved.get("passthrough_orig_dtypes", {}).items():
        if name not in saved["passthrough"] or dtype not in floats:
            raise CodecError(f"{name}: a passthrough tensor of dtype {str(dtype)!r:.40} is named but not there.")
