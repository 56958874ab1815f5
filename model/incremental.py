"""Scoring one token at a time, with keys and values kept: what a decoder does that cannot see the future.

The lossless proof needs a model that predicts token t from tokens 0..t-1 and nothing else. `Incremental` steps S
independent streams side by side; its logits are those of the parallel pass up to the order of additions (measured in
float64: 1e-13). The shape of every product depends on the number of streams, so both ends of a proof must step equally
many.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import ModelError
from .gpt import GPT, Block, normed


class Incremental:
    """S streams of at most `length` tokens through a model whose dtype is theirs."""

    def __init__(self, model: GPT, streams: int, length: int) -> None:
        config, like = model.config, model.skip_weights  # of the dtype and on the device of the stream
        width = config.model_dim // config.num_heads
        shape = (config.num_layers, streams, config.num_kv_heads, length, width)
        self.model, self.at = model, 0
        self.keys, self.values = like.new_empty(shape), like.new_empty(shape)  # (L, S, K, T, D)
        self.tables = [table.to(like.dtype) for table in model.rotary(length, like.device)]

    @torch.no_grad()
    def step(self, ids: Tensor) -> Tensor:
        """Logits of the next token, given one token more. int64 `(S,)` -> `(S, V)`. ModelError beyond `length`."""
        if self.at >= self.keys.size(3):
            raise ModelError(f"{self.at:,} tokens were stepped, as many as this was made for; make a longer one.")
        model = self.model
        cos, sin = (table[self.at : self.at + 1] for table in self.tables)  # (1, D/2)
        x0 = x = normed(model.tok_emb(ids[:, None]))  # (S, 1, C)
        kept: list[Tensor] = []
        for index, block in enumerate(model.blocks):
            assert isinstance(block, Block)
            later = index - model.early
            if later >= 0 and kept:
                x = x + model.skip_weights[later].to(x.dtype) * kept.pop()
            x = self.through(block, index, x, x0, cos, sin)
            if later < 0:
                kept.append(x)
        self.at += 1
        x = normed(x)[:, 0]  # (S, C)
        head = model.tok_emb.weight if model.lm_head is None else model.lm_head.weight
        cap = model.config.logit_softcap
        return cap * torch.tanh(F.linear(x, head.to(x.dtype)) / cap)

    def through(self, block: Block, index: int, x: Tensor, x0: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """One block for one position; its key and value are kept. x, x0: `(S, 1, C)`."""
        mix = block.resid_mix.to(x.dtype)
        x = mix[0] * x + mix[1] * x0
        q, k, v = block.attn.project(block.read(x), cos, sin)  # (S, H, 1, D), (S, K, 1, D)
        self.keys[index, :, :, self.at] = k[:, :, 0]
        self.values[index, :, :, self.at] = v[:, :, 0]
        past = slice(self.at + 1)
        grouped = block.attn.heads != block.attn.kv_heads
        y = F.scaled_dot_product_attention(
            q, self.keys[index, :, :, past], self.values[index, :, :, past], enable_gqa=grouped
        )
        x = x + block.attn_scale.to(x.dtype) * block.attn.proj(y.transpose(1, 2).reshape(x.shape))
        return x + block.mlp_scale.to(x.dtype) * block.mlp(block.read(x))


@torch.no_grad()
def score_incremental(model: GPT, ids: Tensor) -> Tensor:
    """Nats of each token after the first, one position at a time. int64 `(S, T + 1)` -> `(S, T)`."""
    running = Incremental(model, ids.size(0), ids.size(1) - 1)
    out = []
    for t in range(ids.size(1) - 1):
        logits = running.step(ids[:, t])
        out.append(F.cross_entropy(logits.double(), ids[:, t + 1], reduction="none"))
    return torch.stack(out, dim=1)
