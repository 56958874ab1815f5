"""Logits on a grid, so that two ways to compute them give the same integers.

A prover turns a model's prediction into integer frequencies, and the decoder must find exactly the same ones. Two
float64 computations of one logit differ in the 14th digit; rounded to 1/256 nat below the largest logit they are equal
except where a value lies that close to the middle between two grid points: for a vocabulary of 1,024, some 1e-8 of all
predictions. A grid of 1/256 costs nothing that can be measured (below 0.0001% of the bits).
"""

import numpy as np
import torch
from torch import Tensor

GRID = 256  # steps in a nat
MOST = 65_535  # steps: 256 nats below the largest logit, or more


def distances(logits: Tensor) -> np.ndarray:
    """Steps below the largest logit of each row, uint16, of the shape of `logits` `(..., V)`; a float64 is overwritten.

    At least one of each row is 0. Logits of a narrower dtype are widened first, which is exact.
    """
    wide = logits.double()
    steps = torch.sub(wide.amax(-1, keepdim=True), wide, out=wide).mul_(GRID).round_().clamp_(max=MOST)
    return np.asarray(steps.to(torch.uint16).cpu())
