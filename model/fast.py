"""The standard GPT for a CPU: the same parameters, the same numbers, hand-written gradients.

`FastGPT` is a `GPT` whose training loss and whose scoring without a gradient go through `fast_block` and `fast_head`.
Saving and loading are inherited, so whatever is trained with it is an ordinary GPT. Under autocast its matrix products
are bfloat16, as those of the ordinary model would be; the stream between them stays float32.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .config import RunConfig
from .cuda_choice import kernel_gpt
from .fast_block import FastBlock, UnitRows, block_forward, pair_order
from .fast_compiled import BY_HAND, Hands, compiled_hands
from .fast_head import CAP_LIMIT, HeadLoss, head_nats
from .gpt import GPT, Block
from .head_extras import Exclusive

UNKNOWN_TO_FAST = ("parallel_from", "value_residual", "gate_width")  # the block by hand lacks these
TILE = 64  # queries that attend together; a tile never multiplies with keys after its end


class FastGPT(GPT):
    """A GPT whose `forward` (the mean loss) and `nats` are fast on a CPU. Wants a soft-cap of at most 40.

    hands: what computes the loss and its gradient. Scores are never compiled: a file's score hangs on no compiler.
    """

    def __init__(self, config: RunConfig, hands: Hands = BY_HAND) -> None:
        super().__init__(config)
        self.hands = hands
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
        low, hands = self.product_dtype(), self.hands
        with torch.autocast("cpu", enabled=False):  # dtypes are chosen by hand from here on
            read = self.climbed(ids, low, lambda *given: FastBlock.apply(hands.block, *given), hands.halves)
            cap = self.config.logit_softcap
            return HeadLoss.apply(read, self.head_matrix(), targets.reshape(-1), cap, low, hands.piece)

    def scored(self, ids: Tensor, targets: Tensor, logits: bool = False) -> tuple[Tensor, Tensor]:
        """As the ordinary model, to rounding; all logits exist at once only if asked for."""
        if torch.is_grad_enabled() or ids.device.type != "cpu":
            return super().scored(ids, targets, logits)
        low = self.product_dtype()
        with torch.autocast("cpu", enabled=False):
            read = self.climbed(ids, low, lambda *given: block_forward(*given)[0], False)
            kept = read.new_empty(read.size(0) if logits else 0, self.config.vocab_size)
            nats = head_nats(read, self.head_matrix(), targets.reshape(-1), self.config.logit_softcap, low, kept)
        return nats.view(ids.shape), kept.view(-1, ids.size(1), kept.size(1))

    def product_dtype(self) -> torch.dtype:
        """That of matrix products: autocast's where it is on, else the weights' own."""
        return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else self.tok_emb.weight.dtype

    def head_matrix(self) -> Tensor:
        """`(V, C)`."""
        return self.tok_emb.weight if self.lm_head is None else self.lm_head.matrix()

    def climbed(self, ids: Tensor, low: torch.dtype, block_of: Callable[..., Tensor], halves: bool) -> Tensor:
        """What the head reads, `(B * T, C)`, with matrix products in the dtype `low`.

        block_of: does one block; halves: as in `Hands`.
        """
        x0 = UnitRows.apply(self.tok_emb(ids))  # (B, T, C)
        if self.smear is not None:
            x0 = self.smear(x0, self.previous(x0), ids)
        cos, sin = (table.to(x0.dtype)[:, None] for table in self.rotary(ids.size(1), ids.device))  # (T, 1, R)
        if halves:
            turns, order = torch.stack((cos, sin)), None
        else:
            width = self.config.model_dim // self.config.num_heads
            order = pair_order(width, 2 * cos.size(-1), ids.device)
            still = (0, width // 2 - cos.size(-1))
            turns = torch.complex(
                F.pad(cos, still, value=1.0), F.pad(-sin, still)
            )  # (T, 1, D/2), 1 where nothing turns
        mask = self.attention_mask(ids.size(1), low)

        def run(block: Block, x: Tensor) -> Tensor:
            at, mlp = block.attn, block.mlp
            depth = x0.new_tensor(block.scale) if halves else block.scale
            return block_of(
                x, x0, block.resid_mix, at.c_q.matrix(), at.c_k.matrix(), at.c_v.matrix(), at.q_gain, at.proj.matrix(),
                block.attn_scale, mlp.fc.matrix(), mlp.proj.matrix(), block.mlp_scale, turns, order, mask,
                mlp.slope, depth, any(isinstance(extra, Exclusive) for extra in at.extras),
            )  # fmt: skip

        return UnitRows.apply(self.climb(x0, run)).view(-1, x0.size(-1))


def gpt_for(config: RunConfig, device: torch.device, dtype: torch.dtype) -> GPT:
    """The GPT to train on that device with matrix products in that dtype: the fast one where it is known to pay."""
    fast = device.type == "cpu" and config.logit_softcap <= CAP_LIMIT
    if (by_kernels := kernel_gpt(config, device)) is not None:
        return by_kernels
    lacks = any(getattr(config, name) for name in UNKNOWN_TO_FAST)
    if not fast or lacks or config.compile == "on":
        return GPT(config)
    return FastGPT(config, compiled_hands() if config.kernels == "compiled" else BY_HAND)
