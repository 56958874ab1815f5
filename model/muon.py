"""Muon, the optimiser of matrices: momentum whose every matrix is made (nearly) orthogonal before it is applied.

A gradient matrix has a few large singular values that drown the rest. Five steps of a Newton-Schulz iteration push
all of them towards one, by matrix products alone. Matrices of one shape are stacked and go through the iteration
together, which saves most of its cost for small models; with several ranks each takes its share of the matrices and
the updates are summed. Momenta are kept by every rank, so that any rank's state is the whole state.

Source: Jordan, "Muon: an optimizer for hidden layers" (2024), with the challenge's coefficients.
"""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalised(stack: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """Each matrix of `(K, R, C)`, R <= C, moved towards the nearest one with orthonormal rows. Computed in `dtype`."""
    a, b, c = NEWTON_SCHULZ
    x = stack.to(dtype)
    x = x / (torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT  # (K, R, R)
        poly = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, poly, x, beta=a)
    return x


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum over 2-D parameters.

    `dtype` is that of the iteration: bfloat16 in the challenge, float32 where a CPU has no fast bfloat16.
    `weight_decay` shrinks a matrix by that part of the rate at each step (decoupled); 0 in the baseline.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float,
        steps: int = 5,
        dtype: torch.dtype = torch.bfloat16,
        weight_decay: float = 0.0,
    ) -> None:
        self.dtype = dtype
        super().__init__(params, {"lr": lr, "momentum": momentum, "steps": steps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        together = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        rank, world = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            pushed = []
            for p in params:
                if "momentum_buffer" not in self.state[p]:
                    self.state[p]["momentum_buffer"] = torch.zeros_like(p.grad)
                momenta = self.state[p]["momentum_buffer"]
                momenta.mul_(group["momentum"]).add_(p.grad)
                pushed.append(p.grad.add(momenta, alpha=group["momentum"]))
            kinds: dict[tuple[int, int], list[int]] = {}
            for i, p in enumerate(params):
                kinds.setdefault((min(p.shape), max(p.shape)), []).append(i)
            updates = [torch.empty(0)] * len(params)
            flat = torch.zeros(sum(p.numel() for p in params), dtype=self.dtype, device=params[0].device)
            for i, piece in enumerate(flat.split([p.numel() for p in params])):
                updates[i] = piece.view_as(params[i])
            for members in kinds.values():
                mine = [i for n, i in enumerate(members) if n % world == rank]
                if not mine:
                    continue
                wide = [pushed[i].mT if pushed[i].size(0) > pushed[i].size(1) else pushed[i] for i in mine]
                done = orthogonalised(torch.stack(wide), group["steps"], self.dtype)
                for i, update in zip(mine, done, strict=True):
                    tall = params[i].size(0) / params[i].size(1)
                    updates[i].copy_(update.mT if tall > 1 else update).mul_(max(1.0, tall) ** 0.5)
            if together:
                dist.all_reduce(flat)
            for p, update in zip(params, updates, strict=True):
                if group["weight_decay"]:
                    p.mul_(1.0 - group["lr"] * group["weight_decay"])
                p.add_(update.to(p.dtype), alpha=-group["lr"])
