"""Predictions for a proof that is decoded with keys and values kept: whole windows at once, or token by token.

In float64 both ways meet on the grid, so a file coded from parallel passes (fast, any batch) is decoded step by step
elsewhere. In a narrower dtype they do not; then there are only steps, which are equal to the bit for equally many rows
on one machine.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from .gpt import GPT
from .incremental import Incremental
from .scorer_grid import distances, gaps, nats_of

PASS_TOKENS = 2048  # of one pass through the blocks on a CPU: what passes between two products stays in the cache
HEAD_BYTES = 1 << 23  # of float64 logits turned into distances at a time
IDLE, GO_ON, RESTART = 0, 1, 2


class KvScorer:
    """S rows of at most `length` tokens. `model` is changed to `dtype`."""

    def __init__(self, model: GPT, rows: int, length: int, dtype: torch.dtype) -> None:
        self.model, self.rows, self.length = model.to(dtype).eval(), rows, length
        self.bulk = dtype == torch.float64
        self.device = model.skip_weights.device
        self.running = Incremental(self.model, rows, length)
        self.nats = np.zeros(rows)

    @torch.no_grad()
    def step(self, tokens: np.ndarray, flags: np.ndarray) -> np.ndarray:
        """uint16 `(S, V)` distances of what follows each row's token. tokens int64 `(S,)`; flags uint8 `(S,)`."""
        ids, fresh, active = torch.from_numpy(tokens).to(self.device), flags == RESTART, flags != IDLE
        logits = self.running.step(ids, fresh if fresh.any() else None, None if active.all() else active)
        return distances(gaps(logits))

    @torch.no_grad()
    def windows(self, tokens: np.ndarray, lengths: np.ndarray) -> Iterator[np.ndarray]:
        """Fresh windows, a row each: uint16 `(S, m, V)` in order of position; `nats` `(S,)` stands when all are out.

        tokens: int64 `(S, n + 1)`, the n that are read and, one later, the n that are scored; lengths `(S,)` how many
        of them count.
        """
        ids = torch.from_numpy(tokens).to(self.device)
        n = ids.size(1) - 1
        hidden = self.read(ids[:, :-1])  # (S, n, C)
        nats = torch.zeros(self.rows, n, dtype=torch.float64, device=self.device)
        step = max(1, HEAD_BYTES // (8 * self.rows * self.model.config.vocab_size))
        for at in range(0, n, step):
            below = gaps(self.model.head(hidden[:, at : at + step]))  # (S, m, V)
            nats[:, at : at + step] = nats_of(below, ids[:, at + 1 : at + 1 + below.size(1)])
            yield distances(below)
        counts = torch.arange(n, device=self.device) < torch.from_numpy(lengths).to(self.device)[:, None]
        self.nats = (nats * counts).sum(1).cpu().numpy()

    def read(self, ids: Tensor) -> Tensor:
        """What the head reads at each position, some rows at a time. int64 `(S, n)` -> `(S, n, C)`."""
        some = max(1, PASS_TOKENS // ids.size(1)) if self.device.type == "cpu" else self.rows
        return torch.cat([self.model.hidden(part) for part in ids.split(some)])
