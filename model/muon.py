"""Muon, the optimiser of matrices: momentum whose every matrix is made (nearly) orthogonal before it is applied.

A gradient matrix has a few large singular values that drown the rest. Five steps of a Newton-Schulz iteration push
all of them towards one, by matrix products alone. Matrices of one shape are stacked and go through the iteration
together, which saves most of its cost for small models; with several ranks each takes its share of the matrices, and
gets the others' updates, on GPUs while it works on the next shape. Momenta are kept by every rank, so that any rank's
state is the whole state. Everything else is done to all matrices by one call: for the baseline's 54 matrices a device
is given 96 pieces of work, not the 2,700 of one matrix at a time, and is never waited for.

Source: Jordan, "Muon: an optimizer for hidden layers" (2024), with the challenge's coefficients.
"""

import os
from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from .shared_sum import SharedPlaces, shared_places

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
        self.places: dict[int, SharedPlaces | None] = {}  # by how much is shown
        super().__init__(params, {"lr": lr, "momentum": momentum, "steps": steps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient. Waits for nothing but other ranks, and that at the end."""
        together = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        rank, world = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            pushed = self.push([p.grad for p in params if p.grad is not None], params, group["momentum"])
            kinds: dict[tuple[int, int], list[int]] = {}
            for i, p in enumerate(params):
                kinds.setdefault((min(p.shape), max(p.shape)), []).append(i)
            shares, offset = [], 0
            for members in kinds.values():
                shares.append(Share([pushed[i] for i in members], rank, world, offset, self.dtype))
                shares[-1].work(group["steps"], self.table, self.row_norm)
                if together and params[0].device.type != "cpu":
                    shares[-1].send()
                offset += len(members)  # so that the ranks that got one more are others for the next shape
            if together and params[0].device.type == "cpu":
                self.exchange(shares)
            if group["weight_decay"]:
                torch._foreach_mul_(params, 1.0 - group["lr"] * group["weight_decay"])
            for members, share in zip(kinds.values(), shares, strict=True):
                own = [params[i] for i in members]
                torch._foreach_add_(own, share.updates(own[0].dtype), alpha=-group["lr"])

    def exchange(self, shares: list["Share"]) -> None:
        """All ranks' parts at once, on CPUs: through memory where they share one."""
        own = torch.cat([share.own.flatten() for share in shares])
        if own.numel() not in self.places:
            self.places[own.numel()] = shared_places(own, os.environ)
        places = self.places[own.numel()]
        parts = None if places is None else places.gather(own).split([share.own.numel() for share in shares], dim=1)
        for n, share in enumerate(shares):
            if parts is None:
                share.send()
            else:
                share.all = parts[n].unflatten(1, share.own.shape)

    def push(self, grads: list[Tensor], params: list[Tensor], momentum: float) -> list[Tensor]:
        """What is to be made orthogonal, a matrix a parameter; momenta move on."""
        for p in params:
            if "momentum_buffer" not in self.state[p]:
                self.state[p]["momentum_buffer"] = torch.zeros_like(p)
        momenta = [self.state[p]["momentum_buffer"] for p in params]
        torch._foreach_mul_(momenta, momentum)
        torch._foreach_add_(momenta, grads)
        return list(torch._foreach_add(grads, momenta, alpha=momentum))


class Share:
    """Matrices of one shape, up to transposition, of which this rank makes its part orthogonal.

    Matrix n belongs to rank (n + offset) mod world. On GPUs the others' parts come by an exchange that runs while the
    next shape is worked on.
    """

    def __init__(self, pushed: list[Tensor], rank: int, world: int, offset: int, dtype: torch.dtype) -> None:
        self.pushed, self.rank, self.world, self.offset, self.dtype = pushed, rank, world, offset, dtype
        self.exchange: dist.Work | None = None

    def work(self, steps: int, table: Coefficients, row_norm: bool) -> None:
        """This rank's part."""
        mine = [p for n, p in enumerate(self.pushed) if (n + self.offset) % self.world == self.rank]
        if row_norm:
            mine = [torch.nn.functional.normalize(p, dim=1) for p in mine]
        wide = [p.mT if p.size(0) > p.size(1) else p for p in mine]
        done = orthogonalised(torch.stack(wide), steps, self.dtype, table) if wide else None  # (mine, R, C)
        if self.world == 1:
            assert done is not None
            self.all = done[None]
            return
        first = self.pushed[0]
        slots = -(-len(self.pushed) // self.world)
        self.own = torch.zeros(slots, *sorted(first.shape), dtype=self.dtype, device=first.device)
        if done is not None:
            self.own[: len(done)] = done

    def send(self) -> None:
        """The exchange begins."""
        self.all = self.own.new_empty(self.world, *self.own.shape)
        self.exchange = dist.all_gather(list(self.all.unbind()), self.own, async_op=True)

    def updates(self, dtype: torch.dtype) -> list[Tensor]:
        """Of each matrix, in order and in its own shape, of that dtype."""
        if self.exchange is not None:
            self.exchange.wait()
        found = [self.all[(n + self.offset) % self.world, n // self.world] for n in range(len(self.pushed))]
        out: dict[int, Tensor] = {}
        for tall in (True, False):
            places = [n for n, p in enumerate(self.pushed) if (p.size(0) > p.size(1)) == tall]
            if not places:
                continue
            part = torch.stack([found[n] for n in places])
            if tall:
                part = part.mul_((part.size(2) / part.size(1)) ** 0.5).mT
            out |= dict(zip(places, part.to(dtype).contiguous().unbind(), strict=True))
        return [out[n] for n in range(len(found))]
