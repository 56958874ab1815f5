"""Head, soft-cap and cross-entropy for a GPU: logits of a piece of rows at a time, turned into their gradient in place.

All logits of a batch at once are the largest tensor of a small model (65,536 rows of 8,192 are 2 GiB with their
gradient); here a piece of them is made, read once for the loss and its gradient, multiplied back, and overwritten.
Nothing is left for the backward pass but to hand the gradients out.
"""

from typing import Any

import torch
from torch import Tensor

from .cuda_plain import PlainOps

PIECE_LOGITS = 1 << 25  # logits held at a time: 64 MiB of bfloat16


def nats_by_pieces(ops: PlainOps, hidden: Tensor, weight: Tensor, targets: Tensor, cap: float) -> Tensor:
    """-ln p of each target, without a gradient. Shapes as in `PiecewiseLoss` -> `(N,)`."""
    matrix, rows = weight.to(hidden.dtype), max(1, PIECE_LOGITS // weight.size(0))
    pieces = zip(hidden.split(rows), targets.split(rows), strict=True)
    return torch.cat([ops.head(torch.mm(h, matrix.T), goals, cap, 0.0) for h, goals in pieces])


class PiecewiseLoss(torch.autograd.Function):
    """Mean nats of `targets` under softmax(cap * tanh(hidden @ weight.T / cap)).

    hidden `(N, C)` in the dtype of products; weight `(V, C)`; targets int64 `(N,)`, each below V; cap at most
    CAP_LIMIT_GPU.
    """

    @staticmethod
    def forward(ctx: Any, ops: PlainOps, hidden: Tensor, weight: Tensor, targets: Tensor, cap: float) -> Tensor:
        count, vocab = hidden.size(0), weight.size(0)
        rows = max(1, min(count, PIECE_LOGITS // vocab))
        matrix = weight.to(hidden.dtype)
        high = weight.dtype if weight.dtype == torch.float64 else torch.float32
        d_hidden, d_weight = torch.empty_like(hidden), torch.zeros_like(weight, dtype=high)
        nats = torch.zeros((), dtype=torch.float64, device=hidden.device)
        for start in range(0, count, rows):
            h, goals = hidden[start : start + rows], targets[start : start + rows]
            logits = torch.mm(h, matrix.T)  # (R, V)
            nats += ops.head(logits, goals, cap, 1.0).sum(dtype=torch.float64)
            torch.mm(logits, matrix, out=d_hidden[start : start + rows])  # of count times the loss
            d_weight += torch.mm(logits.T, h)
        ctx.save_for_backward(d_hidden, d_weight)
        ctx.count, ctx.low = count, weight.dtype
        return (nats / count).to(high)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        d_hidden, d_weight = ctx.saved_tensors
        part = grads[0] / ctx.count
        return None, d_hidden * part.to(d_hidden.dtype), (d_weight * part).to(ctx.low), None, None
