"""`pglab model compare`: how far a coded model has moved from the one it was made of, and what both score.

The Kullback-Leibler divergence of the next-token distributions, in bits a token, sees every change of the output; the
difference of two scores sees only what happens to matter for the tokens that came. Codecs are compared at equal
divergence. All models read the same sequences side by side, so the first one's distributions are made once.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from .errors import ModelError
from .evaluate import Told, ValidationText, read_validation, tell_nobody
from .export import read_artifact, weights_in
from .score import first_targets, load_model

BATCH = 4096  # tokens read at once


class Yardstick:
    """A model and validation text, against which changed copies of its weights are measured."""

    def __init__(self, artifact: Path, shards: Path, tokens: int = 0, length: int = 0) -> None:
        """tokens: of the validation split, 0 for all. Raises ModelError, CodecError or OSError."""
        self.model = load_model(artifact, length)
        self.arrays = read_artifact(artifact)
        config = replace(self.model.config, data_path=str(shards))
        text = read_validation(config)
        self.length = config.train_seq_len
        self.text = first_targets(text, max(tokens, self.length)) if tokens else text

    def measure(
        self, others: Sequence[Mapping[str, np.ndarray]], tell: Told = tell_nobody
    ) -> tuple[dict[str, float], list[dict[str, float]]]:
        """The first model's scores, and those of each other with its divergence. Raises ModelError for other shapes.

        Keys: kl (bits a token, the first model's distributions the true ones), val_loss (nats), bpb_table, bpb_raw.
        """
        inputs, targets, text = self.sequences()
        sums = np.zeros((1 + len(others), 2))  # nats of the targets, divergence in nats
        step = max(BATCH // self.length, 1)
        with torch.no_grad():
            for at in range(0, inputs.size(0), step):
                ids, wanted = inputs[at : at + step], targets[at : at + step].flatten()
                weights_in(self.model, self.arrays, "the first model")
                first = self.model.logits(ids).flatten(0, 1).log_softmax(dim=-1)  # (N, V)
                sums[0, 0] += float(F.nll_loss(first, wanted, reduction="sum"))
                for k, arrays in enumerate(others):
                    weights_in(self.model, arrays, f"model {k + 1}")
                    other = self.model.logits(ids).flatten(0, 1).log_softmax(dim=-1)
                    sums[1 + k, 0] += float(F.nll_loss(other, wanted, reduction="sum"))
                    sums[1 + k, 1] += float((first.exp() * (first - other)).sum(dtype=torch.float64))
                tell(ids.numel(), inputs.numel())
        weights_in(self.model, self.arrays, "the first model")
        return self.words(sums[0], text), [self.words(row, text) for row in sums[1:]]

    def sequences(self) -> tuple[torch.Tensor, torch.Tensor, ValidationText]:
        """Inputs and targets `(n, T)`, and the text they cover."""
        count = (self.text.tokens.size - 1) // self.length
        if count < 1:
            raise ModelError(f"the validation split holds no sequence of {self.length:,} and its last target.")
        tokens = torch.from_numpy(self.text.tokens[: count * self.length + 1].astype(np.int64))
        shape = (count, self.length)
        return tokens[:-1].view(shape), tokens[1:].view(shape), first_targets(self.text, count * self.length)

    def words(self, sums: np.ndarray, text: ValidationText) -> dict[str, float]:
        """Ratios from sums."""
        tokens, bits = text.tokens.size - 1, float(sums[0]) / math.log(2)
        found = {"kl": float(sums[1]) / tokens / math.log(2), "val_loss": float(sums[0]) / tokens}
        table = int(text.table[1:].sum())
        found["bpb_table"] = bits / table if table else math.inf
        if text.raw is not None:
            found["bpb_raw"] = bits / int(text.raw[1:].sum())
        return found
