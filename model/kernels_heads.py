"""Triton kernels of the heads: norm, rotary positions and gain of queries and keys, and their gradients, in one pass.

Queries, keys and values come from one product, `(B, T, H + 2K, D)`. A program takes some tokens of one head. Forward it
writes queries and keys where attention reads them; values stay where they are. Backward it makes the norm and the
turned head again from the product, so nothing but the product is kept, and writes one gradient for that product.
Tensors as in `kernels_norm`; tables `(T, R)` may turn fewer pairs than a head has.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .cuda_plain import norm_epsilon

HEAD_NUMBERS = 2048  # of one tensor that a program holds


@triton.jit
def turn_kernel(
    qkv, gain, cos, sin, q, k, tokens, length, eps, H: tl.constexpr, K: tl.constexpr, D: tl.constexpr,
    R: tl.constexpr, T_TILE: tl.constexpr, D_TILE: tl.constexpr,
):  # fmt: skip
    t = tl.program_id(0) * T_TILE + tl.arange(0, T_TILE)
    head = tl.program_id(1)
    d = tl.arange(0, D_TILE)
    there = t < tokens
    inside = there[:, None] & (d[None, :] < D)
    start = (t.to(tl.int64) * (H + 2 * K) + head) * D
    other = tl.where(d < R, d + R, tl.where(d < 2 * R, d - R, d))  # the coordinate that d turns with
    own = tl.load(qkv + start[:, None] + d[None, :], mask=inside, other=0.0).to(tl.float32)
    partner = tl.load(qkv + start[:, None] + other[None, :], mask=inside, other=0.0).to(tl.float32)
    f = 1.0 / tl.sqrt(tl.sum(own * own, axis=1) / D + eps)
    pair = tl.where(d < R, d, d - R)
    at = (t % length)[:, None] * R + pair[None, :]
    turns = there[:, None] & (d[None, :] < 2 * R)
    c = tl.load(cos + at, mask=turns, other=1.0).to(tl.float32)
    s = tl.load(sin + at, mask=turns, other=0.0).to(tl.float32)
    s = tl.where(d[None, :] < R, s, -s)
    y = (own * c + partner * s) * f[:, None]
    if head < H:
        y = y * tl.load(gain + head).to(tl.float32)
        to = (t.to(tl.int64) * H + head) * D
        tl.store(q + to[:, None] + d[None, :], y.to(q.dtype.element_ty), mask=inside)
    else:
        to = (t.to(tl.int64) * K + head - H) * D
        tl.store(k + to[:, None] + d[None, :], y.to(k.dtype.element_ty), mask=inside)


@triton.jit
def turn_back_kernel(
    dq, dk, dv, qkv, gain, cos, sin, d_qkv, sums, tokens, length, eps, H: tl.constexpr, K: tl.constexpr,
    D: tl.constexpr, R: tl.constexpr, T_TILE: tl.constexpr, D_TILE: tl.constexpr,
):  # fmt: skip
    t = tl.program_id(0) * T_TILE + tl.arange(0, T_TILE)
    head = tl.program_id(1)
    d = tl.arange(0, D_TILE)
    there = t < tokens
    inside = there[:, None] & (d[None, :] < D)
    start = (t.to(tl.int64) * (H + 2 * K) + head) * D
    if head >= H + K:
        place = (t.to(tl.int64) * K + head - H - K) * D
        value = tl.load(dv + place[:, None] + d[None, :], mask=inside, other=0.0)
        tl.store(d_qkv + start[:, None] + d[None, :], value, mask=inside)
    else:
        if head < H:
            source = dq
            place = (t.to(tl.int64) * H + head) * D
            times = tl.load(gain + head).to(tl.float32)
        else:
            source = dk
            place = (t.to(tl.int64) * K + head - H) * D
            times = 1.0
        other = tl.where(d < R, d + R, tl.where(d < 2 * R, d - R, d))
        own = tl.load(source + place[:, None] + d[None, :], mask=inside, other=0.0).to(tl.float32)
        partner = tl.load(source + place[:, None] + other[None, :], mask=inside, other=0.0).to(tl.float32)
        pair = tl.where(d < R, d, d - R)
        at = (t % length)[:, None] * R + pair[None, :]
        turns = there[:, None] & (d[None, :] < 2 * R)
        c = tl.load(cos + at, mask=turns, other=1.0).to(tl.float32)
        s = tl.load(sin + at, mask=turns, other=0.0).to(tl.float32)
        s = tl.where(d[None, :] < R, -s, s)
        g = own * c + partner * s  # turned back
        v = tl.load(qkv + start[:, None] + d[None, :], mask=inside, other=0.0).to(tl.float32)
        f = 1.0 / tl.sqrt(tl.sum(v * v, axis=1) / D + eps)
        u = v * f[:, None]
        dots = tl.sum(g * u, axis=1)  # zero where there is no token
        if head < H:
            tl.store(sums + tl.program_id(0) * H + head, tl.sum(dots, axis=0))
        g = (g - u * (dots / D)[:, None]) * (f * times)[:, None]
        tl.store(d_qkv + start[:, None] + d[None, :], g.to(d_qkv.dtype.element_ty), mask=inside)


def head_tile(width: int) -> tuple[int, int]:
    """Tokens and numbers of a tile of one head."""
    wide = triton.next_power_of_2(width)
    return max(1, HEAD_NUMBERS // wide), wide


def turn_by_kernel(qkv: Tensor, gain: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """`PlainOps.turn`."""
    rows, length, joint, width = qkv.shape
    heads = gain.numel()
    kv_heads = (joint - heads) // 2
    t_tile, d_tile = head_tile(width)
    q, k = qkv.new_empty(rows, length, heads, width), qkv.new_empty(rows, length, kv_heads, width)
    if qkv.numel():
        turn_kernel[(triton.cdiv(rows * length, t_tile), heads + kv_heads)](
            qkv, gain, cos.contiguous(), sin.contiguous(), q, k, rows * length, length, norm_epsilon(qkv),
            heads, kv_heads, width, cos.size(-1), t_tile, d_tile,
        )  # fmt: skip
    return q, k


def turn_back_by_kernel(
    dq: Tensor, dk: Tensor, dv: Tensor, qkv: Tensor, gain: Tensor, cos: Tensor, sin: Tensor
) -> tuple[Tensor, Tensor]:
    """`PlainOps.turn_back`."""
    rows, length, joint, width = qkv.shape
    heads, kv_heads = dq.size(2), dk.size(2)
    t_tile, d_tile = head_tile(width)
    blocks = triton.cdiv(rows * length, t_tile)
    d_qkv = torch.empty_like(qkv)
    sums = torch.empty(blocks, heads, dtype=torch.float32, device=qkv.device)
    if qkv.numel():
        turn_back_kernel[(blocks, joint)](
            dq, dk, dv, qkv, gain, cos.contiguous(), sin.contiguous(), d_qkv, sums, rows * length, length,
            norm_epsilon(qkv), heads, kv_heads, width, cos.size(-1), t_tile, d_tile,
        )  # fmt: skip
    return d_qkv, sums.sum(0).to(gain.dtype)
