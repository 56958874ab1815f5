"""The GPU's benches, as far as they can be held without one: bytes, arithmetic, refusals, a page that always ends."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import model.cuda_bench as cuda_bench
import model.cuda_report as cuda_report
from model.apart import apart
from model.config import RunConfig
from model.cuda_clock import DeviceClock
from model.cuda_plain import PlainOps
from model.errors import ModelError
from pglab_report import Ways

CPU = torch.device("cpu")
TINY = RunConfig(
    num_layers=2, model_dim=32, num_heads=4, num_kv_heads=2, vocab_size=48, train_seq_len=16, train_batch_tokens=64,
    micro_batches=1,
)  # fmt: skip


class Fixed(DeviceClock):
    """A clock for which all work takes half a millisecond, and is done once."""

    def __init__(self) -> None:
        super().__init__(mark=lambda: None)  # type: ignore[arg-type, return-value]

    def milliseconds(self, work: Callable[[], object]) -> float:
        work()
        return 0.5

    sustained = milliseconds


def test_the_passes_of_the_baseline_move_what_the_module_says() -> None:
    """40 vectors of 512 numbers a token and layer: of nine layers, four add a kept output."""
    tokens = 1024
    cases = cuda_bench.passes(RunConfig(), tokens, CPU, torch.bfloat16)
    vectors = {case.method: case.bytes / (tokens * 512 * 2) for case in cases}
    wanted = {"mix": 4, "mix_back": 8, "norm": 2, "norm_back": 4, "turn": 3, "turn_back": 6}
    wanted |= {"square": 4, "square_back": 6, "add": 3, "add_back": 3, "head": 4}
    assert {name: round(size) for name, size in vectors.items()} == wanted
    assert all(abs(vectors[name] - size) < 0.3 for name, size in wanted.items())
    layer = sum(size for name, size in wanted.items() if name not in ("add", "add_back", "head")) + 4 / 9 * 6
    assert round(layer) == 40


def test_a_row_holds_rate_part_of_a_copy_and_ratio() -> None:
    cases = cuda_bench.passes(TINY, 32, CPU, torch.float32)[:3]
    ways = {"kernel": PlainOps, "plain": PlainOps}
    rows = cuda_bench.kernel_rows(cases, ways, Fixed(), lambda run: run, copied=4 * cases[0].bytes)
    assert [row["pass"] for row in rows] == [case.name for case in cases]
    assert rows[0]["reached"] == 0.5
    assert rows[0]["rate"] == cases[0].bytes / 0.5 / 1e6
    assert rows[0]["ratio"] == 1.0
    assert rows[0]["apart"] == 0.0
    assert "of a copy" in [column.title for column in cuda_bench.kernel_table(rows).shown]
    assert cuda_bench.copy_rate(CPU, Fixed(), 1000) == 4000


def test_a_kernel_that_is_wrong_is_not_timed() -> None:
    class Wrong(PlainOps):
        @staticmethod
        def head(logits: torch.Tensor, targets: torch.Tensor, cap: float, part: float) -> torch.Tensor:
            return PlainOps.head(logits.clone(), targets, cap, part)  # the loss is right, the gradient is not left

    cases = [case for case in cuda_bench.passes(TINY, 32, CPU, torch.float32) if case.method == "head"]
    cases += [case for case in cuda_bench.passes(TINY, 32, CPU, torch.float32) if case.method == "add"]
    head, add = cuda_bench.kernel_rows(cases, {"kernel": Wrong, "plain": PlainOps}, Fixed(), lambda run: run, 1.0)
    assert head["why"] == "wrong: far from plain PyTorch"
    assert "kernel" not in head
    assert add["kernel"] == 0.5  # the next one is measured all the same


def test_a_compiler_that_fails_leaves_the_kernel_its_time() -> None:
    def fail(run: Callable[..., Any]) -> Callable[..., Any]:
        raise KeyError("no gcc")

    ways = {"kernel": PlainOps, "plain": PlainOps}
    (row,) = cuda_bench.kernel_rows(cuda_bench.passes(TINY, 32, CPU, torch.float32)[:1], ways, Fixed(), fail, 1.0)
    assert row["why"] == "KeyError: 'no gcc'"


@pytest.mark.parametrize("bench", [cuda_bench.bench, cuda_report.bench])
def test_without_a_gpu_both_commands_say_so_in_one_sentence(
    bench: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="times a GPU, and this torch finds none"):
        bench()


def test_a_part_that_fails_is_a_note_and_the_page_goes_on() -> None:
    def broken() -> Any:
        raise RuntimeError("CUDA error: out of luck\nand so on")

    report = cuda_report.gather_parts({"one": broken, "two": lambda: ([], ["All well."])})
    assert report.sentences == ["All well."]
    assert report.notes[0] == "one: not done: RuntimeError: CUDA error: out of luck"
    assert report.notes[1].startswith("two: ")


def test_work_apart_gives_its_result_or_says_how_it_ended() -> None:
    assert apart(math.sqrt, 4.0, seconds=60) == 2.0
    with pytest.raises(ModelError, match=r"ValueError: (math domain|expected a nonneg)"):
        apart(math.sqrt, -1.0, seconds=60)
    with pytest.raises(ModelError, match="its process died with status 3"):
        apart(os._exit, 3, seconds=60)
    with pytest.raises(ModelError, match="not over after 1 s, so it was ended"):
        apart(time.sleep, 600, seconds=1)


def test_the_page_is_written_after_each_part_and_only_some_may_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, float, str]] = []
    page = tmp_path / "gpu.md"

    def fake(work: Callable[..., Any], name: str, wishes: Any, seconds: float) -> Any:
        seen.append((name, seconds, page.read_text() if page.exists() else ""))
        if name == "parity":
            raise ModelError("its process died with status -11.")
        return [], [f"{name} says so."]

    monkeypatch.setattr(cuda_report, "wants_gpu", lambda what: CPU)
    monkeypatch.setattr(cuda_report, "apart", fake)
    ways = Ways(out=(page,), quiet=True)
    assert cuda_report.bench(part=["parity", "training"], seconds=30.0, ways=ways) == 0
    assert [name for name, _, _ in seen] == ["parity", "parity-triton", "training"]
    assert seen[2][1] == cuda_report.LIMITS["training"] + 30
    assert "died with status -11" in seen[1][2]
    assert "parity-triton says so" in seen[2][2]
    assert "training says so" in page.read_text()
    for wrong in (["stpe"], [""]):
        with pytest.raises(ModelError, match="no part begins with"):
            cuda_report.bench(part=wrong)


def test_each_part_has_its_name_and_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_report, "wants_gpu", lambda what: CPU)
    called: list[Any] = []
    for name in ("machine", "parity", "attention", "step", "training"):
        monkeypatch.setattr(cuda_report, name, lambda *given, name=name, **more: called.append((name, more)))
    monkeypatch.setattr(cuda_report, "measure_kernels", lambda *given: (None, ""))
    monkeypatch.setattr("model.cuda_clock.sweeping_clock", lambda device: None)
    for name in cuda_report.LIMITS:
        cuda_report.one_part(name, cuda_report.Wishes(None, 1.0, 1, 1024))
    assert [name for name, _ in called] == [
        "machine", "parity", "parity", "attention", "step", "step", "step", "training",
    ]  # fmt: skip
    assert called[1:3] == [("parity", {"leave": "by kernels"}), ("parity", {"only": "by kernels"})]


def test_parity_finds_every_form_near_and_a_broken_one_far(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"num_layers": 2, "model_dim": 32, "num_heads": 4, "num_kv_heads": 2, "vocab_size": 48}
    monkeypatch.setattr(
        cuda_report, "SMALL", small | {"train_seq_len": 16, "train_batch_tokens": 64, "micro_batches": 1}
    )
    every = cuda_report.forms

    class Broken(PlainOps):
        @staticmethod
        def square_back(d_squared: torch.Tensor, h: torch.Tensor, slope: float) -> torch.Tensor:
            return PlainOps.square_back(d_squared, h, slope) / 2

    def chosen(config: RunConfig) -> dict[str, Callable[[], Any]]:
        from model.cuda_gpt import CudaGPT

        found = {name: make for name, make in every(config).items() if "compiled" not in name}
        return found | {"broken": lambda: CudaGPT(config, Broken())}

    monkeypatch.setattr(cuda_report, "forms", chosen)
    (table,), _ = cuda_report.parity(CPU)
    rows = {row["form"]: row for row in table.rows}
    assert set(rows) >= {"ordinary", "by plain passes", "broken"}
    assert rows["ordinary"]["mean"] < 0.05
    assert rows["by plain passes"]["mean"] < 0.05
    assert rows["by plain passes"]["later"] < 0.1 < rows["by plain passes"]["fell"]
    assert rows["broken"]["mean"] > 3 * rows["by plain passes"]["mean"]


def test_attention_and_step_make_their_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    import model.bench as bench
    from model.bench import PARTS

    tables, said = cuda_report.attention(CPU, TINY, Fixed())
    assert said[0].startswith("Chosen: ")
    assert {row["name"] for row in tables[0].rows} >= {"sdpa", "flash", "cudnn", "fa3"}

    def compare(
        config: RunConfig, device: torch.device, dtype: torch.dtype, steps: int, against: str
    ) -> dict[str, Any]:
        if config.kernels != "off":
            raise ModelError("no kernels here.")
        pair = {"ours": 0.001, "baseline": 0.002}
        return {
            "seconds": {name: dict.fromkeys(PARTS, size) for name, size in pair.items()},
            "ratio": dict.fromkeys(PARTS, 2.0),
            "utilisation": {"ours": 0.2, "baseline": 0.1},
            "matmul_ceiling_gflops": {"ours": 700_000.0, "baseline": 700_000.0},
            "step_gflop": bench.step_flops(config) / 1e9,
        }

    monkeypatch.setattr(bench, "compare", compare)
    (table,), notes = cuda_report.step(CPU, TINY, 2, Fixed())
    assert [(row["kernels"], row["ratio"]) for row in table.rows] == [("off", 2.0)] * len(PARTS)
    assert notes[0].startswith("kernels off: 0.50 ms a step without a pause")
    assert notes[1].startswith("kernels off: 20.0% of the fastest matrix product")
    assert notes[2].startswith("kernels compiled: 0.50 ms a step")  # what was measured before the failure stays
    assert notes[3] == "kernels compiled: not done: ModelError: no kernels here."
    assert notes[5] == "kernels triton: not done: ModelError: no kernels here."


def test_the_machine_says_which_epsilon_its_norm_adds() -> None:
    _, said = cuda_report.machine(CPU)
    assert "torch" in said[0]
    assert "float32's epsilon" in said[1]  # what the kernels add; measured on one row of small numbers


def test_the_published_attention_is_flash_and_nothing_else() -> None:
    import contextlib

    from model.bench import by_flash_attention

    entered: list[int] = []

    @contextlib.contextmanager
    def inner() -> Any:
        entered.append(1)
        yield

    enabled = torch.backends.cuda
    before = enabled.math_sdp_enabled(), enabled.flash_sdp_enabled()
    with by_flash_attention(inner)():
        assert (enabled.math_sdp_enabled(), enabled.flash_sdp_enabled()) == (False, True)
    assert (enabled.math_sdp_enabled(), enabled.flash_sdp_enabled()) == before
    assert entered == [1]


def test_no_shards_no_training() -> None:
    assert cuda_report.training(None, 60.0) == ([], ["No training: give --shards and --seconds."])


def test_a_gpu_s_step_of_the_baseline_is_8_6_teraflop() -> None:
    from model.bench import step_flops

    each = replace(RunConfig(), train_batch_tokens=65_536, micro_batches=1)
    assert step_flops(each) / 1e12 == pytest.approx(8.56, rel=1e-3)
    assert step_flops(each) / 989e12 == pytest.approx(8.65e-3, rel=2e-3)  # an H100's limit, seconds
    assert step_flops(each) / 790e12 == pytest.approx(10.8e-3, rel=5e-3)  # at what an H200 was seen to multiply
