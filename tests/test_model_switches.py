"""Each switch does what it says, is off in the baseline, and a run with all of them still resumes to the bit."""

from pathlib import Path
from typing import Any

import pytest
import torch

from model.average import WeightAverage
from model.config import RunConfig
from model.fast import UNKNOWN_TO_FAST, FastGPT, gpt_for
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
    "loop_repeats": 1,
    "loop_adapters": True,
    "parallel_from": 2,
    "value_residual": True,
    "exclusive_last": 2,
    "gate_width": 3,
    "smear_width": 5,
    "muon_row_norm": True,
    "muon_polar_express": True,
    "qat_below": 2.0,
    "entropy_weight": 0.1,
}
OF_THE_MODEL = [*("relu_slope", "rope_dims", "depth_scale", "loop_repeats", "loop_adapters", "parallel_from"),
                *("value_residual", "exclusive_last", "gate_width", "smear_width")]  # fmt: skip


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


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("ema_decay", "min_rate")])
def test_a_switch_changes_the_loss_after_a_few_steps(tmp_path: Path, name: str) -> None:
    shards = write_tiny_shards(tmp_path / "s")
    losses = []
    for changes in ({}, {name: ALL[name]}):
        training = Training(tiny_config(shards, **changes), Ranks(0, 1, CPU, torch.float32))
        for step in range(3):
            loss = training.forward_backward()
            training.move(step, 1.0)
        losses.append(float(loss))
    assert abs(losses[0] - losses[1]) > 1e-7


def switched(name: str | None, fast: bool = False, **changes: Any) -> GPT:
    """A float64 model with a switch on, no weight at a special value."""
    shape = {"vocab_size": 11, "num_layers": 3, "model_dim": 16, "num_heads": 4, "num_kv_heads": 2, **changes}
    config = RunConfig(
        train_seq_len=6, train_batch_tokens=12, micro_batches=1, **shape, **({name: ALL[name]} if name else {})
    )
    torch.manual_seed(2)
    model = (gpt_for(config, CPU, torch.float32) if fast else GPT(config)).double()
    model.rotary_dtype = torch.float64
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=generator, dtype=p.dtype) * 0.3)
    return model


def test_a_model_without_switches_has_the_baseline_s_tensors_and_no_others() -> None:
    names = set(GPT(RunConfig(num_layers=1, model_dim=16, num_heads=2, num_kv_heads=1)).state_dict())
    block = ["attn_scale", "mlp_scale", "resid_mix", "attn.q_gain", "mlp.fc.weight", "mlp.proj.weight"]
    block += [f"attn.{name}.weight" for name in ("c_q", "c_k", "c_v", "proj")]
    assert names == {"tok_emb.weight", "skip_weights", *(f"blocks.0.{name}" for name in block)}


@pytest.mark.parametrize("name", ["loop_repeats", "loop_adapters", "value_residual", "gate_width", "smear_width"])
def test_new_parts_start_with_the_baseline_s_weights(name: str) -> None:
    torch.manual_seed(4)
    plain = GPT(RunConfig(num_layers=3, model_dim=16, num_heads=2, num_kv_heads=1))
    torch.manual_seed(4)
    with_part = GPT(RunConfig(num_layers=3, model_dim=16, num_heads=2, num_kv_heads=1, **{name: ALL[name]}))
    own = with_part.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in plain.state_dict().items() if key != "skip_weights")
    if name != "loop_repeats":  # the others start as what changes nothing
        ids = torch.randint(0, 1024, (2, 7))
        torch.testing.assert_close(plain.logits(ids), with_part.logits(ids), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", OF_THE_MODEL)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    model = switched(name)
    tokens = torch.tensor([[1, 5, 3, 1, 2, 9, 4], [7, 7, 0, 10, 2, 1, 8]])
    loss = model(tokens[:, :-1], tokens[:, 1:])
    loss.backward()
    generator = torch.Generator().manual_seed(9)
    for key, p in model.named_parameters():
        assert p.grad is not None
        way = torch.randn(p.shape, generator=generator, dtype=p.dtype)
        ends = []
        with torch.no_grad():
            for sign in (1, -1):
                p.add_(way, alpha=sign * 1e-6)
                ends.append(model(tokens[:, :-1], tokens[:, 1:]).item())
                p.add_(way, alpha=-sign * 1e-6)
        found = (ends[0] - ends[1]) / 2e-6
        assert found == pytest.approx((p.grad * way).sum().item(), rel=2e-4, abs=2e-8), key


@pytest.mark.parametrize("name", OF_THE_MODEL)
def test_no_position_sees_a_later_one(name: str) -> None:
    model = switched(name)
    ids = torch.tensor([[1, 5, 3, 1, 2, 9]])
    other = ids.clone()
    other[0, 4:] = torch.tensor([6, 7])
    a, b = model.logits(ids), model.logits(other)
    assert torch.equal(a[:, :4], b[:, :4])
    assert not torch.equal(a[:, 4], b[:, 4])


@pytest.mark.parametrize("name", [n for n in OF_THE_MODEL if n not in UNKNOWN_TO_FAST])
def test_the_fast_path_knows_this_switch(name: str) -> None:
    plain, fast = switched(name), switched(name, fast=True)
    assert type(fast) is FastGPT
    tokens = torch.randint(0, 11, (2, 7))
    one, two = (m(tokens[:, :-1], tokens[:, 1:]) for m in (plain, fast))
    one.backward()
    two.backward()
    torch.testing.assert_close(one, two, rtol=1e-12, atol=0)
    for (key, p), q in zip(plain.named_parameters(), fast.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-8, atol=1e-12, msg=key)


@pytest.mark.parametrize("name", UNKNOWN_TO_FAST)
def test_the_fast_path_steps_aside_for_what_it_does_not_know(name: str) -> None:
    assert type(switched(name, fast=True)) is GPT


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
    for shape, half in (("cosine", 0.5), ("sqrt", 1 - 0.5**0.5)):
        fall = RunConfig(max_wallclock_seconds=0.0, iterations=100, warmdown_frac=0.5, warmdown_shape=shape)
        assert [rate_scale(fall, s, 0.0) for s in (0, 50, 75, 100)] == pytest.approx([1.0, 1.0, half, 0.0])


def test_momentum_rises_in_a_straight_line() -> None:
    config = RunConfig(muon_momentum_warmup_steps=10)
    assert [momentum_at(config, s) for s in (0, 5, 10, 99)] == pytest.approx([0.85, 0.9, 0.95, 0.95])
    assert momentum_at(RunConfig(muon_momentum_warmup_steps=0), 0) == 0.95
