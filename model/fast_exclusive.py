"""What `head_extras.Exclusive` does (XSA), with its gradient written by hand, in the layout of `fast_block`.

Each head's output y loses its part along the token's own value: y' = y - (y . u) u with u = v / |v|. Backwards, what
comes for y' loses the same part on its way to y; what comes for u is -(y . u) dy' - (dy' . u) y, of which only the part
across u reaches v, so y' may stand there for y.
"""

import torch
from torch import Tensor


def without_own(y: Tensor, v: Tensor) -> tuple[Tensor, list[Tensor]]:
    """y `(BK, T * G, D)` without its part along v `(BK, T, D)`; and what the way back wants."""
    inverse = torch.linalg.vector_norm(v, dim=-1, keepdim=True).clamp_min_(1e-12).reciprocal_()  # (BK, T, 1)
    own = (v * inverse)[:, :, None]  # (BK, T, 1, D)
    heads = y.view(*v.shape[:2], -1, v.size(-1))  # (BK, T, G, D)
    along = (heads * own).sum(-1, keepdim=True)  # (BK, T, G, 1)
    return torch.addcmul(heads, along, own, value=-1).view_as(y), [own, along, inverse]


def without_own_back(dy: Tensor, y: Tensor, own: Tensor, along: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients before `without_own` of y `(BK, T * G, D)` and of v `(BK, T, D)`, given that of its result `y`."""
    heads = dy.view(*along.shape[:3], -1)
    part = (heads * own).sum(-1, keepdim=True)  # (BK, T, G, 1)
    d_own = (along * heads).addcmul_(part, y.view_as(heads)).sum(2)  # (BK, T, D), turned round
    across = (d_own * own[:, :, 0]).sum(-1, keepdim=True) * own[:, :, 0] - d_own
    return torch.addcmul(heads, part, own, value=-1).view_as(dy), across * inverse
