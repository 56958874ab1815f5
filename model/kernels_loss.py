"""A Triton kernel of the soft-capped cross-entropy: logits in, the loss of each row out, their gradient in their place.

With s = sigmoid(2 z / cap) the capped logit is cap * (2 s - 1), never above cap: so exp(capped - cap) cannot overflow,
no maximum has to be sought, and one pass gives the sum, a second the gradient (from the cache). All in float32.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

LOGITS_AT_A_TIME = 4096


@triton.jit
def head_kernel(logits, targets, nats, cap, part, V: tl.constexpr, TILE: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    target = tl.load(targets + row)
    own = logits + row * V
    goal = tl.load(own + target).to(tl.float32)
    total = 0.0
    for start in range(0, V, TILE):
        v = start + tl.arange(0, TILE)
        s = tl.sigmoid(tl.load(own + v, mask=v < V, other=0.0).to(tl.float32) * (2.0 / cap))
        total += tl.sum(tl.where(v < V, tl.exp(2.0 * cap * (s - 1.0)), 0.0), axis=0)
    tl.store(nats + row, tl.log(total) - 2.0 * cap * (tl.sigmoid(goal * (2.0 / cap)) - 1.0))
    for start in range(0, V, TILE):
        v = start + tl.arange(0, TILE)
        s = tl.sigmoid(tl.load(own + v, mask=v < V, other=0.0).to(tl.float32) * (2.0 / cap))
        p = tl.exp(2.0 * cap * (s - 1.0)) / total - tl.where(v == target, 1.0, 0.0)
        d = p * (4.0 * part) * s * (1.0 - s)
        tl.store(own + v, d.to(logits.dtype.element_ty), mask=v < V)


def head_by_kernel(logits: Tensor, targets: Tensor, cap: float, part: float) -> Tensor:
    """`PlainOps.head`, for 0 < cap <= CAP_LIMIT_GPU. Targets are not checked."""
    rows, vocab = logits.shape
    nats = torch.empty(rows, dtype=torch.float32, device=logits.device)
    if logits.numel():
        tile = min(triton.next_power_of_2(vocab), LOGITS_AT_A_TIME)
        head_kernel[(rows,)](logits, targets, nats, cap, part, vocab, tile)
    return nats
