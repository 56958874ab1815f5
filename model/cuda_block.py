"""One block as a GPU likes it: few large matrix products, and between them passes that touch memory once.

The same mathematics as `gpt.Block`, cut where attention stands, so that any attention fits between and the switches of
`head_extras` act there as ever:

    Enter: mix with x0, norm, one product for queries, keys and values, their norms and positions
    Leave: the outgoing product, the norm, the perceptron; both branches are added as part of their products

The learnt scales of the branches are folded into the matrices behind them, so a branch lands in the stream without a
pass of its own. Gradients are written by hand. What a pass computes is `ops`: `cuda_plain.PlainOps`, which every device
can do, or `kernels_ops.TritonOps`. The gradient of x0 is handed from block to block, each adding its part.

Counted in vectors of C numbers a token and layer of the baseline, forward and backward, the compiled baseline moves
131; this 87: passes between products 40, products 35, attention 11, the U's gradients where they meet 1.
"""

from typing import Any

import torch
from torch import Tensor

from .cuda_plain import PlainOps


class UnitNorm(torch.autograd.Function):
    """Rows of the last axis at root mean square 1. x `(..., C)` -> the same."""

    @staticmethod
    def forward(ctx: Any, ops: PlainOps, x: Tensor) -> Tensor:
        unit, factor = ops.norm(x.contiguous())
        ctx.ops = ops
        ctx.save_for_backward(unit, factor)
        return unit

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        unit, factor = ctx.saved_tensors
        return None, ctx.ops.norm_back(grads[0].contiguous(), unit, factor, None)


class AddScaled(torch.autograd.Function):
    """x + scale * y, for the U's kept outputs. `(..., C)` twice, scale `(C,)`."""

    @staticmethod
    def forward(ctx: Any, ops: PlainOps, x: Tensor, y: Tensor, scale: Tensor) -> Tensor:
        ctx.ops = ops
        ctx.save_for_backward(y, scale)
        return ops.add(x, y, scale)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        y, scale = ctx.saved_tensors
        dy, d_scale = ctx.ops.add_back(grads[0].contiguous(), y, scale)
        return None, grads[0], dy, d_scale


class Enter(torch.autograd.Function):
    """The way into a block, up to attention.

    x, x0 `(B, T, C)` of one dtype, in which all products are; mix `(2, C)`, matrices and gain `(H,)` of the weights'
    dtype; tables `(T, R)`; depth: what is read is multiplied by it. Returns the mixed stream `(B, T, C)`, what was read
    `(B, T, C)` before depth, queries `(B, T, H, D)`, keys and values `(B, T, K, D)`, and x0 once more, whose gradient
    comes back through there.
    """

    @staticmethod
    def forward(
        ctx: Any, ops: PlainOps, x: Tensor, x0: Tensor, mix: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, gain: Tensor,
        cos: Tensor, sin: Tensor, depth: float,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        rows, length, dim = x.shape
        x, x0 = x.contiguous(), x0.contiguous()
        mixed, unit, factor = ops.mix(x, x0, mix)
        joint = torch.cat((wq, wk, wv))
        joint = (joint if depth == 1.0 else joint * depth).to(x.dtype)  # ((H + 2K) D, C)
        qkv = torch.mm(unit.view(-1, dim), joint.T).view(rows, length, -1, wq.size(0) // gain.numel())
        q, k = ops.turn(qkv, gain, cos, sin)
        v = qkv[:, :, q.size(2) + k.size(2) :]
        ctx.ops, ctx.depth = ops, depth
        ctx.save_for_backward(x, x0, mix, joint, gain, cos, sin, unit, factor, qkv)
        ctx.set_materialize_grads(False)
        return mixed, unit, q, k, v, x0

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        x, x0, mix, joint, gain, cos, sin, unit, factor, qkv = ctx.saved_tensors
        d_mixed, d_unit, dq, dk, dv, d_x0 = grads
        width, dim = qkv.size(3), x.size(-1)
        d_qkv, d_gain = ctx.ops.turn_back(dq.contiguous(), dk.contiguous(), dv.contiguous(), qkv, gain, cos, sin)
        d_flat = d_qkv.view(-1, joint.size(0))
        d_joint = torch.mm(d_flat.T, unit.view(-1, dim)).to(mix.dtype)
        if ctx.depth != 1.0:
            d_joint *= ctx.depth
        kv = dk.size(2) * width
        d_read = torch.mm(d_flat, joint).view_as(x)
        if d_unit is not None:
            d_read += d_unit
        d_x0 = None if d_x0 is None else d_x0.contiguous()
        dx, d_x0, d_mix = ctx.ops.mix_back(d_read, unit, factor, d_mixed.contiguous(), x, x0, mix, d_x0)
        d_wq, d_wk, d_wv = d_joint.split([joint.size(0) - 2 * kv, kv, kv])
        return None, dx, d_x0, d_mix, d_wq, d_wk, d_wv, d_gain, None, None, None


class Leave(torch.autograd.Function):
    """The way out of a block, from what attention found. The mixed stream is changed in place and returned.

    mixed, y `(B, T, C)` of one dtype; matrices and scales of the weights' dtype; slope: of the ReLU below zero; depth
    as in `Enter`. `seen` `(B, T, C)`: what the perceptron reads instead of the new stream (parallel blocks).
    """

    @staticmethod
    def forward(
        ctx: Any, ops: PlainOps, mixed: Tensor, seen: Tensor | None, y: Tensor, wo: Tensor, attn_scale: Tensor,
        fc: Tensor, proj: Tensor, mlp_scale: Tensor, slope: float, depth: float,
    ) -> Tensor:  # fmt: skip
        dim, low = mixed.size(-1), mixed.dtype
        stream, found = mixed.detach().view(-1, dim), y.reshape(-1, dim)  # (N, C); no compiler takes a changed view
        out_low, proj_low = (attn_scale[:, None] * wo).to(low), (mlp_scale[:, None] * proj).to(low)
        fc_low = (fc if depth == 1.0 else fc * depth).to(low)
        stream.addmm_(found, out_low.T)
        unit, factor = ops.norm(stream) if seen is None else (seen.reshape(-1, dim), None)
        inner = torch.mm(unit, fc_low.T)  # (N, F)
        squared = ops.square(inner, slope)
        stream.addmm_(squared, proj_low.T)
        ctx.ops, ctx.slope, ctx.depth, ctx.parallel = ops, slope, depth, seen is not None
        kept = (found, unit, inner, squared, out_low, proj_low, fc_low, wo, attn_scale, proj, mlp_scale)
        ctx.save_for_backward(*kept, *(() if factor is None else (factor,)))
        ctx.mark_dirty(mixed)
        return mixed

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        found, unit, inner, squared, out_low, proj_low, fc_low, wo, attn_scale, proj, mlp_scale, *rest = (
            ctx.saved_tensors
        )
        ops, shape, high = ctx.ops, grads[0].shape, wo.dtype
        g = grads[0].reshape(unit.shape).contiguous()  # (N, C)
        folded = torch.mm(g.T, squared).to(high)  # (C, F)
        d_proj, d_mlp_scale = folded * mlp_scale[:, None], (folded * proj).sum(1)
        d_inner = ops.square_back(torch.mm(g, proj_low), inner, ctx.slope)
        d_fc = torch.mm(d_inner.T, unit).to(high)
        if ctx.depth != 1.0:
            d_fc *= ctx.depth
        d_unit = torch.mm(d_inner, fc_low)
        d_seen = None
        if ctx.parallel:
            d_seen = d_unit.view(shape)
        else:
            g = ops.norm_back(d_unit, unit, rest[0], g)
        folded = torch.mm(g.T, found).to(high)  # (C, C)
        d_out, d_attn_scale = folded * attn_scale[:, None], (folded * wo).sum(1)
        dy = torch.mm(g, out_low).view(shape)
        return None, g.view(shape), d_seen, dy, d_out, d_attn_scale, d_fc, d_proj, d_mlp_scale, None, None
