"""Scoring one token at a time, with keys and values kept: what a decoder does that cannot see the future.

The lossless proof needs a model that predicts token t from tokens 0..t-1 and nothing else. `Incremental` steps S
independent rows side by side, each at a position of its own: a row can start anew or rest while others go on. It runs
the model's own blocks on one position; only the three places where positions meet (`gpt` names them) are exchanged for
its own, so a switch of the model needs nothing here. In float64 the logits are those of the parallel pass up to the
order of additions (measured: 1e-13).
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import ModelError
from .gpt import GPT, Attention


class Incremental:
    """S rows of at most `length` tokens through `model`'s weights, in their dtype and on their device."""

    def __init__(self, model: GPT, streams: int, length: int) -> None:
        shared = {id(part): part for part in (*model.parameters(), *model.buffers())}
        self.model, self.length = copy.deepcopy(model, shared).eval(), length  # the same weights, its own functions
        like = model.skip_weights
        self.cos, self.sin = (table.to(like.dtype) for table in model.rotary(length, like.device))  # (T, D/2)
        self.at = torch.zeros(streams, dtype=torch.int64, device=like.device)  # tokens that each row has taken
        self.places = torch.arange(length, device=like.device)
        self.past: list[tuple[Tensor, Tensor]] = []  # keys and values (S, K, T, D), in the order attention is called
        self.calls = 0
        self.common: int | None = 0  # the position of all rows of this step, if it is one
        self.active = torch.ones(streams, dtype=torch.bool, device=like.device)
        self.all_active = True
        self.before = torch.zeros(())  # what each row's last position was before the blocks, (S, 1, C)
        self.model.rotary = self.angles  # type: ignore[method-assign, assignment]
        self.model.previous = self.earlier  # type: ignore[method-assign]
        for part in self.model.modules():
            if isinstance(part, Attention):
                part.attend = self.attend  # type: ignore[method-assign]

    @torch.no_grad()
    def step(self, ids: Tensor, fresh: Tensor | None = None, active: Tensor | None = None) -> Tensor:
        """Logits of the next token, given one token more. int64 `(S,)` -> `(S, V)`.

        fresh: bool `(S,)`, rows that forget everything first; active: bool `(S,)`, rows that take their token (the
        logits of others mean nothing, and they stay as they are). Raises ModelError beyond `length`.
        """
        if fresh is not None:
            self.at.masked_fill_(fresh, 0)
        self.active = torch.ones_like(self.at, dtype=torch.bool) if active is None else active
        self.all_active = active is None or bool(active.all())
        where = self.at if self.all_active else self.at[self.active]
        if not where.numel():
            raise ModelError("no row takes a token in this step; wanted at least one.")
        first, last = int(where.min()), int(where.max())
        if last >= self.length:
            raise ModelError(f"{last:,} tokens were stepped, as many as this was made for; make a longer one.")
        self.common, self.calls = first if first == last else None, 0
        logits = self.model.head(self.model.hidden(ids[:, None]))[:, 0]  # (S, V)
        self.at += self.active
        return logits

    def angles(self, _: int, __: torch.device) -> tuple[Tensor, Tensor]:
        """cos and sin at each row's own position: `(1, D/2)`, or `(S, 1, 1, D/2)` when rows stand at several."""
        if self.common is not None:
            place = slice(self.common, self.common + 1)
            return self.cos[place], self.sin[place]
        at = self.at.clamp(max=self.length - 1)  # a resting row may be full
        return self.cos[at][:, None, None], self.sin[at][:, None, None]

    def earlier(self, x: Tensor) -> Tensor:
        """In the place of `GPT.previous`: what each row's position before this one was. `(S, 1, C)` -> the same."""
        before = self.before if self.before.dim() else torch.zeros_like(x)
        self.before = torch.where(self.active[:, None, None], x, before)
        return torch.where((self.at > 0)[:, None, None], before, 0.0)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """In the place of `Attention.attend`: q `(S, H, 1, D)` over this and the earlier k, v `(S, K, 1, D)`."""
        if self.calls == len(self.past):  # zeros: what is masked must still be finite
            shape = (k.size(0), k.size(1), self.length, k.size(3))
            self.past.append((k.new_zeros(shape), v.new_zeros(shape)))
        keys, values = self.past[self.calls]
        self.calls += 1
        if self.common is not None and self.all_active:
            keys[:, :, self.common], values[:, :, self.common] = k[:, :, 0], v[:, :, 0]
        else:
            rows = self.active.nonzero()[:, 0]
            at = self.at[rows]
            keys[rows, :, at], values[rows, :, at] = k[rows, :, 0], v[rows, :, 0]
        grouped = q.size(1) != k.size(1)
        if self.common is not None:  # rows that rest read places of their own past, and nobody reads what they say
            end = self.common + 1
            return F.scaled_dot_product_attention(q, keys[:, :, :end], values[:, :, :end], enable_gqa=grouped)
        end = int(self.at[self.active].max()) + 1
        seen = (self.places[:end] <= self.at[:, None])[:, None, None]  # (S, 1, 1, end)
        return F.scaled_dot_product_attention(q, keys[:, :, :end], values[:, :, :end], seen, enable_gqa=grouped)


@torch.no_grad()
def score_incremental(model: GPT, ids: Tensor) -> Tensor:
    """Nats of each token after the first, one position at a time. int64 `(S, T + 1)` -> `(S, T)`."""
    running = Incremental(model, ids.size(0), ids.size(1) - 1)
    out = []
    for t in range(ids.size(1) - 1):
        logits = running.step(ids[:, t])
        out.append(F.cross_entropy(logits.double(), ids[:, t + 1], reduction="none"))
    return torch.stack(out, dim=1)
