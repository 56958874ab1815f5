"""Triton kernels of the residual stream: mixing with x0 and norm in one pass, their gradients in one pass, scaled adds.

A program holds some whole rows at a time, so a norm is one reduction within it. Learnt vectors get their gradients from
partial sums, one a program, added up after. Tensors are contiguous `(..., C)` of float32, bfloat16 or float16; all
arithmetic is float32; factors and partial sums are float32. Rows need not fill a program, nor C a power of two.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .cuda_plain import norm_epsilon

TILE_NUMBERS = 2048  # of one tensor that a program holds at a time
SUM_PROGRAMS = 528  # programs that keep partial sums: four for each of an H100's 132 multiprocessors


def tiles(x: Tensor) -> tuple[int, int, int, int]:
    """Rows, columns, and the rows and columns of a tile (powers of two) for `(..., C)`."""
    columns = x.size(-1)
    wide = triton.next_power_of_2(columns)
    return x.numel() // max(columns, 1), columns, max(1, TILE_NUMBERS // wide), wide


@triton.jit
def norm_kernel(
    x, x0, mix, mixed, unit, factor, rows, eps, C: tl.constexpr, R_TILE: tl.constexpr, C_TILE: tl.constexpr,
    MIX: tl.constexpr,
):  # fmt: skip
    r = tl.program_id(0) * R_TILE + tl.arange(0, R_TILE)
    c = tl.arange(0, C_TILE)
    inside = (r[:, None] < rows) & (c[None, :] < C)
    at = r[:, None].to(tl.int64) * C + c[None, :]
    v = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    if MIX:
        a = tl.load(mix + c, mask=c < C, other=0.0).to(tl.float32)
        b = tl.load(mix + C + c, mask=c < C, other=0.0).to(tl.float32)
        v = a[None, :] * v + b[None, :] * tl.load(x0 + at, mask=inside, other=0.0).to(tl.float32)
        stored = v.to(mixed.dtype.element_ty)
        tl.store(mixed + at, stored, mask=inside)
        v = stored.to(tl.float32)  # the norm is of what others will read
    f = 1.0 / tl.sqrt(tl.sum(v * v, axis=1) / C + eps)
    tl.store(factor + r, f, mask=r < rows)
    tl.store(unit + at, (v * f[:, None]).to(unit.dtype.element_ty), mask=inside)


@triton.jit
def norm_gradient(d_unit, unit, factor, r, at, inside, rows, C: tl.constexpr):
    g = tl.load(d_unit + at, mask=inside, other=0.0).to(tl.float32)
    u = tl.load(unit + at, mask=inside, other=0.0).to(tl.float32)
    f = tl.load(factor + r, mask=r < rows, other=0.0)
    return (g - u * (tl.sum(g * u, axis=1) / C)[:, None]) * f[:, None]


@triton.jit
def norm_back_kernel(
    d_unit, unit, factor, onto, out, rows, C: tl.constexpr, R_TILE: tl.constexpr, C_TILE: tl.constexpr,
    ONTO: tl.constexpr,
):  # fmt: skip
    r = tl.program_id(0) * R_TILE + tl.arange(0, R_TILE)
    c = tl.arange(0, C_TILE)
    inside = (r[:, None] < rows) & (c[None, :] < C)
    at = r[:, None].to(tl.int64) * C + c[None, :]
    g = norm_gradient(d_unit, unit, factor, r, at, inside, rows, C)
    if ONTO:
        g += tl.load(onto + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, g.to(out.dtype.element_ty), mask=inside)


@triton.jit
def mix_back_kernel(
    d_unit, unit, factor, d_mixed, x, x0, mix, d_x0_in, dx, d_x0, sums, rows, turns: tl.constexpr,
    C: tl.constexpr, R_TILE: tl.constexpr, C_TILE: tl.constexpr, ONTO: tl.constexpr,
):  # fmt: skip
    c = tl.arange(0, C_TILE)
    a = tl.load(mix + c, mask=c < C, other=0.0).to(tl.float32)
    b = tl.load(mix + C + c, mask=c < C, other=0.0).to(tl.float32)
    sum_a = tl.zeros([C_TILE], tl.float32)
    sum_b = tl.zeros([C_TILE], tl.float32)
    for turn in range(turns):
        r = (tl.program_id(0) * turns + turn) * R_TILE + tl.arange(0, R_TILE)
        inside = (r[:, None] < rows) & (c[None, :] < C)
        at = r[:, None].to(tl.int64) * C + c[None, :]
        g = norm_gradient(d_unit, unit, factor, r, at, inside, rows, C)
        g += tl.load(d_mixed + at, mask=inside, other=0.0).to(tl.float32)
        tl.store(dx + at, (g * a[None, :]).to(dx.dtype.element_ty), mask=inside)
        beginning = g * b[None, :]
        if ONTO:
            beginning += tl.load(d_x0_in + at, mask=inside, other=0.0).to(tl.float32)
        tl.store(d_x0 + at, beginning.to(d_x0.dtype.element_ty), mask=inside)
        sum_a += tl.sum(g * tl.load(x + at, mask=inside, other=0.0).to(tl.float32), axis=0)
        sum_b += tl.sum(g * tl.load(x0 + at, mask=inside, other=0.0).to(tl.float32), axis=0)
    own = sums + tl.program_id(0) * 2 * C + c
    tl.store(own, sum_a, mask=c < C)
    tl.store(own + C, sum_b, mask=c < C)


@triton.jit
def add_kernel(x, y, scale, out, rows, C: tl.constexpr, R_TILE: tl.constexpr, C_TILE: tl.constexpr):
    r = tl.program_id(0) * R_TILE + tl.arange(0, R_TILE)
    c = tl.arange(0, C_TILE)
    inside = (r[:, None] < rows) & (c[None, :] < C)
    at = r[:, None].to(tl.int64) * C + c[None, :]
    s = tl.load(scale + c, mask=c < C, other=0.0).to(tl.float32)
    v = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    v += s[None, :] * tl.load(y + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, v.to(out.dtype.element_ty), mask=inside)


@triton.jit
def add_back_kernel(
    g_in, y, scale, dy, sums, rows, turns: tl.constexpr, C: tl.constexpr, R_TILE: tl.constexpr, C_TILE: tl.constexpr
):  # fmt: skip
    c = tl.arange(0, C_TILE)
    s = tl.load(scale + c, mask=c < C, other=0.0).to(tl.float32)
    total = tl.zeros([C_TILE], tl.float32)
    for turn in range(turns):
        r = (tl.program_id(0) * turns + turn) * R_TILE + tl.arange(0, R_TILE)
        inside = (r[:, None] < rows) & (c[None, :] < C)
        at = r[:, None].to(tl.int64) * C + c[None, :]
        g = tl.load(g_in + at, mask=inside, other=0.0).to(tl.float32)
        tl.store(dy + at, (g * s[None, :]).to(dy.dtype.element_ty), mask=inside)
        total += tl.sum(g * tl.load(y + at, mask=inside, other=0.0).to(tl.float32), axis=0)
    tl.store(sums + tl.program_id(0) * C + c, total, mask=c < C)


def norm_by_kernel(x: Tensor) -> tuple[Tensor, Tensor]:
    """`PlainOps.norm`."""
    rows, columns, r_tile, c_tile = tiles(x)
    unit, factor = torch.empty_like(x), torch.empty(x.shape[:-1], dtype=torch.float32, device=x.device)
    if x.numel():
        norm_kernel[(triton.cdiv(rows, r_tile),)](
            x, x, x, x, unit, factor, rows, norm_epsilon(x), columns, r_tile, c_tile, False
        )
    return unit, factor


def norm_back_by_kernel(d_unit: Tensor, unit: Tensor, factor: Tensor, onto: Tensor | None) -> Tensor:
    """`PlainOps.norm_back`."""
    rows, columns, r_tile, c_tile = tiles(unit)
    out = torch.empty_like(d_unit)
    if out.numel():
        norm_back_kernel[(triton.cdiv(rows, r_tile),)](
            d_unit, unit, factor, unit if onto is None else onto, out, rows, columns, r_tile, c_tile, onto is not None
        )
    return out


def mix_by_kernel(x: Tensor, x0: Tensor, mix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`PlainOps.mix`."""
    rows, columns, r_tile, c_tile = tiles(x)
    mixed, unit = torch.empty_like(x), torch.empty_like(x)
    factor = torch.empty(x.shape[:-1], dtype=torch.float32, device=x.device)
    if x.numel():
        norm_kernel[(triton.cdiv(rows, r_tile),)](
            x, x0, mix, mixed, unit, factor, rows, norm_epsilon(x), columns, r_tile, c_tile, True
        )
    return mixed, unit, factor


def sum_grid(rows: int, r_tile: int) -> tuple[int, int]:
    """How many programs sum over so many rows, and how many tiles each takes."""
    blocks = triton.cdiv(rows, r_tile)
    turns = triton.cdiv(blocks, SUM_PROGRAMS)
    return triton.cdiv(blocks, max(turns, 1)), turns


def mix_back_by_kernel(
    d_unit: Tensor, unit: Tensor, factor: Tensor, d_mixed: Tensor, x: Tensor, x0: Tensor, mix: Tensor,
    d_x0: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """`PlainOps.mix_back`."""
    rows, columns, r_tile, c_tile = tiles(x)
    programs, turns = sum_grid(rows, r_tile)
    dx, beginning = torch.empty_like(x), torch.empty_like(x)
    sums = torch.empty(programs, 2, columns, dtype=torch.float32, device=x.device)
    if x.numel():
        mix_back_kernel[(programs,)](
            d_unit, unit, factor, d_mixed, x, x0, mix, x if d_x0 is None else d_x0, dx, beginning, sums, rows, turns,
            columns, r_tile, c_tile, d_x0 is not None,
        )  # fmt: skip
    return dx, beginning, sums.sum(0).to(mix.dtype)


def add_by_kernel(x: Tensor, y: Tensor, scale: Tensor) -> Tensor:
    """`PlainOps.add`."""
    rows, columns, r_tile, c_tile = tiles(x)
    out = torch.empty_like(x)
    if x.numel():
        add_kernel[(triton.cdiv(rows, r_tile),)](x, y, scale, out, rows, columns, r_tile, c_tile)
    return out


def add_back_by_kernel(g: Tensor, y: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """`PlainOps.add_back`."""
    rows, columns, r_tile, c_tile = tiles(y)
    programs, turns = sum_grid(rows, r_tile)
    dy = torch.empty_like(y)
    sums = torch.empty(programs, columns, dtype=torch.float32, device=y.device)
    if y.numel():
        add_back_kernel[(programs,)](g, y, scale, dy, sums, rows, turns, columns, r_tile, c_tile)
    return dy, sums.sum(0).to(scale.dtype)
