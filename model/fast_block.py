"""One block with its gradient written by hand, for a CPU in float32.

The same mathematics as `gpt.Block`, arranged so that little memory is touched: queries, keys and values come from one
matrix product; the learnt scales of both branches are folded into the matrices behind them, so that adding a branch is
part of its product; a group of query heads that shares keys is one tall matrix; nothing is kept that the backward pass
can do without. With one key/value head no tensor is transposed at all.

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


def turn(x: Tensor, cos: Tensor, sin: Tensor, out: Tensor) -> Tensor:
    """Rotary positions. x, out: `(B, T, H, D)`; cos, sin: `(T, 1, D/2)` or narrower. Turning by -sin turns back."""
    half = cos.size(-1)
    left, right = x[..., :half], x[..., half : 2 * half]
    torch.mul(left, cos, out=out[..., :half]).addcmul_(right, sin)
    torch.mul(right, cos, out=out[..., half : 2 * half]).addcmul_(left, sin, value=-1)
    if 2 * half < x.size(-1):  # partial rotary: the rest stays
        out[..., 2 * half :] = x[..., 2 * half :]
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

    q `(BK, T * G, D)`, already scaled; k, v `(BK, T, D)`; mask `(S * G, S)`, 0 or -inf, for tiles of S positions.
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
    """The gradients of q, k and v, given that of `attend`'s result."""
    group, length = q.size(1) // k.size(1), k.size(1)
    dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
    for start, weights in zip(range(0, length, tile), kept, strict=True):
        end = min(start + tile, length)
        own = slice(start * group, end * group)
        d_weights = torch.bmm(dy[:, own], v[:, :end].mT)
        d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)  # (BK, S * G, end)
        dv[:, :end] += torch.bmm(weights.mT, dy[:, own])
        dq[:, own] = torch.bmm(d_scores, k[:, :end])
        dk[:, :end] += torch.bmm(d_scores.mT, q[:, own])
    return dq, dk, dv


class FastBlock(torch.autograd.Function):
    """One block. x, x0 `(B, T, C)` -> `(B, T, C)`.

    mix `(2, C)`; gain `(H,)`; scales `(C,)`; matrices as in `gpt`; tables `(T, 1, D/2)`; mask as in `attend`; slope: of
    the ReLU below zero; depth: what the branches read is multiplied by it.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, x0: Tensor, mix: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, gain: Tensor,
        wo: Tensor, attn_scale: Tensor, fc: Tensor, proj: Tensor, mlp_scale: Tensor,
        cos: Tensor, sin: Tensor, mask: Tensor, slope: float, depth: float,
    ) -> Tensor:  # fmt: skip
        rows, length, dim = x.shape
        heads = gain.numel()
        width = dim // heads
        groups = wk.size(0) // width
        mixed = (mix[0] * x).addcmul_(mix[1], x0).view(-1, dim)  # (N, C)
        n1, f1 = unit_rows(mixed)
        joint = torch.cat((wq, wk, wv))  # ((H + 2K) D, C)
        if depth != 1.0:
            joint *= depth
            fc = fc * depth
        qkv = torch.mm(n1, joint.T).view(rows, length, -1, width)  # (B, T, H + 2K, D)
        fq, fk = (unit_factor(qkv[:, :, part]) for part in (slice(heads), slice(heads, heads + groups)))
        nq = turn(qkv[:, :, :heads], cos, sin, qkv.new_empty(rows, length, heads, width)).mul_(fq)
        nk = turn(qkv[:, :, heads : heads + groups], cos, sin, qkv.new_empty(rows, length, groups, width)).mul_(fk)
        q = by_group(nq * (gain[:, None] * width**-0.5), groups)  # (BK, T * G, D)
        k = by_group(nk, groups)  # (BK, T, D)
        v = by_group(qkv[:, :, heads + groups :].contiguous(), groups)
        y, kept = attend(q, k, v, mask)
        y = by_token(y, groups, length).reshape(-1, dim)  # (N, C)
        middle = torch.addmm(mixed, y, (attn_scale[:, None] * wo).T)
        n2, f2 = unit_rows(middle)
        inner = torch.mm(n2, fc.T)  # (N, F)
        inner = torch.nn.functional.leaky_relu_(inner, slope) if slope else inner.relu_()
        squared = inner * inner
        out = middle.addmm_(squared, (mlp_scale[:, None] * proj).T)
        ctx.save_for_backward(
            x, x0, mix, joint, gain, wo, attn_scale, fc, proj, mlp_scale, cos, sin,
            n1, f1, nq, fq, nk, fk, v, y, n2, f2, inner, squared, *kept,
        )  # fmt: skip
        ctx.tile, ctx.slope, ctx.depth = mask.size(1), slope, depth
        return out.view(rows, length, dim)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        (
            x, x0, mix, joint, gain, wo, attn_scale, fc, proj, mlp_scale, cos, sin,
            n1, f1, nq, fq, nk, fk, v, y, n2, f2, inner, squared, *kept,
        ) = ctx.saved_tensors  # fmt: skip
        rows, length, dim = x.shape
        heads, groups, width = gain.numel(), nk.size(2), nk.size(3)
        g = grads[0].reshape(-1, dim)  # (N, C)
        # the perceptron: out = middle + squared @ (scale * proj).T
        folded = torch.mm(g.T, squared)  # (C, F)
        d_proj, d_mlp_scale = folded * mlp_scale[:, None], (folded * proj).sum(1)
        steep = torch.nn.functional.leaky_relu(inner, ctx.slope) if ctx.slope else inner  # below zero, slope^2 u
        d_inner = torch.mm(g, mlp_scale[:, None] * proj).mul_(steep)  # half of it: d(u^2) = 2 u du
        d_fc = torch.mm(d_inner.T, n2).mul_(2 * ctx.depth)
        g = unit_rows_back(torch.mm(d_inner, fc), n2, f2, g, times=2.0)
        # attention: middle = mixed + y @ (scale * out).T
        folded = torch.mm(g.T, y)  # (C, C)
        d_out, d_attn_scale = folded * attn_scale[:, None], (folded * wo).sum(1)
        dy = by_group(torch.mm(g, attn_scale[:, None] * wo).view(rows, length, heads, width), groups)
        scale = width**-0.5
        q, k = by_group(nq * (gain[:, None] * scale), groups), by_group(nk, groups)
        dq, dk, dv = attend_back(dy, q, k, v, kept, ctx.tile)
        d_qkv = g.new_empty(rows, length, heads + 2 * groups, width)
        d_qkv[:, :, heads + groups :] = by_token(dv, groups, length)
        dq = by_token(dq, groups, length)  # (B, T, H, D), still to be scaled
        dots = (dq * nq).sum(-1, keepdim=True)  # (B, T, H, 1)
        d_gain = dots.sum((0, 1, 3)).mul_(scale)
        factor = fq * (gain[:, None] * scale)
        turn((dq * factor).addcmul_(nq, dots * factor, value=-1 / width), cos, -sin, d_qkv[:, :, :heads])
        dk = by_token(dk, groups, length)  # (B, T, K, D)
        dots = (dk * nk).sum(-1, keepdim=True)
        dk = (dk * fk).addcmul_(nk, dots * fk, value=-1 / width)
        turn(dk, cos, -sin, d_qkv[:, :, heads : heads + groups])
        d_flat = d_qkv.view(-1, joint.size(0))
        d_joint = torch.mm(d_flat.T, n1).mul_(ctx.depth).split([heads * width, groups * width, groups * width])
        g = unit_rows_back(torch.mm(d_flat, joint), n1, f1, g).view_as(x)
        d_mix = torch.stack(((g * x).sum((0, 1)), (g * x0).sum((0, 1))))
        return (
            g * mix[0], g * mix[1], d_mix, *d_joint, d_gain, d_out, d_attn_scale, d_fc, d_proj, d_mlp_scale,
            None, None, None, None, None,
        )  # fmt: skip
