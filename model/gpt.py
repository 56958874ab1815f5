"""The standard GPT of the challenge: what it computes, in the order it computes it.

Tokens become vectors, normalised once (`x0`). Each block mixes its input with `x0`, attends to the past (fewer key
and value heads than query heads, rotary positions, normalised queries and keys, a learnt gain per head), then
applies a two-layer perceptron with squared ReLU. The first half of the blocks keep their outputs, the second half
add them back in reverse order, as a U. The same matrix that reads tokens predicts them; logits are held softly
within +-30.

Parameter names and the order of their creation are the published baseline's, so that equal seeds give equal weights
and public checkpoints load. Linear weights stay float32 and are cast when they are used.

Positions meet in three places only, which `incremental` exchanges for its own: `Attention.attend`, `GPT.previous` (used
by SmearGate alone) and `GPT.rotary`. Switches are parts that stand in a block or do not (`head_extras`, `smear`,
`loops`); a block without any is the baseline's to the bit.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import RunConfig
from .head_extras import ValueBlend, head_extras
from .loops import block_order
from .smear import Smear

CONTROL_NAMES = ("attn_scale", "mlp_scale", "resid_mix", "q_gain", "skip_weights", "head_gate")  # moved by Adam


def normed(x: Tensor) -> Tensor:
    """RMS normalisation over the last axis, without gain; epsilon is that of the dtype."""
    return F.rms_norm(x, (x.size(-1),))


class Linear(nn.Linear):
    """A matrix without bias, float32 at rest, multiplied in the dtype of what comes in.

    `seen`, where it is set, shows the weight as products are to see it (`rounding`).
    """

    seen: Callable[[Tensor], Tensor] | None = None

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__(width_in, width_out, bias=False)

    def matrix(self) -> Tensor:
        """The weight as products see it."""
        return self.weight if self.seen is None else self.seen(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.matrix().to(x.dtype))


def rotary_tables(
    length: int, width: int, base: float, device: torch.device, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """cos and sin of position times frequency, `(length, width / 2)`; frequencies fall from 1 to 1/base.

    `dtype` is that of positions and frequencies: the baseline on a GPU rounds both to bfloat16 (its `.bfloat16()`
    reaches the buffer), so positions above 256 share angles there.
    """
    speeds = 1.0 / base ** (torch.arange(0, width, 2, dtype=torch.float32, device=device) / width)
    angles = torch.outer(torch.arange(length, dtype=dtype, device=device), speeds.to(dtype))
    return angles.cos(), angles.sin()


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Each pair (i, i + width/2) of the last axis turned by its angle. x: `(B, H, T, D)`, tables `(T, D/2)`.

    Tables that are narrower than half the axis turn its first coordinates only (partial rotary).
    """
    if 2 * cos.size(-1) < x.size(-1):
        turned, plain = x.split([2 * cos.size(-1), x.size(-1) - 2 * cos.size(-1)], dim=-1)
        return torch.cat((rotated(turned, cos, sin), plain), dim=-1)
    left, right = x.chunk(2, dim=-1)
    return torch.cat((left * cos + right * sin, right * cos - left * sin), dim=-1)


class Attention(nn.Module):
    """Causal self-attention with grouped key/value heads; `number` is that of the block, from 1."""

    def __init__(self, config: RunConfig, number: int) -> None:
        super().__init__()
        self.heads, self.kv_heads = config.num_heads, config.num_kv_heads
        dim = config.model_dim
        self.width = dim // self.heads
        self.c_q = Linear(dim, dim)
        self.c_k = Linear(dim, self.kv_heads * self.width)
        self.c_v = Linear(dim, self.kv_heads * self.width)
        self.proj = Linear(dim, dim)
        self.q_gain = nn.Parameter(torch.full((self.heads,), config.qk_gain_init))
        self.blend = ValueBlend() if config.value_residual and number > 1 else None
        self.extras = head_extras(config, number)

    def project(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries `(B, H, T, D)`, keys and values `(B, K, T, D)`, positions and gains applied."""
        batch, length, _ = x.shape
        q = self.c_q(x).view(batch, length, self.heads, self.width).transpose(1, 2)  # (B, H, T, D)
        k = self.c_k(x).view(batch, length, self.kv_heads, self.width).transpose(1, 2)  # (B, K, T, D)
        v = self.c_v(x).view(batch, length, self.kv_heads, self.width).transpose(1, 2)
        q, k = (
            rotated(normed(q), cos.to(q.dtype), sin.to(q.dtype)),
            rotated(normed(k), cos.to(k.dtype), sin.to(k.dtype)),
        )
        return q * self.q_gain.to(q.dtype)[:, None, None], k, v

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, first: list[Tensor]) -> Tensor:
        """x `(B, T, C)` -> the same; `first` holds the first block's values once that block has run."""
        q, k, v = self.project(x, cos, sin)
        if not first:
            first.append(v)
        if self.blend is not None:
            v = self.blend(v, first[0])
        y = self.attend(q, k, v)
        for extra in self.extras:
            y = extra(y, v, x)
        return self.proj(y.transpose(1, 2).reshape(x.shape))  # (B, T, C)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """What each query finds up to its own position, `(B, H, T, D)`: all that a position takes from other ones.

        `incremental` puts its own in this place, with the keys and values of earlier steps.
        """
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.heads != self.kv_heads)


class Perceptron(nn.Module):
    """Two matrices with a squared ReLU between."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self.fc = Linear(config.model_dim, config.mlp_mult * config.model_dim)
        self.proj = Linear(config.mlp_mult * config.model_dim, config.model_dim)
        self.slope = config.relu_slope

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc(x)
        x = F.leaky_relu(x, self.slope) if self.slope else F.relu(x)
        return self.proj(x.square())


class Block(nn.Module):
    """Mix with x0, attend, think; learnt scales on both branches."""

    def __init__(self, config: RunConfig, number: int) -> None:
        super().__init__()
        dim = config.model_dim
        self.scale = number**-0.5 if config.depth_scale else 1.0
        self.attn = Attention(config, number)
        self.mlp = Perceptron(config)
        self.attn_scale = nn.Parameter(torch.ones(dim))
        self.mlp_scale = nn.Parameter(torch.ones(dim))
        self.resid_mix = nn.Parameter(torch.stack((torch.ones(dim), torch.zeros(dim))))  # (2, C): of x, of x0

    def forward(self, x: Tensor, x0: Tensor, cos: Tensor, sin: Tensor, first: list[Tensor]) -> Tensor:
        x = self.mixed(x, x0)
        x = x + self.attn_scale.to(x.dtype) * self.attn(self.read(x), cos, sin, first)
        return x + self.mlp_scale.to(x.dtype) * self.mlp(self.read(x))

    def mixed(self, x: Tensor, x0: Tensor) -> Tensor:
        """The stream with the learnt part of its beginning. `(B, T, C)`."""
        mix = self.resid_mix.to(x.dtype)
        return mix[0] * x + mix[1] * x0

    def read(self, x: Tensor) -> Tensor:
        """The stream as a branch reads it."""
        return normed(x) if self.scale == 1.0 else normed(x) * self.scale


class ParallelBlock(Block):
    """Attention and perceptron read the same, side by side (public records: -0.002 bits per byte in late blocks)."""

    def forward(self, x: Tensor, x0: Tensor, cos: Tensor, sin: Tensor, first: list[Tensor]) -> Tensor:
        x = self.mixed(x, x0)
        seen = self.read(x)
        attended, thought = self.attn(seen, cos, sin, first), self.mlp(seen)
        return x + self.attn_scale.to(x.dtype) * attended + self.mlp_scale.to(x.dtype) * thought


def block_of(config: RunConfig, number: int) -> Block:
    """Block `number`, from 1."""
    parallel = config.parallel_from and number >= config.parallel_from
    return ParallelBlock(config, number) if parallel else Block(config, number)


class GPT(nn.Module):
    """The whole model. `forward` gives the mean loss; `nats` the loss of each target; `logits` what they come from."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self.config = config
        self.tok_emb = nn.Embedding(config.vocab_size, config.model_dim)
        self.order = block_order(config)  # which block each pass runs
        self.early = len(self.order) // 2  # passes whose outputs are kept for the later ones
        self.skip_weights = nn.Parameter(torch.ones(self.early, config.model_dim))
        if config.loop_adapters:
            self.repeat_scales = nn.Parameter(torch.ones(len(self.order), config.model_dim))
            self.repeat_shifts = nn.Parameter(torch.zeros(len(self.order), config.model_dim))
        self.blocks = nn.ModuleList([block_of(config, number + 1) for number in range(config.num_layers)])
        self.smear = Smear(config.smear_width) if config.smear_width else None
        self.lm_head = None if config.tie_embeddings else Linear(config.model_dim, config.vocab_size)
        self.compute_dtype = torch.float32  # of matrix products; the run sets it
        self.rotary_dtype = torch.float32
        self.tables: dict[tuple[int, torch.device], tuple[Tensor, Tensor]] = {}
        with torch.no_grad():
            if config.tie_embeddings:
                self.tok_emb.weight.normal_(0.0, config.tied_embed_init_std)
            for name, weight in self.blocks.named_parameters():
                if name.endswith(".proj.weight"):  # each branch starts by adding nothing
                    weight.zero_()
            if self.lm_head is not None:
                self.lm_head.weight.zero_()

    def rotary(self, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """The rotary tables of that length, made once a device. float32 `(T, D/2)`."""
        if (length, device) not in self.tables:
            width = self.config.rope_dims or self.config.model_dim // self.config.num_heads
            self.tables[length, device] = rotary_tables(length, width, self.config.rope_base, device, self.rotary_dtype)
        return self.tables[length, device]

    def hidden(self, ids: Tensor) -> Tensor:
        """What the head reads, normalised. int64 `(B, T)` -> `(B, T, C)`."""
        cos, sin = self.rotary(ids.size(1), ids.device)
        x0 = self.embedded(ids)
        first: list[Tensor] = []
        return normed(self.climb(x0, lambda block, x: block(x, x0, cos, sin, first)))

    def embedded(self, ids: Tensor) -> Tensor:
        """What the first block reads and every block mixes in. int64 `(B, T)` -> `(B, T, C)`."""
        x = normed(self.tok_emb(ids))
        return x if self.smear is None else self.smear(x, self.previous(x), ids)

    def previous(self, x: Tensor) -> Tensor:
        """Each position's predecessor in its row, zeros before the first. `(B, T, C)` -> the same."""
        return F.pad(x, (0, 0, 1, 0))[:, :-1]

    def climb(self, x: Tensor, run: Callable[[Block, Tensor], Tensor]) -> Tensor:
        """The stream through all passes, with the U of kept outputs. `run` does one block. `(B, T, C)` -> the same."""
        kept: list[Tensor] = []
        for place, index in enumerate(self.order):
            later = place - self.early
            if later >= 0 and kept:
                x = self.rejoined(x, kept.pop(), self.skip_weights[later])
            block = self.blocks[index]
            assert isinstance(block, Block)
            x = run(block, x)
            if self.config.loop_adapters:
                x = x * self.repeat_scales[place].to(x.dtype) + self.repeat_shifts[place].to(x.dtype)
            if later < 0:
                kept.append(x)
        return x

    def rejoined(self, x: Tensor, kept: Tensor, scale: Tensor) -> Tensor:
        """The stream with what an early pass kept, weighted. `(B, T, C)` twice, `(C,)`."""
        return x + scale.to(x.dtype) * kept

    def logits(self, ids: Tensor) -> Tensor:
        """Soft-capped float32 logits. int64 `(B, T)` -> `(B, T, V)`."""
        return self.head(self.hidden(ids))

    def head(self, x: Tensor) -> Tensor:
        """The logits of what `hidden` gives. `(..., C)` -> `(..., V)`, float32, or float64 in a float64 model."""
        raw = F.linear(x, self.tok_emb.weight.to(x.dtype)) if self.lm_head is None else self.lm_head(x)
        cap = self.config.logit_softcap
        capped = cap * torch.tanh(raw / cap)
        return capped if capped.dtype == torch.float64 else capped.float()

    def nats(self, ids: Tensor, targets: Tensor) -> Tensor:
        """-ln p of each target. int64 `(B, T)` twice -> float32 `(B, T)`."""
        return self.scored(ids, targets)[0]

    def scored(self, ids: Tensor, targets: Tensor, logits: bool = False) -> tuple[Tensor, Tensor]:
        """`nats`, and the logits that they came from, up to a constant, `(B, T, V)`; only there if asked for."""
        found = self.logits(ids)
        nats = F.cross_entropy(found.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
        return nats, found

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """The mean of `nats`, as a scalar to differentiate."""
        return F.cross_entropy(self.logits(ids).flatten(0, 1), targets.flatten())


def parameter_count(model: nn.Module) -> int:
    """Numbers in all parameters."""
    return sum(p.numel() for p in model.parameters())


def use_baseline_gpu_dtypes(model: GPT) -> None:
    """The baseline's dtypes on a GPU: embedding and rotary angles in bfloat16, all else at rest in float32."""
    model.rotary_dtype = torch.bfloat16
    model.tok_emb.weight.data = model.tok_emb.weight.data.bfloat16()
