"""The hand-written block and head with all between two products left to PyTorch's compiler, for a CPU.

What `fast_block` and `fast_head` say stays as it is: what is kept, what is folded, which products there are. But each
of the block's two directions, and a piece of the head, is then one compiled function, in which norms, positions,
roundings and sums are a few passes instead of some sixty. It needs a C++ compiler, and time for it once a shape and
machine.
"""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .errors import ModelError
from .fast_block import block_backward, block_forward
from .fast_head import piece_gradient


@dataclass(frozen=True, slots=True)
class Hands:
    """What computes a block, forward and backward, and a piece of the head.

    halves: coordinates i and i + R of a head turn together, as in the ordinary model (the compiler knows no complex
    numbers), and numbers that differ between blocks are tensors (it would compile each block anew).
    """

    block: tuple[Callable[..., Any], Callable[..., Any]]
    piece: Callable[..., tuple[Tensor, Tensor, Tensor]]
    halves: bool


BY_HAND = Hands((block_forward, block_backward), piece_gradient, False)


def piece_in_one(
    hidden: Tensor, goals: Tensor, scaled: Tensor, matrix: Tensor, cap: float, high: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """`piece_gradient` by what fuses: exponents are at most 0, so the largest need not be found first."""
    s = (1 + torch.exp(-torch.mm(hidden, scaled).to(high))).reciprocal()  # (R, V)
    weights = torch.exp(2 * cap * (s - 1))
    total = weights.sum(-1, keepdim=True)
    goal, part = s.gather(1, goals), total.reciprocal()
    nats = (total.log() - 2 * cap * (goal - 1)).sum(dtype=torch.float64)
    grad = (weights * part * (s - s * s)).to(matrix.dtype)
    at_goal = (torch.exp(2 * cap * (goal - 1)) * part - 1) * (goal - goal * goal)
    grad = grad.scatter(1, goals, at_goal.to(matrix.dtype))
    return nats, torch.mm(grad, matrix), torch.mm(grad.T, hidden)


def compiles(compiler: str) -> bool:
    """Whether a C++ compiler of this name is there and compiles."""
    command = [compiler, "-x", "c++", "-c", "-", "-o", os.devnull]
    try:
        done = subprocess.run(command, input=b"#include <cmath>\n", capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def compiled_hands(backend: str = "inductor") -> Hands:
    """`BY_HAND`, compiled on first use, for every shape anew. Raises ModelError where no C++ compiler works."""
    compiler = os.environ.get("CXX", "g++")
    if backend == "inductor" and not compiles(compiler):
        raise ModelError(
            f"kernels = compiled wants a C++ compiler on a CPU, and {compiler} is not there or does not work; install "
            "one, name it by CXX, or set kernels = off."
        )
    given: dict[str, Any] = {"dynamic": False, "backend": backend}
    forward, backward = torch.compile(block_forward, **given), torch.compile(block_backward, **given)
    return Hands((forward, backward), torch.compile(piece_in_one, **given), True)
