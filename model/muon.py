"""Muon, the optimiser of matrices: momentum whose every matrix is made (nearly) orthogonal before it is applied.

A gradient matrix has a few large singular values that drown the rest. Five steps of a Newton-Schulz iteration push
all of them towards one, by matrix products alone. Matrices of one shape are stacked and go through the iteration
together, which saves most of its cost for small models; with several ranks each takes its share of the matrices and
the updates are summed. Momenta are kept by every rank, so that any rank's state is the whole state.

Source: Jordan, "Muon: an optimizer for hidden layers" (2024), with the challenge's coefficients.
"""

from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

Coefficients = Sequence[tuple[float, float, float]]

NEWTON_SCHULZ: Coefficients = ((3.4445, -4.7750, 2.0315),)
POLAR_EXPRESS: Coefficients = (  # Amsel, Persson, Musco, Gower: "The Polar Express" (2025), before its safety factor
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
    (1.875, -1.25, 0.375),
)
SAFETY = 1.01  # singular values may be so much above one by rounding and still converge


def orthogonalised(stack: Tensor, steps: int, dtype: torch.dtype, table: Coefficients = NEWTON_SCHULZ) -> Tensor:
    """Each matrix of `(K, R, C)`, R <= C, moved towards the nearest one with orthonormal rows. Computed in `dtype`.

    table: coefficients of each step; the last ones serve for all further steps.
    """
    x = stack.to(dtype)
    safe = SAFETY if len(table) > 1 else 1.0
    x = x / (torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True) * safe + 1e-7)
    for step in range(steps):
        a, b, c = table[min(step, len(table) - 1)]
        if safe != 1.0 and step < len(table) - 1:
            a, b, c = a / safe, b / safe**3, c / safe**5
        gram = x @ x.mT  # (K, R, R)
        poly = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, poly, x, beta=a)
    return x


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum over 2-D parameters.

    `dtype` is that of the iteration: bfloat16 in the challenge, float32 where a CPU has no fast bfloat16.
    `weight_decay` shrinks a matrix by that part of the rate at each step (decoupled); 0 in the baseline.
    `row_norm` brings the rows of what is pushed to one length first (MuonEq-R); `table` is that of `orthogonalised`.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float,
        steps: int = 5,
        dtype: torch.dtype = torch.bfloat16,
        weight_decay: float = 0.0,
        row_norm: bool = False,
        table: Coefficients = NEWTON_SCHULZ,
    ) -> None:
        self.dtype, self.row_norm, self.table = dtype, row_norm, table
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
                push = p.grad.add(momenta, alpha=group["momentum"])
                pushed.append(torch.nn.functional.normalize(push, dim=1) if self.row_norm else push)
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
                done = orthogonalised(torch.stack(wide), group["steps"], self.dtype, self.table)
                for i, update in zip(mine, done, strict=True):
                    tall = params[i].size(0) / params[i].size(1)
                    updates[i].copy_(update.mT if tall > 1 else update).mul_(max(1.0, tall) ** 0.5)
            if together:
                dist.all_reduce(flat)
            for p, update in zip(params, updates, strict=True):
                if group["weight_decay"]:
                    p.mul_(1.0 - group["lr"] * group["weight_decay"])
                p.add_(update.to(p.dtype), alpha=-group["lr"])
