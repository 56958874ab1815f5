"""The standard GPT for a GPU: the same parameters and numbers, gradients by hand, memory touched as little as can be.

`CudaGPT` is a `GPT` whose loss goes through `cuda_block` and `cuda_head`. Saving and loading are inherited, so
whatever is trained with it is an ordinary GPT; every switch of the ordinary model works in it. Nothing of
it is compiled. It runs on a CPU as well, where it is slow and serves the tests.
"""

import torch
from torch import Tensor

from .config import RunConfig
from .cuda_block import AddScaled, Enter, Leave, UnitNorm
from .cuda_head import PiecewiseLoss, nats_by_pieces
from .cuda_plain import PlainOps
from .gpt import GPT, Block, ParallelBlock


class CudaGPT(GPT):
    """A GPT whose `forward` (the mean loss) is fast on a GPU. Wants a soft-cap of at most `CAP_LIMIT_GPU`.

    ops: what does the passes between products.
    """

    def __init__(self, config: RunConfig, ops: PlainOps) -> None:
        super().__init__(config)
        self.ops = ops

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """The mean of `nats`, as a scalar to differentiate. int64 `(B, T)` twice."""
        low = self.product_dtype(ids)
        with torch.autocast(ids.device.type, enabled=False):  # dtypes are chosen by hand from here on
            read = self.climbed(ids, low)
            return PiecewiseLoss.apply(
                self.ops, read, self.head_matrix(), targets.reshape(-1), self.config.logit_softcap
            )

    def scored(self, ids: Tensor, targets: Tensor, logits: bool = False) -> tuple[Tensor, Tensor]:
        """As the ordinary model, to rounding; without a gradient and unless logits are asked for, by pieces."""
        if torch.is_grad_enabled() or logits:
            return super().scored(ids, targets, logits)
        low = self.product_dtype(ids)
        with torch.autocast(ids.device.type, enabled=False):
            read = self.climbed(ids, low)
            nats = nats_by_pieces(self.ops, read, self.head_matrix(), targets.reshape(-1), self.config.logit_softcap)
        return nats.view(ids.shape), nats.new_empty(0)

    def product_dtype(self, ids: Tensor) -> torch.dtype:
        """That of stream and products: autocast's where it is on, else the embedding's own."""
        kind = ids.device.type
        return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.tok_emb.weight.dtype

    def head_matrix(self) -> Tensor:
        """`(V, C)`."""
        return self.tok_emb.weight if self.lm_head is None else self.lm_head.matrix()

    def climbed(self, ids: Tensor, low: torch.dtype) -> Tensor:
        """What the head reads, `(N, C)` in the dtype `low`."""
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
            y = at.attend(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)).transpose(1, 2)
            if at.extras:
                read = unit if block.scale == 1.0 else unit * block.scale
                for extra in at.extras:
                    y = extra(y.transpose(1, 2), v.transpose(1, 2), read).transpose(1, 2)
            return Leave.apply(
                ops, mixed, unit if isinstance(block, ParallelBlock) else None, y.reshape(mixed.shape),
                at.proj.matrix(), block.attn_scale, mlp.fc.matrix(), mlp.proj.matrix(), block.mlp_scale,
                mlp.slope, block.scale,
            )  # fmt: skip

        return UnitNorm.apply(ops, self.climb(x0, run)).view(-1, x0.size(-1))

    def rejoined(self, x: Tensor, kept: Tensor, scale: Tensor) -> Tensor:
        """As in `GPT`, in one pass."""
        return AddScaled.apply(self.ops, x, kept, scale)
