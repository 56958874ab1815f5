"""Which optimiser moves which parameter, as in the baseline: Muon the matrices of the blocks, Adam all else.

The embedding, an untied head, and the vectors (scales, gains, mixes, skip weights) have learning rates of their own.
Each group remembers its full rate as `base_lr`; the schedule scales it. Gradients of one dtype lie in one flat
buffer, so that ranks exchange them in one call and setting them to zero is one fill.
"""

import os
from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor

from .config import RunConfig
from .gpt import CONTROL_NAMES, GPT
from .muon import NEWTON_SCHULZ, POLAR_EXPRESS, Muon
from .shared_sum import shared_places


def make_optimisers(model: GPT, config: RunConfig, dtype: torch.dtype) -> tuple[torch.optim.Adam, Muon]:
    """Adam and Muon over all parameters of the model; `dtype` is that of Muon's iteration."""
    matrices: list[Tensor] = []
    vectors: list[Tensor] = []
    for name, p in model.blocks.named_parameters():
        is_matrix = p.ndim == 2 and not any(part in name for part in CONTROL_NAMES)
        (matrices if is_matrix else vectors).append(p)
    outside = [(n, p) for n, p in model.named_parameters() if not n.startswith(("blocks.", "tok_emb.", "lm_head."))]
    vectors += [p for _, p in outside if p.numel()]  # skip weights, and those of switches
    token_rate = config.tied_embed_lr if config.tie_embeddings else config.embed_lr
    groups = [
        {"params": [model.tok_emb.weight], "lr": token_rate, "base_lr": token_rate},
        {"params": vectors, "lr": config.scalar_lr, "base_lr": config.scalar_lr},
    ]
    if model.lm_head is not None:
        groups.insert(1, {"params": [model.lm_head.weight], "lr": config.head_lr, "base_lr": config.head_lr})
    adam = torch.optim.Adam(groups, betas=(config.beta1, config.beta2), eps=config.adam_eps, fused=True)
    steps, decay = config.muon_backend_steps, config.muon_weight_decay
    table = POLAR_EXPRESS if config.muon_polar_express else NEWTON_SCHULZ
    muon = Muon(matrices, config.matrix_lr, config.muon_momentum, steps, dtype, decay, config.muon_row_norm, table)
    for group in muon.param_groups:
        group["base_lr"] = config.matrix_lr
    return adam, muon


class Gradients:
    """The gradients of a model as views of one flat buffer a dtype."""

    def __init__(self, params: list[Tensor]) -> None:
        self.flat: dict[torch.dtype, Tensor] = {}
        self.sums: dict[torch.dtype, Callable[[Tensor], object]] = {}  # over ranks, in place
        for dtype in {p.dtype for p in params}:
            own = [p for p in params if p.dtype == dtype]
            self.flat[dtype] = torch.zeros(sum(p.numel() for p in own), dtype=dtype, device=own[0].device)
            for p, piece in zip(own, self.flat[dtype].split([p.numel() for p in own]), strict=True):
                p.grad = piece.view_as(p)

    def clear(self) -> None:
        """All gradients to zero."""
        for flat in self.flat.values():
            flat.zero_()

    def average(self, world: int) -> None:
        """The mean over all ranks, equal to the bit on each."""
        if world > 1:
            for dtype in sorted(self.flat, key=str):
                if dtype not in self.sums:
                    places = shared_places(self.flat[dtype], os.environ)
                    self.sums[dtype] = places.add if places else dist.all_reduce
                self.sums[dtype](self.flat[dtype])
                self.flat[dtype].div_(world)
