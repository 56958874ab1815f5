"""Triton kernels of the squared ReLU, forward and backward: number by number, float32 inside.

The square is not fused into the product before it: the backward pass wants that product's result in any case, so fusing
would save one read of it (2 of 87 vectors a token and layer) and give up the library's product.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

POINTS = 2048  # numbers a program


@triton.jit
def square_kernel(h, out, count, slope, TILE: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    v = tl.load(h + i, mask=i < count, other=0.0).to(tl.float32)
    v = tl.where(v > 0, v, v * slope)
    tl.store(out + i, (v * v).to(out.dtype.element_ty), mask=i < count)


@triton.jit
def square_back_kernel(g, h, out, count, slope, TILE: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    v = tl.load(h + i, mask=i < count, other=0.0).to(tl.float32)
    v = tl.where(v > 0, v, v * slope * slope)
    v = 2.0 * v * tl.load(g + i, mask=i < count, other=0.0).to(tl.float32)
    tl.store(out + i, v.to(out.dtype.element_ty), mask=i < count)


def square_by_kernel(h: Tensor, slope: float) -> Tensor:
    """`PlainOps.square`."""
    out = torch.empty_like(h)
    if h.numel():
        square_kernel[(triton.cdiv(h.numel(), POINTS),)](h, out, h.numel(), slope, POINTS)
    return out


def square_back_by_kernel(d_squared: Tensor, h: Tensor, slope: float) -> Tensor:
    """`PlainOps.square_back`."""
    out = torch.empty_like(h)
    if h.numel():
        square_back_kernel[(triton.cdiv(h.numel(), POINTS),)](d_squared, h, out, h.numel(), slope, POINTS)
    return out
