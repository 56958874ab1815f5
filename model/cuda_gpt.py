"""The standard GPT for a GPU: the same parameters and numbers, gradients by hand, memory touched as little as can be.

`CudaGPT` is a `GPT` whose training loss goes through `cuda_block` and `cuda_head`. Scoring, saving and loading are
inherited, so whatever is trained with it is an ordinary GPT; every switch of the ordinary model works in it. Nothing of
it is compiled. It runs on a CPU as well, where it is slow and serves the tests.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .config import RunConfig
from .cuda_block import AddScaled, Enter, Leave, UnitNorm
from .cuda_head import PiecewiseLoss
from .cuda_plain import PlainOps
from .gpt import GPT, Attention, Block, ParallelBlock

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


class CudaGPT(GPT):
    """A GPT whose `forward` (the mean loss) is fast on a GPU. Wants a soft-cap of at most `CAP_LIMIT`.

    ops: what does the passes between products. `attend` maps queries `(B, T, H, D)`, keys and values `(B, T, K, D)` to
    `(B, T, H, D)`, causally; None: as the ordinary model does.
    """

    def __init__(self, config: RunConfig, ops: PlainOps, attend: Attend | None = None) -> None:
        super().__init__(config)
        self.ops, self.attention = ops, attend

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """The mean of `nats`, as a scalar to differentiate. int64 `(B, T)` twice."""
        kind = ids.device.type
        low = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.tok_emb.weight.dtype
        with torch.autocast(kind, enabled=False):  # dtypes are chosen by hand from here on
            return self.loss(ids, targets, low)

    def loss(self, ids: Tensor, targets: Tensor, low: torch.dtype) -> Tensor:
        """What `forward` returns, with stream and products in the dtype `low`."""
        ops = self.ops
        x0 = UnitNorm.apply(ops, self.tok_emb(ids).to(low))  # (B, T, C)
        if self.smear is not None:
            x0 = self.smear(x0, self.previous(x0), ids)
        cos, sin = self.rotary(ids.size(1), ids.device)
        first: list[Tensor] = []  # the first block's values
        beginning = [x0]  # handed on by each block, see Enter

        def run(block: Block, x: Tensor) -> Tensor:
            at, mlp = block.attn, block.mlp
            mixed, unit, q, k, v, beginning[0] = Enter.apply(
                ops, x, beginning[0], block.resid_mix, at.c_q.matrix(), at.c_k.matrix(), at.c_v.matrix(), at.q_gain,
                cos, sin, block.scale,
            )  # fmt: skip
            if at.blend is not None and first:
                v = at.blend(v, first[0])
            if not first:
                first.append(v)
            y = self.attended(at, q, k, v)
            if at.extras:
                read = unit if block.scale == 1.0 else unit * block.scale
                for extra in at.extras:
                    y = extra(y.transpose(1, 2), v.transpose(1, 2), read).transpose(1, 2)
            return Leave.apply(
                ops, mixed, unit if isinstance(block, ParallelBlock) else None, y.reshape(mixed.shape),
                at.proj.matrix(), block.attn_scale, mlp.fc.matrix(), mlp.proj.matrix(), block.mlp_scale,
                mlp.slope, block.scale,
            )  # fmt: skip

        x = self.climb(x0, run)
        head = self.tok_emb.weight if self.lm_head is None else self.lm_head.matrix()
        flat = UnitNorm.apply(ops, x).view(-1, x.size(-1))  # (N, C)
        return PiecewiseLoss.apply(ops, flat, head, targets.reshape(-1), self.config.logit_softcap)

    def rejoined(self, x: Tensor, kept: Tensor, scale: Tensor) -> Tensor:
        """As in `GPT`, in one pass."""
        return (
            AddScaled.apply(self.ops, x, kept, scale) if torch.is_grad_enabled() else super().rejoined(x, kept, scale)
        )

    def attended(self, at: Attention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """What each query finds. `(B, T, H, D)`, `(B, T, K, D)` twice -> `(B, T, H, D)`."""
        if self.attention is not None:
            return self.attention(q, k, v)
        return at.attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)).transpose(1, 2)
