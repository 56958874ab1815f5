"""Quantisers that look at one tensor alone: the official one, per-row integers, and halves.

`RowInt(bits=6)` gives each row of a matrix one fp16 scale, the largest magnitude over 2**(bits-1)-1; `sigma` clips at
that many standard deviations of the row instead, as the challenge's records do (12.85 for int6), and rounds with the
scale as stored, not as computed. Small tensors, vectors and the challenge's control tensors stay floats under every
quantiser; the official rule for that is coarse (65,536 elements), ours is finer (`min_size`), and a table shows both.
"""

import numpy as np

from .errors import CodecError
from .official import KEEP_FLOAT_MAX, keeps_fp32, quantize_official_tensor, to_float16
from .stage import Parts, Quantizer
from .statistics import Metric


def check_finite(name: str, values: np.ndarray) -> None:
    """CodecError when a float tensor holds NaN or infinities."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise CodecError(f"{name} holds NaN or infinite values; only finite weights can be coded. Check the run.")


def keep(name: str, values: np.ndarray, dtype: str) -> Parts:
    """A tensor that is not quantised: control tensors as fp32, other fp32 and bfloat16 as fp16, all else as it is."""
    check_finite(name, values)
    stored = values
    if dtype in ("float32", "bfloat16"):
        stored = values.astype(np.float32) if keeps_fp32(name) else to_float16(name, values)
    return Parts(name, dtype, values.shape, f"raw {stored.dtype.name}", [stored])


class Official(Quantizer):
    """`int8_clean_per_row_v1`: the same integers, scales and leftovers as the challenge's export."""

    name = "official"

    def encode(self, name: str, values: np.ndarray, dtype: str, metric: Metric | None = None) -> Parts:
        check_finite(name, values)
        if values.dtype.kind != "f" or values.size <= KEEP_FLOAT_MAX:
            return keep(name, values, dtype)
        q, scale = quantize_official_tensor(values)
        scheme = "row int8 float16" if scale.ndim else "one int8 float32"
        return Parts(name, dtype, values.shape, scheme, [q, scale])


class Half(Quantizer):
    """Everything as fp16: what no quantiser would cost."""

    name = "fp16"

    def encode(self, name: str, values: np.ndarray, dtype: str, metric: Metric | None = None) -> Parts:
        return keep(name, values, dtype)


class Exact(Quantizer):
    """Everything as it is, without loss."""

    name = "exact"

    def encode(self, name: str, values: np.ndarray, dtype: str, metric: Metric | None = None) -> Parts:
        check_finite(name, values)
        stored = values
        if dtype == "bfloat16":  # two bytes hold it; the lower half of a float32 is zero
            stored = np.ascontiguousarray(values, np.float32)
        return Parts(name, dtype, values.shape, f"raw {stored.dtype.name}", [stored])


Made = tuple[str, list[np.ndarray]]  # a scheme and its arrays, the integers first, shaped like the matrix


class MatrixQuantizer(Quantizer):
    """What is worth quantising as a matrix through `quantise`, everything else through `small`."""

    min_size: int  # elements

    def encode(self, name: str, values: np.ndarray, dtype: str, metric: Metric | None = None) -> Parts:
        if not is_matrix(name, values, self.min_size):
            return self.small(name, values, dtype, metric)
        check_finite(name, values)
        matrix = values.reshape(values.shape[0], -1)
        if metric and (metric.rows.shape[0], metric.columns.shape[0]) != matrix.shape:
            metric = None  # that of a pair of vectors, number by number
        scheme, arrays = self.quantise(name, matrix, metric)
        return Parts(name, dtype, values.shape, scheme, [arrays[0].reshape(values.shape), *arrays[1:]])

    def quantise(self, name: str, matrix: np.ndarray, metric: Metric | None) -> Made:
        """Finite floats (R, C), rows along the tensor's first side; `metric` is of that shape; `name` for errors."""
        raise NotImplementedError

    def small(self, name: str, values: np.ndarray, dtype: str, metric: Metric | None) -> Parts:
        """A tensor that is no matrix."""
        return keep(name, values, dtype)


class RowInt(MatrixQuantizer):
    """Symmetric integers of `bits` bits with one fp16 scale a row; `sigma` 0 clips nothing."""

    def __init__(self, bits: int, sigma: float = 0.0, min_size: int = 1024) -> None:
        if not 2 <= bits <= 8 or not 0 <= sigma < 1000 or min_size < 1:
            raise CodecError(f"per-row integers have 2 to 8 bits and a clip of 0 or more sigma; met {bits}, {sigma}.")
        self.bits, self.sigma, self.min_size = bits, sigma, min_size
        self.name = f"int{bits}-{'sigma' if sigma else 'row'}"

    def quantise(self, name: str, matrix: np.ndarray, metric: Metric | None) -> Made:
        x, top = matrix.astype(np.float32), (1 << (self.bits - 1)) - 1
        scale = row_scales(name, row_reach(x, self.sigma) / top)
        q = np.rint(x / scale.astype(np.float32)[:, None]).clip(-top, top).astype(np.int8)
        return "row int8 float16", [q, scale]


def row_reach(x: np.ndarray, sigma: float) -> np.ndarray:
    """Where each row is clipped: its largest magnitude, or `sigma` standard deviations. `(R, C) -> (R,) float32`."""
    return np.abs(x).max(axis=1) if not sigma else np.float32(sigma) * x.std(axis=1)


def row_scales(name: str, scale: np.ndarray) -> np.ndarray:
    """Row scales as fp16, never zero. `(R,) float -> (R,) float16`; CodecError above fp16's range."""
    return np.maximum(to_float16(name, scale), np.float16(6e-8))


def is_matrix(name: str, values: np.ndarray, min_size: int) -> bool:
    """Whether a tensor is worth quantising: floats, at least two axes, large enough, and no control tensor."""
    return values.dtype.kind == "f" and values.ndim >= 2 and values.size >= min_size and not keeps_fp32(name)
