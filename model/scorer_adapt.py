"""A scorer that learns while it scores (test-time training), and still can be proved: it learns only from the past.

A stream takes one token and says how likely each symbol is to be the next. A window of tokens is predicted first, all
of it, with the weights as they are; when its last target has been given, one step down the gradient of that window's
loss changes them. So every number is a function of the tokens given before, a decoder learns the same from what it has
decoded, and nothing can be trained on before it is scored. Proved with

    pglab prove write ... --command "python -m model.scorer {artifact} --rows {rows} --path adapt"
"""

import copy

import numpy as np
import torch

from .gpt import GPT
from .incremental import Incremental
from .scorer_grid import distances, gaps
from .scorer_kv import RESTART

RATE = 0.1  # of plain gradient descent on all weights, a step a window


class AdaptingStream:
    """One stream of tokens through a model of its own, float64; `rate` 0 never learns."""

    def __init__(self, model: GPT, length: int, rate: float = RATE) -> None:
        self.model, self.length, self.rate = model.double(), length, rate
        self.running = Incremental(self.model, 1, length)  # reads the weights that `learn` moves
        self.window: list[int] = []

    def next_distribution(self, token: int) -> np.ndarray:
        """ln p of each symbol to follow `token`, float64 `(V,)`."""
        fresh = len(self.window) == self.length
        if fresh:
            self.learn([*self.window, token])
            self.window.clear()
        self.window.append(token)
        logits = self.running.step(torch.tensor([token]), np.array([fresh]))[0]
        return torch.log_softmax(logits, -1).numpy()

    def learn(self, tokens: list[int]) -> None:
        """One step of gradient descent on the mean loss of a window, all of whose targets have been given."""
        if not self.rate:
            return
        ids = torch.tensor(tokens)[None]
        weights = list(self.model.parameters())
        slopes = torch.autograd.grad(self.model(ids[:, :-1], ids[:, 1:]), weights, allow_unused=True)
        with torch.no_grad():
            for weight, slope in zip(weights, slopes, strict=True):
                if slope is not None:
                    weight.sub_(slope, alpha=self.rate)


class AdaptScorer:
    """S such streams behind a prover's frames, each with weights of its own; only steps, and never a forced restart."""

    bulk, context = False, 0

    def __init__(self, model: GPT, rows: int, length: int, rate: float = RATE) -> None:
        self.model, self.rows, self.length, self.rate = model.double(), rows, length, rate
        self.streams = [self.fresh() for _ in range(rows)]
        self.out = np.zeros((rows, model.config.vocab_size), np.uint16)

    def fresh(self) -> AdaptingStream:
        """A stream that has read nothing."""
        return AdaptingStream(copy.deepcopy(self.model), self.length, self.rate)

    def step(self, tokens: np.ndarray, flags: np.ndarray) -> np.ndarray:
        """uint16 `(S, V)` distances of what follows each row's token. tokens int64 `(S,)`; flags uint8 `(S,)`."""
        for row in np.flatnonzero(flags):
            if flags[row] == RESTART:
                self.streams[row] = self.fresh()
            said = self.streams[row].next_distribution(int(tokens[row]))
            self.out[row] = distances(gaps(torch.from_numpy(said)))
        return self.out
