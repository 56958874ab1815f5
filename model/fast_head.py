"""Head, soft-cap and cross-entropy in one step, for a CPU: the largest tensors of a small model never leave the cache.

The logits of a piece of rows are made, turned into their own gradient, and used up before the next piece begins. With
s = sigmoid(2 z / cap) the capped logit is cap * tanh(z / cap) = cap * (2 s - 1), and a constant cancels in the softmax,
so e = exp(2 cap s) needs no maximum subtracted while 2 cap stays below 80. The gradient of the mean loss by z is
(e / sum(e) - one at the target) * 4 s (1 - s) / N.
"""

from typing import Any

import torch
from torch import Tensor

PIECE = 1 << 19  # logits held at a time: 2 MiB of float32
CAP_LIMIT = 40.0  # exp(2 * cap) has to stay within float32


class HeadLoss(torch.autograd.Function):
    """Mean nats of `targets` under softmax(cap * tanh(hidden @ weight.T / cap)).

    hidden `(N, C)`, weight `(V, C)` of one float dtype, targets int64 `(N,)`, 0 < cap <= CAP_LIMIT. Gradients are
    made in the forward pass and handed out in the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, cap: float) -> Tensor:
        count, vocab = hidden.size(0), weight.size(0)
        rows = max(1, min(count, PIECE // vocab))
        scaled = (weight * (2 / cap)).T  # (C, V)
        sig, exps = hidden.new_empty(rows, vocab), hidden.new_empty(rows, vocab)
        d_hidden, d_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        nats = hidden.new_zeros((), dtype=torch.float64)
        for start in range(0, count, rows):
            h, goals = hidden[start : start + rows], targets[start : start + rows, None]  # (R, C), (R, 1)
            s, e = sig[: len(h)], exps[: len(h)]  # (R, V)
            torch.mm(h, scaled, out=s).sigmoid_()
            torch.mul(s, 2 * cap, out=e).exp_()
            sums = e.sum(-1, keepdim=True)  # (R, 1)
            nats += (sums.log() - 2 * cap * s.gather(1, goals)).sum(dtype=torch.float64)
            e.mul_(4 / count / sums)
            e.scatter_add_(1, goals, e.new_full((), -4 / count).expand_as(goals))
            torch.ops.aten.sigmoid_backward.grad_input(e, s, grad_input=e)
            torch.mm(e, weight, out=d_hidden[start : start + rows])
            d_weight.addmm_(e.T, h)
        ctx.save_for_backward(d_hidden, d_weight)
        return (nats / count).to(hidden.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        d_hidden, d_weight = ctx.saved_tensors
        return d_hidden.mul_(grads[0]), d_weight.mul_(grads[0]), None, None
