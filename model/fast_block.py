"""One block with its gradient written by hand, for a CPU, in float32 or with products in bfloat16.

The same mathematics as `gpt.Block`, arranged so that little memory is touched: queries, keys and values come from one
matrix product; the learnt scales of both branches are folded into the matrices behind them, so that adding a branch is
part of its product; a group of query heads that shares keys is one tall matrix; nothing is kept that the backward pass
can do without. With one key/value head no tensor is transposed at all.

Two dtypes meet here. The stream, its gradient, norms, rotations and learnt scales stay in the dtype of `x`; what goes
into and comes out of matrix products, attention's weights included, is in that of the mask. On a CPU elementwise work
is slower in bfloat16 than in float32 (both computed in float32), so only what is multiplied next is rounded.

Symbols: B rows of T tokens, N = B * T, C channels, H query heads in K groups of G, D channels a head, F inner channels.
"""

from typing import Any

import torch
from torch import Tensor


def unit_factor(x: Tensor) -> Tensor:
    """What brings each row of the last axis to root mean square 1, `(..., 1)`."""
    mean = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.size(-1))
    return mean.add_(torch.finfo(x.dtype).eps).rsqrt_()


def unit_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the last axis at root mean square 1, and the factor that was applied, `(..., 1)`."""
    factor = unit_factor(x)
    return x * factor, factor


def unit_rows_back(grad: Tensor, unit: Tensor, factor: Tensor, onto: Tensor, times: float = 1.0) -> Tensor:
    """`onto` plus `times` the gradient before `unit_rows`, given that after it. A new tensor."""
    dots = (grad * unit).sum(-1, keepdim=True).mul_(-times / unit.size(-1)).mul_(factor)
    return torch.addcmul(onto, grad, factor, value=times).addcmul_(unit, dots)


def plus_product(onto: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """onto + a @ b in the dtype of `onto`. A new tensor."""
    if a.dtype == onto.dtype:
        return torch.addmm(onto, a, b)
    return torch.mm(a, b).to(onto.dtype).add_(onto)


def turn(x: Tensor, cos: Tensor, sin: Tensor, out: Tensor) -> Tensor:
    """Rotary positions, by -sin back again. x, out: `(B, T, H, D)`; sin: `(T, 1, D/2)` or narrower.

    cos: `(T, 1, D)`, that of both halves, and 1 where nothing turns.
    """
    half = sin.size(-1)
    torch.mul(x, cos, out=out)
    out[..., :half].addcmul_(x[..., half : 2 * half], sin)
    out[..., half : 2 * half].addcmul_(x[..., :half], sin, value=-1)
    return out


def by_group(x: Tensor, groups: int) -> Tensor:
    """`(B, T, K * G, D)` -> `(B * K, T * G, D)`: rows of one key/value head below each other. A view when K is 1."""
    rows, length, heads, width = x.shape
    split = x.view(rows, length, groups, heads // groups, width).transpose(1, 2)
    return split.reshape(rows * groups, length * (heads // groups), width)


def by_token(x: Tensor, groups: int, length: int) -> Tensor:
    """The way back of `by_group`."""
    width = x.size(-1)
    split = x.view(x.size(0) // groups, groups, length, -1, width).transpose(1, 2)
    return split.reshape(x.size(0) // groups, length, -1, width)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Causal attention over tiles of queries, each with the keys up to its end; (mixed values, weights by tile).

    q `(BK, T * G, D)`, already scaled; k, v `(BK, T, D)`; mask `(S * G, S)`, 0 or -inf, for tiles of S positions;
    all of one dtype. Sums within softmax are float32 at least.
    """
    tile, length = mask.size(1), k.size(1)
    group = mask.size(0) // tile
    y, kept = torch.empty_like(q), []
    for start in range(0, length, tile):
        end = min(start + tile, length)
        own = slice(start * group, end * group)
        scores = torch.bmm(q[:, own], k[:, :end].mT)  # (BK, S * G, end)
        scores[:, :, start:] += mask[: scores.size(1), : end - start]
        kept.append(torch.softmax(scores, dim=-1))
        y[:, own] = torch.bmm(kept[-1], v[:, :end])
    return y, kept


def attend_back(
    dy: Tensor, q: Tensor, k: Tensor, v: Tensor, kept: list[Tensor], tile: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v, given that of `attend`'s result; those of k and v, sums over tiles, float32."""
    group, length = q.size(1) // k.size(1), k.size(1)
    sums = torch.float32 if k.dtype == torch.bfloat16 else k.dtype
    dq, dk, dv = torch.empty_like(q), torch.zeros_like(k, dtype=sums), torch.zeros_like(v, dtype=sums)
    for start, weights in zip(range(0, length, tile), kept, strict=True):
        end = min(start + tile, length)
        own = slice(start * group, end * group)
        d_weights = torch.bmm(dy[:, own], v[:, :end].mT)
        d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)  # (BK, S * G, end)
        dv[:, :end] += torch.bmm(weights.mT, dy[:, own])
        dq[:, own] = torch.bmm(d_scores, k[:, :end])
        dk[:, :end] += torch.bmm(d_scores.mT, q[:, own])
    return dq, dk, dv


class UnitRows(torch.autograd.Function):
    """`normed` with its gradient in three passes over memory. x `(..., C)` -> the same."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        unit, factor = unit_rows(x)
        ctx.save_for_backward(unit, factor)
        return unit

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Tensor:
        unit, factor = ctx.saved_tensors
        dots = (grads[0] * unit).sum(-1, keepdim=True).div_(-unit.size(-1))
        return torch.addcmul(grads[0], unit, dots).mul_(factor)


class FastBlock(torch.autograd.Function):
    """One block. x, x0 `(B, T, C)` -> `(B, T, C)`. All but the mask in the dtype of x, that of products is the mask's.

    mix `(2, C)`; gain `(H,)`; scales `(C,)`; matrices as in `gpt`; tables as in `turn`; mask as in `attend`; slope: of
    the ReLU below zero; depth: what the branches read is multiplied by it.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, x0: Tensor, mix: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, gain: Tensor,
        wo: Tensor, attn_scale: Tensor, fc: Tensor, proj: Tensor, mlp_scale: Tensor,
        cos: Tensor, sin: Tensor, mask: Tensor, slope: float, depth: float,
    ) -> Tensor:  # fmt: skip
        rows, length, dim = x.shape
        heads, low = gain.numel(), mask.dtype
        width = dim // heads
        groups = wk.size(0) // width
        mixed = (mix[0] * x).addcmul_(mix[1], x0).view(-1, dim)  # (N, C)
        n1, f1 = unit_rows(mixed)
        n1 = n1.to(low)
        joint = torch.cat((wq, wk, wv))  # ((H + 2K) D, C)
        if depth != 1.0:
            joint *= depth
            fc = fc * depth
        joint, fc = joint.to(low), fc.to(low)
        wo_scaled, proj_scaled = (attn_scale[:, None] * wo).to(low), (mlp_scale[:, None] * proj).to(low)
        qkv = torch.mm(n1, joint.T).view(rows, length, -1, width)  # (B, T, H + 2K, D)
        v = by_group(qkv[:, :, heads + groups :].contiguous(), groups)
        qk = qkv[:, :, : heads + groups].to(x.dtype)
        fqk = unit_factor(qk)  # (B, T, H + K, 1)
        nqk = turn(qk, cos, sin, torch.empty_like(qk)).mul_(fqk)
        q = by_group((nqk[:, :, :heads] * (gain[:, None] * width**-0.5)).to(low), groups)
        k = by_group(nqk[:, :, heads:].to(low, memory_format=torch.contiguous_format), groups)
        y, kept = attend(q, k, v, mask)
        y = by_token(y, groups, length).reshape(-1, dim)  # (N, C)
        middle = plus_product(mixed, y, wo_scaled.T)
        n2, f2 = unit_rows(middle)
        n2 = n2.to(low)
        inner = torch.mm(n2, fc.T)  # (N, F)
        inner = torch.nn.functional.leaky_relu_(inner, slope) if slope else inner.relu_()
        squared = inner * inner
        out = plus_product(middle, squared, proj_scaled.T)
        ctx.save_for_backward(
            x, x0, mix, joint, gain, wo, attn_scale, fc, proj, mlp_scale, cos, sin, wo_scaled, proj_scaled,
            n1, f1, nqk, fqk, q, k, v, y, n2, f2, inner, squared, *kept,
        )  # fmt: skip
        ctx.tile, ctx.slope, ctx.depth = mask.size(1), slope, depth
        return out.view(rows, length, dim)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        (
            x, x0, mix, joint, gain, wo, attn_scale, fc, proj, mlp_scale, cos, sin, wo_scaled, proj_scaled,
            n1, f1, nqk, fqk, q, k, v, y, n2, f2, inner, squared, *kept,
        ) = ctx.saved_tensors  # fmt: skip
        rows, length, dim = x.shape
        heads, width, low, high = gain.numel(), nqk.size(3), fc.dtype, x.dtype
        groups = nqk.size(2) - heads
        g = grads[0].reshape(-1, dim)  # (N, C)
        # the perceptron: out = middle + squared @ (scale * proj).T
        g_low = g.to(low)
        folded = torch.mm(g_low.T, squared).to(high)  # (C, F)
        d_proj, d_mlp_scale = folded * mlp_scale[:, None], (folded * proj).sum(1)
        steep = torch.nn.functional.leaky_relu(inner, ctx.slope) if ctx.slope else inner  # below zero, slope^2 u
        d_inner = torch.mm(g_low, proj_scaled).mul_(steep)  # half of it: d(u^2) = 2 u du
        d_fc = torch.mm(d_inner.T, n2).to(high).mul_(2 * ctx.depth)
        g = unit_rows_back(torch.mm(d_inner, fc).to(high), n2.to(high), f2, g, times=2.0)
        # attention: middle = mixed + y @ (scale * out).T
        g_low = g.to(low)
        folded = torch.mm(g_low.T, y).to(high)  # (C, C)
        d_out, d_attn_scale = folded * attn_scale[:, None], (folded * wo).sum(1)
        dy = by_group(torch.mm(g_low, wo_scaled).view(rows, length, heads, width), groups)
        dq, dk, dv = attend_back(dy, q, k, v, kept, ctx.tile)
        d_qkv = g.new_empty(rows, length, heads + 2 * groups, width)
        d_qkv[:, :, heads + groups :] = by_token(dv, groups, length)
        d_qk = torch.empty_like(nqk)  # (B, T, H + K, D), that of queries still to be scaled
        d_qk[:, :, :heads], d_qk[:, :, heads:] = by_token(dq, groups, length), by_token(dk, groups, length)
        dots = (d_qk * nqk).sum(-1, keepdim=True)  # (B, T, H + K, 1)
        scale = width**-0.5
        d_gain = dots[:, :, :heads].sum((0, 1, 3)).mul_(scale)
        factor = fqk * torch.cat((gain * scale, gain.new_ones(groups)))[:, None]
        d_qk = d_qk.mul_(factor).addcmul_(nqk, dots * factor, value=-1 / width)
        turn(d_qk, cos, -sin, d_qkv[:, :, : heads + groups])
        d_flat = d_qkv.view(-1, joint.size(0)).to(low)
        sizes = [heads * width, groups * width, groups * width]
        d_joint = torch.mm(d_flat.T, n1).to(high).mul_(ctx.depth).split(sizes)
        g = unit_rows_back(torch.mm(d_flat, joint).to(high), n1.to(high), f1, g).view_as(x)
        d_mix = torch.stack(((g * x).sum((0, 1)), (g * x0).sum((0, 1))))
        return (
            g * mix[0], g * mix[1], d_mix, *d_joint, d_gain, d_out, d_attn_scale, d_fc, d_proj, d_mlp_scale,
            None, None, None, None, None,
        )  # fmt: skip
