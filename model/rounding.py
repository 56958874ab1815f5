"""Training that knows what becomes of its weights: rounded in the loss (QAT), and paid for by their coded size.

Both hooks ask the recipe's codec, so that what is trained for is what is exported. `Grid.rounded` is what a matrix will
be when it comes back; put in its place while a loss is computed (`seen_through`), its gradient passes as if nothing had
happened (straight through). `coding_bits` estimates what an entropy coder would take for a weight, in a way that has a
gradient.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from compress.quantizers import Official, RowInt
from compress.recipes import parse_recipe

from .errors import ModelError
from .gpt import Linear


class Grid:
    """Symmetric integers with a scale a row, as `compress.quantizers.RowInt` makes them."""

    def __init__(self, bits: int, sigma: float) -> None:
        self.top, self.sigma = (1 << (bits - 1)) - 1, sigma

    def scales(self, weight: Tensor) -> Tensor:
        """The step of each row, `(R, C)` -> `(R, 1)`, rounded to fp16 as it is stored; no gradient."""
        w = weight.detach()
        reach = self.sigma * w.std(1, unbiased=False) if self.sigma else w.abs().amax(1)
        return (reach / self.top).half().clamp_min(6e-8).to(w.dtype)[:, None]

    def rounded(self, weight: Tensor) -> Tensor:
        """What comes back from the file, with the gradient of the weight itself."""
        step = self.scales(weight)
        back = (weight.detach() / step).round().clamp(-self.top, self.top) * step
        return weight + (back - weight.detach())

    def bits(self, weight: Tensor) -> Tensor:
        """Estimated bits of one of its integers, a scalar with a gradient: the entropy of Laplace's law of the row.

        A Laplace variable of mean size m on a grid of step s has about log2(2 e m / s) bits; one is added inside so
        that rows that round to nothing cost nothing less than zero.
        """
        mean = weight.abs().mean(1, keepdim=True) / self.scales(weight)
        return torch.log2(1 + 2 * math.e * mean).mean()


def codec_grid(codec: str) -> Grid:
    """The grid of a recipe of `compress`. Raises CodecError, or ModelError where its quantiser has no rows of steps."""
    quantizer = parse_recipe(codec).quantizer
    if isinstance(quantizer, RowInt):
        return Grid(quantizer.bits, quantizer.sigma)
    if isinstance(quantizer, Official):
        return Grid(8, 0.0)
    raise ModelError(f"codec {codec} has no row-wise grid to train for; set qat_below = 0 and entropy_weight = 0.")


def matrices(model: nn.Module) -> list[Linear]:
    """The matrices that a codec rounds, in order."""
    return [part for part in model.modules() if isinstance(part, Linear)]


@contextmanager
def seen_through(model: nn.Module, seen: Callable[[Tensor], Tensor] | None) -> Iterator[None]:
    """While this lasts, every matrix is multiplied as `seen` shows it; None shows it as it is."""
    for part in matrices(model):
        part.seen = seen
    try:
        yield
    finally:
        for part in matrices(model):
            part.seen = None


def coding_bits(model: nn.Module, grid: Grid) -> Tensor:
    """Mean estimated bits of a weight over all matrices, a scalar with a gradient."""
    parts = matrices(model)
    total = sum(part.weight.numel() for part in parts)
    return torch.stack([grid.bits(part.weight) * (part.weight.numel() / total) for part in parts]).sum()
