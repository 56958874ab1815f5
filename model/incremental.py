"""Scoring one token at a time, with keys and values kept: what a decoder does that cannot see the future.

The lossless proof needs a model that predicts token t from tokens 0..t-1 and nothing else. `Incremental` steps S
independent rows side by side, each at a position of its own: a row can start anew or rest while others go on. It runs
the model's own blocks on one position; only the three places where positions meet (`gpt` names them) are exchanged for
its own, so a switch of the model needs nothing here. In float64 the logits are those of the parallel pass up to the
order of additions (measured: 1e-13).
"""

import copy

import numpy as np
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
        self.device = like.device
        self.cos, self.sin = (table.to(like.dtype) for table in model.rotary(length, like.device))  # (T, D/2)
        self.at = np.zeros(streams, np.int64)  # tokens that each row has taken
        self.past: list[tuple[Tensor, Tensor]] = []  # keys and values (S, K, T, D), in the order attention is called
        self.calls = 0
        self.step_of: Ragged | int = 0  # of the step under way: the one position of all rows, or where each stands
        self.before: Tensor | None = None  # what each row's last position was before the blocks, (S, 1, C)
        self.model.rotary = self.angles  # type: ignore[method-assign, assignment]
        self.model.previous = self.earlier  # type: ignore[method-assign]
        for part in self.model.modules():
            if isinstance(part, Attention):
                part.attend = self.attend  # type: ignore[method-assign]

    @torch.no_grad()
    def step(self, ids: Tensor, fresh: np.ndarray | None = None, active: np.ndarray | None = None) -> Tensor:
        """Logits of the next token, given one token more. int64 `(S,)` -> `(S, V)`.

        fresh: bool `(S,)`, rows that forget everything first; active: bool `(S,)`, rows that take their token (the
        logits of others mean nothing, and they stay as they are). Raises ModelError beyond `length`.
        """
        if fresh is not None:
            self.at[fresh] = 0
        where = self.at if active is None else self.at[active]
        if not where.size:
            raise ModelError("no row takes a token in this step; wanted at least one.")
        first, last = int(where.min()), int(where.max())
        if last >= self.length:
            raise ModelError(f"{last:,} tokens were stepped, as many as this was made for; make a longer one.")
        aligned = first == last and where.size == self.at.size
        self.step_of = first if aligned else Ragged(self.at, active, self.length, self.device)
        self.calls = 0
        logits = self.model.head(self.model.hidden(ids[:, None]))[:, 0]  # (S, V)
        self.at += 1 if active is None else active
        return logits

    def angles(self, _: int, __: torch.device) -> tuple[Tensor, Tensor]:
        """cos and sin at each row's own position: `(1, D/2)`, or `(S, 1, 1, D/2)` when rows stand at several."""
        if isinstance(self.step_of, int):
            place = slice(self.step_of, self.step_of + 1)
            return self.cos[place], self.sin[place]
        return self.cos[self.step_of.at][:, None, None], self.sin[self.step_of.at][:, None, None]

    def earlier(self, x: Tensor) -> Tensor:
        """In the place of `GPT.previous`: what each row's position before this one was. `(S, 1, C)` -> the same."""
        before = torch.zeros_like(x) if self.before is None else self.before
        if isinstance(self.step_of, int):
            self.before = x
            return before if self.step_of else torch.zeros_like(x)
        self.before = torch.where(self.step_of.active[:, None, None], x, before)
        return torch.where((self.step_of.at > 0)[:, None, None], before, 0.0)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """In the place of `Attention.attend`: q `(S, H, 1, D)` over this and the earlier k, v `(S, K, 1, D)`."""
        if self.calls == len(self.past):  # zeros: what is masked must still be finite
            shape = (k.size(0), k.size(1), self.length, k.size(3))
            self.past.append((k.new_zeros(shape), v.new_zeros(shape)))
        keys, values = self.past[self.calls]
        self.calls += 1
        grouped = q.size(1) != k.size(1)
        if isinstance(self.step_of, int):
            end, seen = self.step_of + 1, None
            keys[:, :, self.step_of], values[:, :, self.step_of] = k[:, :, 0], v[:, :, 0]
        else:
            end, seen = self.step_of.end, self.step_of.seen
            rows = self.step_of.rows
            at = self.step_of.at[rows]
            keys[rows, :, at], values[rows, :, at] = k[rows, :, 0], v[rows, :, 0]
        return F.scaled_dot_product_attention(q, keys[:, :, :end], values[:, :, :end], seen, enable_gqa=grouped)


class Ragged:
    """A step whose rows stand at several positions, or of which some rest. All on the device."""

    def __init__(self, at: np.ndarray, active: np.ndarray | None, length: int, device: torch.device) -> None:
        taking = np.ones(at.size, bool) if active is None else active
        self.end = int(at[taking].max()) + 1
        self.at = torch.from_numpy(np.minimum(at, length - 1)).to(device)  # (S,); a resting row may be full
        self.active = torch.from_numpy(taking).to(device)  # (S,)
        self.rows = torch.from_numpy(np.flatnonzero(taking)).to(device)
        self.seen = (torch.arange(self.end, device=device) <= self.at[:, None])[:, None, None]  # (S, 1, 1, end)


@torch.no_grad()
def score_incremental(model: GPT, ids: Tensor) -> Tensor:
    """Nats of each token after the first, one position at a time. int64 `(S, T + 1)` -> `(S, T)`."""
    running = Incremental(model, ids.size(0), ids.size(1) - 1)
    out = []
    for t in range(ids.size(1) - 1):
        logits = running.step(ids[:, t])
        out.append(F.cross_entropy(logits.double(), ids[:, t + 1], reduction="none"))
    return torch.stack(out, dim=1)
