"""Predictions for a proof of the ordinary evaluation itself: the very pass that made the score, once more per token.

The evaluation scores a window of T tokens in one pass, in float32 or bfloat16; no other order of additions gives the
same bits. So the decoder repeats that pass, in its shape `[S, T]`, with the tokens it knows so far in their rows and
filler behind them, and reads one position. What is decoded so was predicted by the evaluation without a look ahead:
were any score to depend on a later token, the filler would change it. A decoded token costs a whole pass; this is for
windows drawn by chance.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from .errors import ModelError
from .gpt import GPT
from .scorer_grid import distances, gaps
from .scorer_kv import HEAD_BYTES, IDLE, RESTART

FILLER = 0


class ReplayScorer:
    """S rows of at most T = `length` tokens, always passed together. dtype: float32 or bfloat16, of the products."""

    bulk = True

    def __init__(self, model: GPT, rows: int, length: int, dtype: torch.dtype) -> None:
        self.model, self.rows, self.length = model.eval(), rows, length
        model.compute_dtype = dtype
        self.device = model.skip_weights.device
        self.ids = torch.full((rows, length), FILLER, dtype=torch.int64, device=self.device)
        self.at = np.zeros(rows, np.int64)
        self.nats = np.zeros(rows)
        self.scored = torch.zeros(rows, length)  # nats of each target of the last windows, as evaluated

    @torch.no_grad()
    def scores(self, ids: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The evaluation's pass: nats float32 `(S, T)`, logits up to a constant `(S, T, V)`. int64 `(S, T)` twice."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.model.compute_dtype == torch.bfloat16):
            return self.model.scored(ids, targets, logits=True)

    def step(self, tokens: np.ndarray, flags: np.ndarray) -> np.ndarray:
        """uint16 `(S, V)` distances of what follows each row's token. tokens int64 `(S,)`; flags uint8 `(S,)`."""
        self.at[flags == RESTART] = 0
        rows = np.flatnonzero(flags != IDLE)
        if not rows.size or self.at[rows].max() >= self.length:
            raise ModelError(f"a step without a row, or beyond the {self.length:,} tokens of a window.")
        self.ids[flags == RESTART] = FILLER
        self.ids[rows, self.at[rows]] = torch.from_numpy(tokens[rows]).to(self.device)
        self.at[rows] += 1
        everywhere = torch.arange(self.rows, device=self.device)
        at = torch.from_numpy(np.maximum(self.at - 1, 0)).to(self.device)
        return distances(gaps(self.scores(self.ids, self.ids)[1][everywhere, at]))

    @torch.no_grad()
    def windows(self, tokens: np.ndarray, lengths: np.ndarray) -> Iterator[np.ndarray]:
        """As `KvScorer.windows`; the pass has the shape `[S, T]` whatever is given."""
        n = tokens.shape[1] - 1
        given = torch.from_numpy(tokens).to(self.device)
        read = torch.full((2, self.rows, self.length), FILLER, dtype=torch.int64, device=self.device)
        read[0, :, :n], read[1, :, :n] = given[:, :-1], given[:, 1:]
        real = torch.arange(self.length, device=self.device) < torch.from_numpy(lengths).to(self.device)[:, None]
        self.scored, logits = self.scores(torch.where(real, read[0], FILLER), read[1])
        self.nats = (self.scored.double() * real).sum(1).cpu().numpy()
        step = max(1, HEAD_BYTES // (8 * self.rows * self.model.config.vocab_size))
        for at in range(0, n, step):
            yield distances(gaps(logits[:, at : min(at + step, n)]))
