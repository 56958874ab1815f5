"""`pglab model calibrate`: what errors in each weight cost, measured on training text, for the codecs of `compress`.

The model reads sequences of training tokens, draws targets from its own distribution and goes backwards: the second
moments of the gradients of that loss are the curvature of the divergence between the model and a changed copy (the
Fisher information). For a matrix that is multiplied with what it reads, both sides are kept: H, the second moment of
the inputs, each position weighed by how much gradient passes there, and G, that of the gradients at the outputs. The
embedding and whatever is used in other ways get both from the gradient of the whole sequence; a vector the mean
squared gradient of each number.

Every product is seen by one watcher of `F.linear`, so that weights used several times (loops) add up.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from compress.sources import read_weights
from compress.statistics import Metric, Statistics, fingerprint

from .data import read_split
from .errors import ModelError
from .evaluate import Told, tell_nobody
from .gpt import GPT
from .score import load_model

WIDEST = 4096  # outputs of a matrix whose gradients are kept with all their products
SHORT = 256  # tokens of a calibration sequence, unless told otherwise
THIN = 2  # rows or columns of a parameter that is rather a pair of vectors


class ProductWatch(TorchFunctionMode):
    """Sees every product with a matrix and adds up the second moments of what goes in and what comes back."""

    def __init__(self, model: GPT) -> None:
        super().__init__()
        self.names = {id(p): name for name, p in model.named_parameters() if p.ndim == 2}
        self.multiplied: set[str] = set()
        self.looked_up: set[str] = set()
        self.sums: dict[str, dict[str, Tensor]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = self.names.get(id(args[1])) if len(args) > 1 else None
        if name is not None and func is F.embedding:
            self.looked_up.add(name)
        if name is not None and func is F.linear and out.requires_grad:
            self.multiplied.add(name)
            out.register_hook(self.adder(name, args[0].detach()))
        return out

    def adder(self, name: str, inputs: Tensor) -> Callable[[Tensor], None]:
        """What happens when the gradient of one product comes back."""

        def add(gradient: Tensor) -> None:
            if name in self.looked_up:
                return
            x, g = inputs.reshape(-1, inputs.size(-1)).float(), gradient.reshape(-1, gradient.size(-1)).float()
            power = g.square().sum(dim=1)  # (N,)
            rows = g.T @ g if g.size(1) <= WIDEST else g.square().sum(dim=0)
            add_up(self.sums.setdefault(name, {}), rows=rows, columns=(x * power[:, None]).T @ x)

        return add


def add_up(sums: dict[str, Tensor], **found: Tensor) -> None:
    """Add float64 copies to what was found before."""
    for key, value in found.items():
        sums[key] = sums[key] + value.double() if key in sums else value.double()


def calibrate(
    artifact: Path, shards: Path, tokens: int = 65_536, length: int = 0, seed: int = 0, tell: Told = tell_nobody
) -> Statistics:
    """Statistics of a file's weights on the training shards. Raises ModelError, CodecError or OSError.

    tokens: how many to read, in sequences of `length` (0: as it was trained, at most 256) spread over the shards.
    """
    held = read_weights(artifact)
    model = load_model(artifact, length)
    length = length or min(model.config.train_seq_len, SHORT)
    stream = read_split(shards, "train", model.config.vocab_size)
    places = (stream.size - 1) // max(length, 1)
    if places < 1 or tokens < 1 or length < 1:
        raise ModelError(f"{shards}: {stream.size:,} training tokens hold no {tokens:,} in sequences of {length:,}.")
    chosen = np.sort(np.random.default_rng(seed).choice(places, min(-(-tokens // length), places), replace=False))
    draw = torch.Generator().manual_seed(seed)
    watch, whole = ProductWatch(model), dict[str, dict[str, Tensor]]()
    for place in chosen:
        ids = torch.from_numpy(stream[place * length : (place + 1) * length].astype(np.int64))[None]
        with watch:
            logits = model.logits(ids)[0]  # (T, V)
        targets = torch.multinomial(logits.detach().softmax(dim=-1), 1, generator=draw)[:, 0]
        model.zero_grad()
        F.cross_entropy(logits, targets, reduction="sum").backward()
        for name, p in model.named_parameters():
            if p.grad is not None and (name in watch.looked_up or name not in watch.multiplied):
                add_whole(whole.setdefault(name, {}), p.grad.double())
        tell(length, chosen.size * length)
    scored = chosen.size * length
    metrics = {name: metric_of(sums, scored) for name, sums in sorted({**whole, **watch.sums}.items())}
    return Statistics(fingerprint(held.tensors), scored, metrics)


def add_whole(sums: dict[str, Tensor], gradient: Tensor) -> None:
    """Add one sequence's gradient of a parameter: of a matrix by row and between columns, else number by number."""
    if gradient.ndim == 2 and min(gradient.shape) > THIN:
        add_up(sums, rows=gradient.square().sum(dim=1), columns=gradient.T @ gradient)
    else:
        add_up(sums, rows=gradient.square().reshape(-1))


def metric_of(sums: dict[str, Tensor], tokens: int) -> Metric:
    """The metric of a parameter from what was added up: rows a token, columns of mean diagonal such that it adds up."""
    rows = (sums["rows"] / tokens).numpy()
    if "columns" not in sums:
        return Metric(rows, np.ones((1, 1)))
    columns = sums["columns"].numpy()
    power = float(rows.sum() if rows.ndim == 1 else np.trace(rows)) * tokens
    return Metric(rows, columns / (power or 1.0))
