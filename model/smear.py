"""SmearGate: each token's embedding takes a learnt part of the one before it, never across the begin of a document.

A transformer spends an attention head on looking one token back; this gives that away for a few hundred parameters. The
first public version leaked: the first token of a document took from the last one of the document before. Here the gate
is shut where the token begins a document. It starts as what changes nothing.
"""

import torch
from torch import Tensor, nn

from .data import BOS


class Smear(nn.Module):
    """x + scale * sigmoid(gate . first channels of x) * (x of the position before)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.smear_gate = nn.Parameter(torch.zeros(width))
        self.smear_scale = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, before: Tensor, ids: Tensor) -> Tensor:
        """x, before: `(B, T, C)`; ids: int64 `(B, T)`."""
        open_part = torch.sigmoid((x[..., : self.smear_gate.numel()] * self.smear_gate.to(x.dtype)).sum(-1))  # (B, T)
        part = self.smear_scale.to(x.dtype) * open_part * (ids != BOS)
        return x + part[..., None].to(x.dtype) * before
