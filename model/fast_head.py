"""Head, soft-cap and cross-entropy in one step, for a CPU: the largest tensors of a small model never leave the cache.

The logits of a piece of rows are made, turned into their own gradient, and used up before the next piece begins. With
s = sigmoid(2 z / cap) the capped logit is cap * tanh(z / cap) = cap * (2 s - 1), and a constant cancels in the softmax,
so p = softmax(2 cap s). The gradient of the mean loss by z is (p - one at the target) * 4 s (1 - s) / N.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

PIECE = 1 << 19  # logits held at a time: 2 MiB of float32
CAP_LIMIT = 40.0  # exp(-2 * cap) has to stay within float32


def piece_gradient(
    hidden: Tensor, goals: Tensor, scaled: Tensor, matrix: Tensor, cap: float, high: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Of R rows: the sum of their nats, and its gradients by hidden and by the weight, over 4.

    hidden `(R, C)`, scaled `(C, V)` (the weight times 2 / cap) and matrix `(V, C)` are multiplied; goals `(R, 1)`; all
    else is computed in `high`. Returns a float64 scalar, `(R, C)` and `(V, C)`.
    """
    s = torch.mm(hidden, scaled).to(high).sigmoid_()  # (R, V)
    p = s * (2 * cap)
    torch.softmax(p, -1, out=p)
    nats = p.gather(1, goals).log().sum(dtype=torch.float64).neg_()
    p.scatter_add_(1, goals, p.new_full((), -1.0).expand_as(goals))
    torch.ops.aten.sigmoid_backward.grad_input(p, s, grad_input=p)
    grad = p.to(matrix.dtype)
    return nats, torch.mm(grad, matrix), torch.mm(grad.T, hidden)


class HeadLoss(torch.autograd.Function):
    """Mean nats of `targets` under softmax(cap * tanh(hidden @ weight.T / cap)).

    hidden `(N, C)`, weight `(V, C)` of one float dtype, targets int64 `(N,)`, 0 < cap <= CAP_LIMIT; `low` is the dtype
    of what is multiplied. Gradients are made in the forward pass and handed out in the backward pass, piece by piece by
    `piece`, which is `piece_gradient` or the same compiled.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, cap: float, low: torch.dtype | None = None,
        piece: Callable[..., tuple[Tensor, Tensor, Tensor]] = piece_gradient,
    ) -> Tensor:  # fmt: skip
        low = hidden.dtype if low is None else low
        count, vocab = hidden.size(0), weight.size(0)
        rows = max(1, min(count, PIECE // vocab))
        hidden, weight = hidden.detach(), weight.detach()
        seen, matrix, scaled = hidden.to(low), weight.to(low), (weight * (2 / cap)).T.to(low)  # (N, C), (V, C), (C, V)
        d_hidden, d_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        nats = hidden.new_zeros((), dtype=torch.float64)
        for start in range(0, count, rows):
            own = slice(start, start + rows)
            more, d_hidden[own], d_more = piece(seen[own], targets[own, None], scaled, matrix, cap, hidden.dtype)
            nats += more
            d_weight += d_more
        ctx.save_for_backward(d_hidden, d_weight)
        ctx.scale = 4 / count
        return (nats / count).to(hidden.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        d_hidden, d_weight = ctx.saved_tensors
        scale = grads[0] * ctx.scale
        return d_hidden.mul_(scale), d_weight.mul_(scale), None, None, None, None


def head_nats(hidden: Tensor, weight: Tensor, targets: Tensor, cap: float, low: torch.dtype, logits: Tensor) -> Tensor:
    """-ln p of each target `(N,)`, as `HeadLoss` has their mean; only a piece of the logits exists at a time.

    logits: `(N, V)` of the dtype of hidden takes all of them, `cap` higher than they are; `(0, V)` takes none.
    """
    count, vocab = hidden.size(0), weight.size(0)
    rows = max(1, min(count, PIECE // vocab))
    seen, scaled = hidden.to(low), (weight * (2 / cap)).T.to(low)  # (N, C), (C, V)
    nats, piece = hidden.new_empty(count), hidden.new_empty(rows, vocab)
    for start in range(0, count, rows):
        own = slice(start, start + rows)
        goals = targets[own, None]
        s = piece[: len(goals)]  # (R, V)
        (torch.mm(seen[own], scaled, out=s) if low == s.dtype else s.copy_(torch.mm(seen[own], scaled)))
        s.sigmoid_().mul_(2 * cap)
        logits[own] = s[: len(logits[own])]
        nats[own] = torch.softmax(s, -1, out=s).gather(1, goals).log_()[:, 0].neg_()
    return nats
