"""A scorer that learns while it scores (test-time training), and still can be proved: it learns only from the past.

A stream takes one token and says how likely each symbol is to be the next. A chunk of sequences is predicted first, all
of it, with the weights as they are; when its last target has been given, one step down the gradient of that chunk's
loss moves them: token by token what `adapt` does to a whole split. So every number is a function of the tokens given
before, a decoder learns the same from what it has decoded, and nothing is trained on before it is scored. Proved with

    pglab prove write ... --command "python -m model.scorer {artifact} --rows {rows} --path adapt"
"""

import copy

import numpy as np
import torch
from torch import Tensor

from .adapt import MOMENTUM
from .gpt import GPT
from .incremental import Incremental
from .scorer_grid import distances, gaps
from .scorer_kv import RESTART


class AdaptingStream:
    """One stream of tokens through `model`, which becomes float64 and learns; a chunk has `windows` sequences."""

    def __init__(self, model: GPT, length: int, windows: int, rate: float) -> None:
        self.model, self.length, self.windows = model.double(), length, windows
        self.descent = torch.optim.SGD(model.parameters(), lr=rate, momentum=MOMENTUM)
        self.running = Incremental(model, 1, length)  # reads the weights that `learn` moves
        self.chunk: list[int] = []

    def next_distribution(self, token: int) -> np.ndarray:
        """ln p of each symbol to follow `token`, float64 `(V,)`."""
        if len(self.chunk) == self.length * self.windows:
            self.learn(torch.tensor([*self.chunk, token]))
            self.chunk.clear()
        fresh = len(self.chunk) % self.length == 0
        self.chunk.append(token)
        logits = self.running.step(torch.tensor([token]), np.array([fresh]))[0]
        return torch.log_softmax(logits, -1).numpy()

    def learn(self, tokens: Tensor) -> None:
        """One step of gradient descent on the mean loss of a chunk, all of whose targets have been given."""
        self.descent.zero_grad()
        with torch.enable_grad():
            self.model(tokens[:-1].view(-1, self.length), tokens[1:].view(-1, self.length)).backward()
        self.descent.step()


class AdaptScorer:
    """S such streams behind a prover's frames, each with weights of its own; only steps, and never a forced restart."""

    bulk, context = False, 0

    def __init__(self, model: GPT, rows: int, length: int) -> None:
        self.model, self.rows, self.length = model.double(), rows, length
        self.streams = [self.fresh() for _ in range(rows)]
        self.out = np.zeros((rows, model.config.vocab_size), np.uint16)

    def fresh(self) -> AdaptingStream:
        """A stream that has read nothing."""
        config = self.model.config
        return AdaptingStream(copy.deepcopy(self.model), self.length, config.adapt_windows, config.adapt_rate)

    def step(self, tokens: np.ndarray, flags: np.ndarray) -> np.ndarray:
        """uint16 `(S, V)` distances of what follows each row's token. tokens int64 `(S,)`; flags uint8 `(S,)`."""
        for row in np.flatnonzero(flags):
            if flags[row] == RESTART:
                self.streams[row] = self.fresh()
            said = self.streams[row].next_distribution(int(tokens[row]))
            self.out[row] = distances(gaps(torch.from_numpy(said)))
        return self.out
