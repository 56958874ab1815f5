"""What a GPU run does around its steps: batches ahead, numbers late, an attention by trial. Tested where no GPU is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from model.bundle import recipe_bundle
from model.cli import RECIPES
from model.config import RunConfig
from model.cuda_attention import ATTENTIONS, AttentionChoice, by_sdpa, choose_attention
from model.cuda_choice import chosen_attention, kernel_gpt, settle_attention, training_loss
from model.cuda_clock import DeviceClock
from model.cuda_feed import Feed
from model.cuda_pace import HostMark, Pace, StepDone, WorkClock, slow_rank_words
from model.data import TokenStream
from model.errors import ModelError
from model.gpt import GPT
from model.ranks import Ranks
from tests.model_makers import tiny_config, write_tiny_shards

CPU = torch.device("cpu")


class FakeMark:
    """A mark of a clock that is moved by hand."""

    now = 0.0

    def record(self) -> None:
        self.at = FakeMark.now

    def elapsed_time(self, end: "FakeMark") -> float:
        return end.at - self.at


def test_batches_fetched_ahead_are_the_stream_s_own_and_do_not_count_as_read(tmp_path: Path) -> None:
    folder = write_tiny_shards(tmp_path / "shards")  # 700 and 500 tokens: the seventh batch begins the second shard
    plain, ahead = TokenStream(folder, 40), Feed(folder, 40, CPU, ahead=True)
    for _ in range(20):
        ids, targets = plain.batch(96, 8, 0, 1)
        x, y = ahead.batch(96, 8, 0, 1)
        assert (x.tolist(), y.tolist()) == (ids.tolist(), targets.tolist())
        assert ahead.place == plain.place != ahead.stream.place
    ids, _ = plain.batch(32, 8, 1, 2)
    assert (
        ahead.batch(32, 8, 1, 2)[0].tolist() == ids.tolist()
    )  # another wish: what was fetched for the old one is left
    ahead.seek(1, 37)
    plain.seek(1, 37)
    assert ahead.place == (1, 37)
    assert ahead.batch(96, 8, 0, 1)[0].tolist() == plain.batch(96, 8, 0, 1)[0].tolist()


def test_a_shard_that_the_thread_cannot_read_ends_the_run_with_its_sentence(tmp_path: Path) -> None:
    folder = write_tiny_shards(tmp_path / "shards")
    second = folder / "fineweb_train_000001.bin"
    good = second.read_bytes()
    feed = Feed(folder, 40, CPU, ahead=True)
    feed.batch(96, 8, 0, 1)
    second.write_bytes(good[:1024] + b"\xff\xff" + good[1026:])
    feed.seek(0, 0)
    for _ in range(6):
        feed.batch(96, 8, 0, 1)
    with pytest.raises(ModelError, match="not below vocab_size"):
        feed.batch(96, 8, 0, 1)  # fetches the one that reaches the second shard


def test_numbers_come_one_step_late_and_all_in_the_end() -> None:
    sent: list[float] = []

    def send(loss: torch.Tensor) -> Callable[[], float]:
        return lambda: sent.append(float(loss)) or float(loss)

    pace = Pace(late=True, send=send)
    assert pace.step(1, torch.tensor(3.0), 1.0, lambda: 8.0) == []
    assert sent == []
    assert pace.step(2, torch.tensor(2.0), 0.5, lambda: 9.0) == [StepDone(1, 3.0, 1.0, 8.0)]
    assert pace.rest() == [StepDone(2, 2.0, 0.5, 9.0)]
    assert pace.rest() == []
    assert Pace(late=False).step(7, torch.tensor(1.5), 1.0, lambda: 7.0) == [StepDone(7, 1.5, 1.0, 7.0)]


def test_a_rank_that_keeps_the_others_waiting_is_named() -> None:
    assert slow_rank_words([30.0, 30.5, 31.0, 30.2]) == ""
    assert slow_rank_words([30.0]) == ""
    assert slow_rank_words([30.0, 30.5, 36.0, 30.3]) == "slow_rank:2 work:36.00ms median:30.40ms"


def test_the_work_of_a_step_is_its_own_even_when_it_is_read_later() -> None:
    clock = WorkClock(FakeMark)
    reads = []
    for cost in (5.0, 7.0):
        clock.begin()
        FakeMark.now += cost
        clock.meet()
        FakeMark.now += 100.0  # waiting for the others
        reads.append(clock.work())
    assert [read() for read in reads] == [5.0, 7.0]
    host = WorkClock(HostMark)
    host.begin()
    host.meet()
    assert 0.0 <= host.work()() < 1000.0


def held_loss(loss: torch.Tensor) -> Callable[[], float]:
    """A loss that is read later, as it is now."""
    held = loss.clone()
    return lambda: float(held)


@pytest.mark.parametrize("changes", [{}, {"val_loss_every": 4, "checkpoint_seconds": 1e-9}], ids=str)
def test_a_run_with_late_numbers_says_and_makes_the_same(
    changes: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import model.train as train
    from model.ranks import StopRequest, open_ranks

    shards = write_tiny_shards(tmp_path / "shards")
    made, kept_step = [], train.save_state
    for late in (False, True):
        run = tmp_path / f"late {late}"
        run.mkdir()
        states: list[object] = []

        def save(folder: Path, state: object, *rest: object, states: list[object] = states) -> int:
            states.append((state.step, state.place))  # type: ignore[attr-defined]
            return kept_step(folder, state, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(train, "save_state", save)
        monkeypatch.setattr(train, "Pace", lambda late, want=late: Pace(want, held_loss))
        config = tiny_config(shards, **changes)
        assert train.run_training(config, run, open_ranks(config, {}), StopRequest(0)) == 0
        lines = [
            line.split(" train_time")[0] for line in (run / "train.log").read_text().splitlines() if "step:" in line
        ]
        made.append((lines, states[-1], (run / "checkpoint" / "model.safetensors").read_bytes()))
    assert made[0] == made[1]


def test_the_device_clock_takes_the_median_after_its_warm_up_and_sweeps_untimed() -> None:
    costs = iter([100.0, 100.0, 5.0, 1.0, 3.0])
    order: list[str] = []

    def work() -> None:
        order.append("work")
        FakeMark.now += next(costs)

    def sweep() -> None:
        order.append("sweep")
        FakeMark.now += 1000.0

    clock = DeviceClock(FakeMark, lambda: order.append("settle"), sweep, warm=2, rounds=3)
    assert clock.milliseconds(work) == 3.0
    assert order == ["work"] * 2 + ["sweep", "work"] * 3 + ["settle"]
    costs = iter([9.0, 2.0, 4.0])
    assert DeviceClock(FakeMark, lambda: None, None, warm=1, rounds=2).sustained(work) == 3.0


def some_heads(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return tuple(torch.randn(3, 9, heads, 8).to(dtype) for heads in (4, 2, 2))  # type: ignore[return-value]


def chosen(ways: dict[str, float], monkeypatch: pytest.MonkeyPatch, **wrong: object) -> AttentionChoice:
    """The choice among ways that all are right, but for those given, with these milliseconds."""
    for name in ways:
        monkeypatch.setitem(ATTENTIONS, name, wrong.get(name, lambda q, k, v: by_sdpa(q, k, v)))  # type: ignore[arg-type]
    times = iter(ms for name, ms in ways.items() if name not in wrong)
    return choose_attention(*some_heads(), ways, lambda work: (work(), next(times))[1])


def test_the_fastest_right_attention_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = chosen({"sdpa": 2.0, "flash": 1.5, "cudnn": 1.0}, monkeypatch)
    assert choice.name == "cudnn"
    assert choice.line() == "attention:cudnn cudnn:1.000ms flash:1.500ms sdpa:2.000ms"
    assert chosen({"sdpa": 1.01, "flash": 1.0}, monkeypatch).name == "sdpa"  # not worth another way


def test_a_wrong_or_missing_attention_is_not_taken_and_the_log_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def unmasked(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        given = (t.transpose(1, 2) for t in (q, k, v))
        return torch.nn.functional.scaled_dot_product_attention(*given, enable_gqa=True).transpose(1, 2)

    def absent(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("No available kernel. Aborting execution.\nmore")

    choice = chosen({"sdpa": 2.0, "flash": 0.1, "cudnn": 0.1}, monkeypatch, flash=unmasked, cudnn=absent)
    assert choice.name == "sdpa"
    assert set(choice.refused) == {"flash", "cudnn"}
    assert "from float32" in choice.refused["flash"]
    assert choice.refused["cudnn"] == "No available kernel. Aborting execution."
    monkeypatch.undo()
    assert choose_attention(*some_heads(), ["sdpa", "fa3"], lambda work: 1.0).refused["fa3"] == "not installed"
    with pytest.raises(ModelError, match="no attention works here"):
        choose_attention(*some_heads(), ["fa3"], lambda work: 1.0)


def test_ranks_agree_on_one_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ATTENTIONS, "flash", lambda q, k, v: by_sdpa(q, k, v))
    both = ["sdpa", "flash"]
    assert choose_attention(*some_heads(), both, lambda work: 1.0).name == "sdpa"
    assert choose_attention(*some_heads(), both, lambda work: 1.0, lambda own: [own[0] + 5.0, own[1]]).name == "flash"


def test_on_a_cpu_all_of_it_stands_aside() -> None:
    config = RunConfig(num_layers=1, model_dim=16, num_heads=2, num_kv_heads=1, kernels="triton", attention="fa3")
    assert kernel_gpt(config, CPU) is None
    model = GPT(config)
    assert training_loss(model, config, CPU) is model
    assert settle_attention(model, config, Ranks(0, 1, CPU, torch.float32)) is None
    assert "attend" not in vars(model.blocks[0].attn)


def test_a_run_goes_on_with_the_attention_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    config, ranks = tiny_config(Path("nowhere"), kernels="compiled"), Ranks(0, 1, CPU, torch.float32)
    given: list[torch.Tensor] = []

    def broken(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no kernel here")

    def seen(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        given.append(q)
        return by_sdpa(q, k, v)

    for name in ("flash", "cudnn", "cudnn-repeated"):
        monkeypatch.setitem(ATTENTIONS, name, seen if name == "flash" else broken)
    ticks = iter([2.0, 1.0])
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert chosen_attention(config, ranks, lambda work: next(ticks), "").name == "flash"
    for kept, name in (("flash", "flash"), ("sdpa", "sdpa"), ("cudnn", "sdpa"), ("of another version", "sdpa")):
        assert chosen_attention(config, ranks, lambda work: 1.0, kept).name == name
    assert torch.equal(torch.get_rng_state(), before)  # the trial draws from numbers of its own
    assert all(torch.equal(q, given[0]) for q in given)


def test_kernels_refuse_a_soft_cap_that_they_cannot_hold() -> None:
    pytest.importorskip("triton", reason="triton is not installed: pip install -e '.[gpu]'")
    with pytest.raises(ModelError, match="logit_softcap at most 40"):
        kernel_gpt(RunConfig(kernels="triton", logit_softcap=50.0), torch.device("cuda"))


@pytest.mark.slow
def test_a_bundle_carries_the_kernels_of_its_recipe_alone() -> None:
    parts = ["class Feed", "class CudaGPT", "class CompiledOps", "class TritonOps", "import triton"]
    found = {}
    for kernels in ("off", "compiled", "triton"):
        text = recipe_bundle(RECIPES / "baseline.toml", kernels=kernels)
        found[kernels] = sum(part in text for part in parts)
        space: dict[str, Any] = {"__name__": "script"}
        if kernels != "triton":
            exec(compile(text, "train_gpt.py", "exec"), space)
            with pytest.raises(space["ModelError"], match=f"built with kernels = '{kernels}'"):
                space["kernel_gpt"](space["RunConfig"](kernels="triton"), torch.device("cuda"))
    assert found == {"off": 1, "compiled": 3, "triton": 5}


def test_training_by_kernels_asks_for_triton_before_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import model.launch as launch

    monkeypatch.setattr(launch, "find_spec", lambda name: None if name == "triton" else True)
    with pytest.raises(ModuleNotFoundError, match="triton"):
        launch.launch(RunConfig(kernels="triton"), RECIPES / "tour.toml", tmp_path / "run", 1, print)
    assert not (tmp_path / "run").exists()
