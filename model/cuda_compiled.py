"""The passes of `cuda_plain`, each compiled by PyTorch: the hand-cut block without a hand-written kernel.

It stands between the compiled ordinary model and the kernels: products, what is kept and what is folded are as with
kernels, only what happens between two products is the compiler's. Where a kernel fails on some GPU, this is the way on.
"""

from typing import Any

import torch

from .cuda_plain import PlainOps

PASSES = (
    "norm",
    "norm_back",
    "mix",
    "mix_back",
    "turn",
    "turn_back",
    "square",
    "square_back",
    "add",
    "add_back",
    "head",
)


class CompiledOps(PlainOps):
    """`PlainOps`, each pass compiled on its first use, for every shape anew."""

    name = "compiled"

    def __init__(self, backend: str = "inductor") -> None:
        for name in PASSES:
            compiled: Any = torch.compile(getattr(PlainOps, name), dynamic=False, backend=backend)
            setattr(self, name, compiled)
