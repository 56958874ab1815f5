"""Each switch does what it says, is off in the baseline, and a run with all of them still resumes to the bit."""

from pathlib import Path
from typing import Any

import pytest
import torch

from model.average import WeightAverage
from model.config import RunConfig
from model.fast import gpt_for
from model.gpt import GPT, rotary_tables, rotated
from model.muon import Muon
from model.ranks import Ranks
from model.schedule import momentum_at, rate_scale
from model.train import Training, run_training
from tests.model_makers import tiny_config, write_tiny_shards

CPU = torch.device("cpu")
ALL: dict[str, Any] = {
    "muon_weight_decay": 0.1,
    "ema_decay": 0.9,
    "min_rate": 0.1,
    "relu_slope": 0.5,
    "rope_dims": 4,
    "depth_scale": True,
}


class Leave:
    def __init__(self, after: int) -> None:
        self.left = after

    def check(self) -> bool:
        self.left -= 1
        return self.left <= 0


def test_all_are_off_in_the_baseline() -> None:
    config = RunConfig()
    assert not any(getattr(config, name) for name in ALL)


def test_a_run_with_all_of_them_resumes_to_the_bit(tmp_path: Path) -> None:
    config = tiny_config(write_tiny_shards(tmp_path / "s"), **ALL)
    alone = Ranks(0, 1, CPU, torch.float32)
    for name, stops in (("a", [99]), ("b", [5, 99])):
        (tmp_path / name).mkdir()
        for stop in stops:
            run_training(config, tmp_path / name, alone, Leave(stop))  # type: ignore[arg-type]
    files = [(tmp_path / name / "checkpoint/model.safetensors").read_bytes() for name in "ab"]
    assert files[0] == files[1]


@pytest.mark.parametrize("name", ["relu_slope", "rope_dims", "depth_scale"])
def test_a_switch_of_the_model_changes_its_loss_and_leaves_the_fast_path(tmp_path: Path, name: str) -> None:
    shards = write_tiny_shards(tmp_path / "s")
    losses = []
    for changes in ({}, {name: ALL[name]}):
        training = Training(tiny_config(shards, **changes), Ranks(0, 1, CPU, torch.float32))
        for step in range(3):
            loss = training.forward_backward()
            training.move(step, 1.0)
        losses.append(float(loss))
        if changes:
            assert type(gpt_for(training.config, CPU, torch.float32)) is GPT
    assert abs(losses[0] - losses[1]) > 1e-6


def test_partial_rotary_turns_the_first_coordinates_only() -> None:
    x = torch.randn(2, 3, 5, 8)
    cos, sin = rotary_tables(5, 4, 100.0, CPU)
    out = rotated(x, cos, sin)
    assert torch.equal(out[..., 4:], x[..., 4:])
    assert torch.equal(out[..., :4], rotated(x[..., :4], cos, sin))
    assert torch.allclose(out.square().sum(-1), x.square().sum(-1), rtol=1e-5)


def test_weight_decay_shrinks_by_rate_times_decay() -> None:
    moved = []
    for decay in (0.0, 0.25):
        p = torch.nn.Parameter(torch.full((3, 4), 2.0))
        p.grad = torch.eye(3, 4)
        Muon([p], lr=0.1, momentum=0.9, dtype=torch.float32, weight_decay=decay).step()
        moved.append(p.detach().clone())
    assert torch.allclose(moved[0] - moved[1], torch.full((3, 4), 2.0 * 0.1 * 0.25))


def test_the_average_follows_its_formula_and_is_nothing_when_off() -> None:
    model = torch.nn.Linear(2, 1, bias=False)
    average, off = WeightAverage(model, 0.5), WeightAverage(model, 0.0)
    wanted = model.weight.detach().clone()
    for step in range(4):
        with torch.no_grad():
            model.weight.add_(1.0)
        average.update(step)
        off.update(step)
        keep = min(0.5, (1 + step) / (10 + step))
        wanted = keep * wanted + (1 - keep) * model.weight.detach()
    before = model.weight.detach().clone()
    off.put()
    assert torch.equal(model.weight, before)
    average.put()
    assert torch.allclose(model.weight, wanted)
    assert off.tensors() == {}


def test_rates_by_steps_by_the_clock_and_by_part() -> None:
    steps = RunConfig(max_wallclock_seconds=0.0, iterations=100, warmdown_iters=10)
    assert [rate_scale(steps, s, 0.0) for s in (0, 89, 90, 95, 99)] == [1.0, 1.0, 1.0, 0.5, 0.1]
    clock = RunConfig(max_wallclock_seconds=100.0, warmdown_iters=10)
    assert rate_scale(clock, 50, 50_000.0) == 1.0  # a second a step: the last ten seconds fall
    assert rate_scale(clock, 95, 95_000.0) == pytest.approx(0.5)
    assert rate_scale(clock, 100, 100_500.0) == 0.0
    part = RunConfig(max_wallclock_seconds=100.0, warmdown_frac=0.5, iterations=10**6)
    assert [rate_scale(part, 1, ms) for ms in (0.0, 50_000.0, 75_000.0)] == pytest.approx([1.0, 1.0, 0.5])
    floor = RunConfig(max_wallclock_seconds=100.0, warmdown_frac=0.5, iterations=10**6, min_rate=0.1)
    assert rate_scale(floor, 1, 99_999.0) == 0.1
    assert rate_scale(RunConfig(warmdown_iters=0), 5, 1e9) == 1.0


def test_momentum_rises_in_a_straight_line() -> None:
    config = RunConfig(muon_momentum_warmup_steps=10)
    assert [momentum_at(config, s) for s in (0, 5, 10, 99)] == pytest.approx([0.85, 0.9, 0.95, 0.95])
    assert momentum_at(RunConfig(muon_momentum_warmup_steps=0), 0) == 0.95
