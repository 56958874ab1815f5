"""What attention heads do beside attending: three switches, none of which looks at other positions.

`Exclusive` takes out of a head's output what points along the token's own value, so that attention brings only what the
token does not know (XSA; arXiv 2603.09078; public records -0.002 bits per byte). `HeadGate` multiplies each head by a
gate that a few channels of the token set. `ValueBlend` mixes values with those of the first block (value residual,
arXiv 2410.17897). The last two start as what changes nothing.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import RunConfig


class Exclusive(nn.Module):
    """Outputs `(B, H, T, D)` without their part along the token's own value, `(B, K, T, D)`."""

    def forward(self, y: Tensor, v: Tensor, x: Tensor) -> Tensor:
        own = F.normalize(v, dim=-1)[:, :, None]  # (B, K, 1, T, D)
        grouped = y.unflatten(1, (v.size(1), -1))  # (B, K, G, T, D)
        return (grouped - (grouped * own).sum(-1, keepdim=True) * own).flatten(1, 2)


class HeadGate(nn.Module):
    """Outputs of each head times twice the sigmoid of a product of the token's first channels."""

    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.head_gate = nn.Parameter(torch.zeros(heads, width))

    def forward(self, y: Tensor, v: Tensor, x: Tensor) -> Tensor:
        gate = F.linear(x[..., : self.head_gate.size(1)], self.head_gate.to(x.dtype))  # (B, T, H)
        return y * (2 * torch.sigmoid(gate)).transpose(1, 2)[..., None]


class ValueBlend(nn.Module):
    """a v + b v1, where v1 are the first block's values; a starts at 1 and b at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.value_blend = nn.Parameter(torch.tensor([1.0, 0.0]))

    def forward(self, v: Tensor, first: Tensor) -> Tensor:
        blend = self.value_blend.to(v.dtype)
        return blend[0] * v + blend[1] * first


def head_extras(config: RunConfig, number: int) -> nn.ModuleList:
    """What follows attention in block `number` (from 1), in order; called with outputs, values, the token's input."""
    extras: list[nn.Module] = []
    if number > config.num_layers - config.exclusive_last:
        extras.append(Exclusive())
    if config.gate_width:
        extras.append(HeadGate(config.num_heads, config.gate_width))
    return nn.ModuleList(extras)
