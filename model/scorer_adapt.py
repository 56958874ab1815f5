"""A scorer that learns while it scores (test-time training), and still can be proved: it learns only from the past.

`start(artifact)` gives a stream; `next_distribution(token)` takes one token and says how likely each symbol is to be
the next. A window of tokens is predicted first, all of it, with the weights as they are; when its last target has been
given, one step down the gradient of that window's loss changes them. So every number is a function of the tokens given
before, a decoder learns the same from what it has decoded, and nothing can be trained on before it is scored. As a file
for a prover:

    from model.scorer_adapt import start as start_from
    start = lambda: start_from(ARTIFACT)
"""

from pathlib import Path

import numpy as np
import torch

from .gpt import GPT
from .incremental import Incremental
from .score import load_model

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


def start(artifact: str | Path, rate: float = RATE) -> AdaptingStream:
    """A stream that has read nothing. Raises ModelError, CodecError or OSError."""
    torch.set_num_threads(1)
    model = load_model(Path(artifact), 0)
    return AdaptingStream(model, model.config.train_seq_len, rate)
