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

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .fast_exclusive import without_own, without_own_back


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
    unit = unit.to(grad.dtype)
    dots = (grad * unit).sum(-1, keepdim=True).mul_(-times / unit.size(-1)).mul_(factor)
    return torch.addcmul(onto, grad, factor, value=times).addcmul_(unit, dots)


def plus_product(onto: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """onto + a @ b in the dtype of `onto`. A new tensor."""
    if a.dtype == onto.dtype:
        return torch.addmm(onto, a, b)
    return torch.mm(a, b).to(onto.dtype).add_(onto)


def pairs(x: Tensor) -> Tensor:
    """Neighbours of the last axis as complex numbers, `(..., D)` -> `(..., D/2)`. A view."""
    return torch.view_as_complex(x.unflatten(-1, (-1, 2)))


def turn(x: Tensor, turns: Tensor, out: Tensor, back: bool = False) -> Tensor:
    """x `(B, T, H, D)` turned by its positions, or back again.

    turns: complex `(T, 1, D/2)` for heads in `pair_order`, the result is then `out` (which may be x); or cos and sin,
    `(2, T, 1, R)`, for heads as the ordinary model has them, as the compiler wants it.
    """
    if turns.is_complex():
        torch.mul(pairs(x), turns.conj() if back else turns, out=pairs(out))
        return out
    cos, sin = turns[0], -turns[1] if back else turns[1]
    left, right, still = x.split([cos.size(-1), cos.size(-1), x.size(-1) - 2 * cos.size(-1)], dim=-1)
    return torch.cat((left * cos + right * sin, right * cos - left * sin, still), dim=-1)


def pair_order(width: int, turned: int, device: torch.device) -> Tensor:
    """Coordinates of a head in the order in which those that turn together are neighbours. int64 `(width,)`.

    turned: how many turn, coordinate i with i + turned / 2. One complex product then turns all. Norms and products of
    queries with keys are the same in any order, so only the matrices that make them are read in it.
    """
    both = torch.arange(turned, device=device).view(2, -1).T.flatten()
    return torch.cat((both, torch.arange(turned, width, device=device)))


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


def block_forward(
    x: Tensor, x0: Tensor, mix: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, gain: Tensor,
    wo: Tensor, attn_scale: Tensor, fc: Tensor, proj: Tensor, mlp_scale: Tensor,
    turns: Tensor, order: Tensor | None, mask: Tensor, slope: float, depth: float | Tensor, exclusive: bool,
) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    """What `FastBlock` gives, and what its gradient wants to know beside its arguments."""
    rows, length, dim = x.shape
    heads, low, high = gain.numel(), mask.dtype, x.dtype
    width = dim // heads
    groups = wk.size(0) // width
    mixed = (x * (mix[0] + mix[1]) if x0 is x else (x * mix[0]).addcmul_(x0, mix[1])).view(-1, dim)  # (N, C)
    u1, f1 = unit_rows(mixed)
    n1 = u1.to(low)
    qk_rows = torch.cat((wq, wk))
    if order is not None:
        qk_rows = qk_rows.view(-1, width, dim)[:, order].view(-1, dim)
    joint = torch.cat((qk_rows, wv))  # ((H + 2K) D, C)
    if not isinstance(depth, float) or depth != 1.0:
        joint *= depth
        fc = fc * depth
    joint, fc = joint.to(low), fc.to(low)
    wo_scaled, proj_scaled = (attn_scale[:, None] * wo).to(low), (mlp_scale[:, None] * proj).to(low)
    qkv = torch.mm(n1, joint.T).view(rows, length, -1, width)  # (B, T, H + 2K, D)
    qk, v = qkv.split([heads + groups, groups], dim=2)
    v = by_group(v.contiguous(), groups)
    qk = qk.to(high)
    fqk = unit_factor(qk)  # (B, T, H + K, 1)
    nqk = turn(qk, turns, qk.new_empty(qk.shape)).mul_(fqk)  # heads in pair_order
    q, k = nqk.split([heads, groups], dim=2)
    q = by_group((q * (gain[:, None] * width**-0.5)).to(low), groups)
    k = by_group(k.to(low, memory_format=torch.contiguous_format), groups)
    y, weights = attend(q, k, v, mask)
    y, apart = without_own(y, v) if exclusive else (y, [])
    y = by_token(y, groups, length).reshape(-1, dim)  # (N, C)
    middle = plus_product(mixed, y, wo_scaled.T)
    u2, f2 = unit_rows(middle)
    n2 = u2.to(low)
    inner = torch.mm(n2, fc.T)  # (N, F)
    inner = torch.nn.functional.leaky_relu_(inner, slope) if slope else inner.relu_()
    squared = inner * inner
    out = plus_product(middle, squared, proj_scaled.T)
    if order is None:  # compiled: to widen what was rounded is no pass of its own, to keep both is
        u1, u2 = n1, n2
    known = [joint, fc, wo_scaled, proj_scaled, u1, n1, f1, nqk, fqk, q, k, v, y, u2, n2, f2, inner, squared]
    return out.view(rows, length, dim), known + apart + weights


def block_backward(
    grad: Tensor, x: Tensor, x0: Tensor, mix: Tensor, gain: Tensor, wo: Tensor, attn_scale: Tensor, proj: Tensor,
    mlp_scale: Tensor, turns: Tensor, order: Tensor | None, known: Sequence[Tensor],
    tile: int, slope: float, depth: float | Tensor, exclusive: bool, alone: bool,
) -> tuple[Tensor | None, ...]:  # fmt: skip
    """The gradients of the first twelve arguments of `block_forward`, given that of its result and what it kept.

    tile: queries in one; alone: x is x0, whose gradient is then within that of x.
    """
    joint, fc, wo_scaled, proj_scaled, u1, n1, f1, nqk, fqk, q, k, v, y, u2, n2, f2, inner, squared, *rest = known
    rows, length, dim = x.shape
    heads, width, low, high = gain.numel(), nqk.size(3), fc.dtype, x.dtype
    groups = nqk.size(2) - heads
    g = grad.reshape(-1, dim)  # (N, C)
    # the perceptron: out = middle + squared @ (scale * proj).T
    g_low = g.to(low)
    folded = torch.mm(g_low.T, squared).to(high)  # (C, F)
    d_proj, d_mlp_scale = folded * mlp_scale[:, None], (folded * proj).sum(1)
    steep = torch.nn.functional.leaky_relu(inner, slope) if slope else inner  # below zero, slope^2 u
    d_inner = torch.mm(g_low, proj_scaled).mul_(steep)  # half of it: d(u^2) = 2 u du
    d_fc = torch.mm(d_inner.T, n2).to(high).mul_(2 * depth)
    g = unit_rows_back(torch.mm(d_inner, fc).to(high), u2, f2, g, times=2.0)
    # attention: middle = mixed + y @ (scale * out).T
    g_low = g.to(low)
    folded = torch.mm(g_low.T, y).to(high)  # (C, C)
    d_out, d_attn_scale = folded * attn_scale[:, None], (folded * wo).sum(1)
    dy = by_group(torch.mm(g_low, wo_scaled).view(rows, length, heads, width), groups)
    own, weights = rest[: 3 * exclusive], rest[3 * exclusive :]
    if exclusive:
        dy, own_dv = without_own_back(dy, by_group(y.view(rows, length, heads, width), groups), *own)
    dq, dk, dv = attend_back(dy, q, k, v, list(weights), tile)
    if exclusive:
        dv += own_dv
    d_qkv = wo_scaled.new_empty(rows, length, heads + 2 * groups, width)
    d_qkv[:, :, heads + groups :] = by_token(dv, groups, length)
    d_qk = torch.empty_like(nqk)  # (B, T, H + K, D), that of queries still to be scaled
    d_qk[:, :, :heads], d_qk[:, :, heads:] = by_token(dq, groups, length), by_token(dk, groups, length)
    dots = (d_qk * nqk).sum(-1, keepdim=True)  # (B, T, H + K, 1)
    scale = width**-0.5
    d_gain = dots[:, :, :heads].sum((0, 1, 3)).mul_(scale)
    factor = fqk * torch.cat((gain * scale, gain.new_ones(groups)))[:, None]
    d_qk = d_qk.mul_(factor).addcmul_(nqk, dots * factor, value=-1 / width)
    d_qkv[:, :, : heads + groups] = turn(d_qk, turns, d_qk, back=True)
    d_flat = d_qkv.view(-1, joint.size(0))
    d_joint = torch.mm(d_flat.T, n1).to(high).mul_(depth).view(-1, width, dim)
    d_heads = d_joint[: heads + groups]
    if order is not None:
        d_heads = torch.empty_like(d_heads).index_copy_(1, order, d_heads)
    d_wq, d_wk = (part.reshape(-1, dim) for part in d_heads.split([heads, groups]))
    d_wv = d_joint[heads + groups :].view(-1, dim)
    g = unit_rows_back(torch.mm(d_flat, joint).to(high), u1, f1, g).view_as(x)
    d_mix = (g * x).sum((0, 1))
    if alone:
        d_x, d_x0, d_mix = g.mul_(mix[0] + mix[1]), None, d_mix.expand(2, dim)
    else:
        d_x, d_x0, d_mix = g * mix[0], g * mix[1], torch.stack((d_mix, (g * x0).sum((0, 1))))
    return d_x, d_x0, d_mix, d_wq, d_wk, d_wv, d_gain, d_out, d_attn_scale, d_fc, d_proj, d_mlp_scale


class FastBlock(torch.autograd.Function):
    """One block. x, x0 `(B, T, C)` -> `(B, T, C)`. All but the mask in the dtype of x, that of products is the mask's.

    both: `block_forward` and `block_backward`, or the same compiled. mix `(2, C)`; gain `(H,)`; scales `(C,)`; matrices
    as in `gpt`; turns as in `turn`, order that of `pair_order` or None; mask as in `attend`; slope: of the ReLU below
    zero; depth: what the branches read is multiplied by it. Where x is x0 itself (the first block) both parts are one.
    exclusive: `fast_exclusive`.
    """

    @staticmethod
    def forward(
        ctx: Any, both: tuple[Callable[..., Any], Callable[..., Any]], x: Tensor, x0: Tensor, mix: Tensor, wq: Tensor,
        wk: Tensor, wv: Tensor, gain: Tensor, wo: Tensor, attn_scale: Tensor, fc: Tensor, proj: Tensor,
        mlp_scale: Tensor, turns: Tensor, order: Tensor | None, mask: Tensor, slope: float, depth: float | Tensor,
        exclusive: bool,
    ) -> Tensor:  # fmt: skip
        alone, x = x0 is x, x.detach()  # the compiler looks at tensors, and at no graph behind them
        x0 = x if alone else x0.detach()
        wq, wk, wv, wo, fc, proj = (matrix.detach() for matrix in (wq, wk, wv, wo, fc, proj))
        out, known = both[0](
            x, x0, mix, wq, wk, wv, gain, wo, attn_scale, fc, proj, mlp_scale, turns, order, mask, slope, depth,
            exclusive,
        )  # fmt: skip
        ctx.save_for_backward(x, x0, mix, gain, wo, attn_scale, proj, mlp_scale, turns, order, *known)
        ctx.back, ctx.rest = both[1], (mask.size(1), slope, depth, exclusive, alone)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        known = ctx.saved_tensors
        return (None, *ctx.back(grads[0], *known[:10], known[10:], *ctx.rest), *(None,) * 6)
