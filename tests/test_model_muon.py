"""Muon: the published algorithm one matrix at a time, in few pieces of work, shared out over ranks to the bit."""

import multiprocessing
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode

from model.muon import POLAR_EXPRESS, Muon
from model.plain import plain_newton_schulz

SHAPES = [(24, 24), (8, 24), (8, 24), (24, 24), (72, 24), (24, 72)]


def trained(layers: int, steps: int, **settings: Any) -> tuple[list[torch.Tensor], Muon]:
    """Parameters after some steps on seeded gradients, float64."""
    torch.manual_seed(5)
    params = [torch.nn.Parameter(torch.randn(shape, dtype=torch.float64)) for _ in range(layers) for shape in SHAPES]
    muon = Muon(params, 0.04, 0.95, 5, torch.float64, **settings)
    for _ in range(steps):
        for p in params:
            p.grad = torch.randn_like(p)
        muon.step()
    return params, muon


def test_it_is_the_published_algorithm_one_matrix_at_a_time() -> None:
    found, _ = trained(2, 3)
    torch.manual_seed(5)
    wanted = [torch.randn(shape, dtype=torch.float64) for _ in range(2) for shape in SHAPES]
    held = [torch.zeros_like(p) for p in wanted]
    for _ in range(3):
        for p, momentum in zip(wanted, held, strict=True):
            grad = torch.randn_like(p)
            momentum.mul_(0.95).add_(grad)
            update = plain_newton_schulz(grad.add(momentum, alpha=0.95), 5, torch.float64)
            p.sub_(update, alpha=0.04 * max(1.0, p.size(0) / p.size(1)) ** 0.5)
    for p, q in zip(found, wanted, strict=True):
        torch.testing.assert_close(p.detach(), q, rtol=1e-9, atol=1e-10)


class Counted(TorchDispatchMode):
    """Counts what is asked of the device."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not function.is_view:
            self.seen[str(function)] += 1
        return function(*args, **(kwargs or {}))


def test_a_step_is_as_many_pieces_of_work_for_nine_layers_as_for_two_and_none_is_waited_for() -> None:
    counts = []
    for layers in (2, 9):
        params, muon = trained(layers, 1)
        for p in params:
            p.grad = torch.randn_like(p)
        with Counted() as counted:
            muon.step()
        assert not [name for name in counted.seen if "local_scalar" in name or "nonzero" in name]
        counts.append(sum(counted.seen.values()))
    assert counts[0] == counts[1] < 100


def test_parameters_without_a_gradient_rest() -> None:
    params, muon = trained(1, 1)
    before = [p.detach().clone() for p in params]
    for p in params[1:]:
        p.grad = None
    muon.step()
    assert [bool((p != q).any()) for p, q in zip(params, before, strict=True)] == [True] + [False] * 5
    params[0].grad = None
    muon.step()


def both_sizes() -> list[torch.Tensor]:
    """What several ranks and one are compared by: four matrices of a shape, and two."""
    groups = trained(2, 2), trained(1, 2, row_norm=True, weight_decay=0.1, table=POLAR_EXPRESS)
    return [p.detach() for params, _ in groups for p in params]


def one_rank(rank: int, folder: Path) -> None:
    """A process of three."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=3)
    sent = both_sizes()
    os.environ["LOCAL_WORLD_SIZE"] = "3"  # from here on through memory
    assert all(torch.equal(p, q) for p, q in zip(sent, both_sizes(), strict=True))
    torch.save(sent, folder / str(rank))
    dist.destroy_process_group()


@pytest.mark.slow
def test_three_ranks_that_divide_nothing_end_as_one_does(tmp_path: Path) -> None:
    """Some ranks get two matrices of a shape, some one, some none."""
    start = multiprocessing.get_context("fork").Process  # torch need not be loaded again
    children = [start(target=one_rank, args=(rank, tmp_path)) for rank in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 3
    first, *others = [torch.load(tmp_path / str(rank), weights_only=True) for rank in range(3)]
    for p, q in zip(first, both_sizes(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)
    assert all(torch.equal(p, q) for other in others for p, q in zip(first, other, strict=True))
