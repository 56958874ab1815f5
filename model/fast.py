"""The standard GPT for a CPU: the same parameters, the same numbers, hand-written gradients.

`FastGPT` is a `GPT` whose training loss goes through `fast_block` and `fast_head`. Scoring, saving and loading are
inherited, so whatever is trained with it is an ordinary GPT. Under autocast its matrix products are bfloat16, as those
of the ordinary model would be; the stream between them stays float32.
"""

import torch
from torch import Tensor

from .config import RunConfig
from .fast_block import FastBlock, UnitRows
from .fast_head import CAP_LIMIT, HeadLoss
from .gpt import GPT, Block

UNKNOWN_TO_FAST = ("parallel_from", "value_residual", "exclusive_last", "gate_width")  # the block by hand lacks these
TILE = 64  # queries that attend together; a tile never multiplies with keys after its end


class FastGPT(GPT):
    """A GPT whose `forward` (the mean loss) is fast on a CPU. Wants a soft-cap of at most 40."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        self.masks: dict[tuple[int, torch.dtype], Tensor] = {}

    def attention_mask(self, length: int, dtype: torch.dtype) -> Tensor:
        """0 where a query may look in its own tile, -inf elsewhere: `(S * G, S)`, row t * G + g for head g."""
        length = min(length, TILE)
        key = (length, dtype)
        if key not in self.masks:
            per_group = self.config.num_heads // self.config.num_kv_heads
            future = torch.ones(length, length, dtype=torch.bool).triu(1)
            mask = torch.zeros(length, length, dtype=dtype).masked_fill_(future, float("-inf"))
            self.masks[key] = mask.repeat_interleave(per_group, 0)
        return self.masks[key]

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """The mean of `nats`, as a scalar to differentiate. int64 `(B, T)` twice."""
        low = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else self.tok_emb.weight.dtype
        with torch.autocast("cpu", enabled=False):  # dtypes are chosen by hand from here on
            return self.loss(ids, targets, low)

    def loss(self, ids: Tensor, targets: Tensor, low: torch.dtype) -> Tensor:
        """What `forward` returns, with matrix products in the dtype `low`."""
        x0 = UnitRows.apply(self.tok_emb(ids))  # (B, T, C)
        if self.smear is not None:
            x0 = self.smear(x0, self.previous(x0), ids)
        cos, sin = (table.to(x0.dtype)[:, None] for table in self.rotary(ids.size(1), ids.device))  # (T, 1, D/2)
        still = self.config.model_dim // self.config.num_heads - 2 * cos.size(-1)
        cos = torch.nn.functional.pad(torch.cat((cos, cos), -1), (0, still), value=1.0)  # (T, 1, D)
        mask = self.attention_mask(ids.size(1), low)

        def run(block: Block, x: Tensor) -> Tensor:
            at, mlp = block.attn, block.mlp
            return FastBlock.apply(
                x, x0, block.resid_mix, at.c_q.matrix(), at.c_k.matrix(), at.c_v.matrix(), at.q_gain, at.proj.matrix(),
                block.attn_scale, mlp.fc.matrix(), mlp.proj.matrix(), block.mlp_scale, cos, sin, mask,
                mlp.slope, block.scale,
            )  # fmt: skip

        x = self.climb(x0, run)
        head = self.tok_emb.weight if self.lm_head is None else self.lm_head.weight
        flat = UnitRows.apply(x).view(-1, x.size(-1))  # (N, C)
        return HeadLoss.apply(flat, head, targets.reshape(-1), self.config.logit_softcap, low)


def gpt_for(config: RunConfig, device: torch.device, dtype: torch.dtype) -> GPT:
    """The GPT to train on that device with matrix products in that dtype: the fast one where it is known to pay."""
    fast = device.type == "cpu" and config.logit_softcap <= CAP_LIMIT
    lacks = any(getattr(config, name) for name in UNKNOWN_TO_FAST)
    return FastGPT(config) if fast and not lacks and config.compile != "on" else GPT(config)
