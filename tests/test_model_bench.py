"""The bench: its arithmetic count is the published one, and it compares two steps that agree."""

import json
from dataclasses import replace

import pytest
import torch

from model import bench
from model.config import RunConfig
from model.errors import ModelError
from pglab_report import Ways


def test_a_token_of_the_baseline_costs_what_the_survey_counted() -> None:
    config = RunConfig()
    assert bench.step_flops(config) / config.train_batch_tokens == pytest.approx(130.6e6, rel=1e-3)


def test_both_sides_agree_and_all_parts_are_timed() -> None:
    shape = {"vocab_size": 64, "num_layers": 2, "model_dim": 32, "num_heads": 2, "num_kv_heads": 1}
    config = replace(RunConfig(**shape), train_seq_len=16, train_batch_tokens=64, micro_batches=1)  # type: ignore[arg-type]
    found = bench.compare(config, torch.device("cpu"), torch.float32, 3)
    assert set(found["ratio"]) == set(bench.PARTS)
    assert all(seconds > 0 for side in found["seconds"].values() for seconds in side.values())
    assert 0 < found["kept_mib"]["ours"] < found["kept_mib"]["baseline"]


def test_kept_memory_is_counted_once_a_storage() -> None:
    class Side(bench.Ours):
        def __init__(self) -> None:
            self.model = torch.nn.Linear(4, 1)  # type: ignore[assignment]

        def gradient(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            square = self.model(x).exp() * torch.ones(8, 1)  # keeps exp's result twice, the ones not at all
            square.sum().backward()
            return square

    assert bench.kept_bytes(Side(), torch.ones(8, 4), torch.ones(1)) == 2 * 8 * 4


@pytest.mark.slow
@pytest.mark.parametrize("against", ["compiled", "bfloat16", "compiled-bfloat16"])
def test_every_form_of_the_baseline_agrees(against: str) -> None:
    shape = {"vocab_size": 64, "num_layers": 2, "model_dim": 32, "num_heads": 2, "num_kv_heads": 1}
    config = replace(RunConfig(**shape), train_seq_len=16, train_batch_tokens=64, micro_batches=1)  # type: ignore[arg-type]
    assert bench.compare(config, torch.device("cpu"), torch.float32, 1, against)["ratio"]["step"] > 0


def test_sides_that_disagree_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = {"vocab_size": 64, "num_layers": 2, "model_dim": 32, "num_heads": 2, "num_kv_heads": 1}
    config = replace(RunConfig(**shape), train_seq_len=16, train_batch_tokens=64, micro_batches=1)  # type: ignore[arg-type]
    right = bench.Theirs.gradient
    monkeypatch.setattr(bench.Theirs, "gradient", lambda self, x, y: right(self, x, y) + 0.01)
    with pytest.raises(ModelError, match="apart on equal weights"):
        bench.compare(config, torch.device("cpu"), torch.float32, 1)


def test_the_command_prints_a_table_or_one_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = bench.SHAPES["tour"] | {"num_layers": 1, "model_dim": 32, "num_heads": 2, "train_batch_tokens": 128}
    monkeypatch.setitem(bench.SHAPES, "tour", small)
    bench.bench(device="cpu", steps=1)
    assert "fastest matrix product" in " ".join(capsys.readouterr().out.split())
    bench.bench(device="cpu", steps=1, ways=Ways(json=True))
    found = json.loads(capsys.readouterr().out)
    assert found["shape"] == "tour"
    assert [row["part"] for row in found["tables"]["parts"]["rows"]][:3] == list(bench.PARTS[:3])
    with pytest.raises(ModelError, match="no shape is called 'moon'"):
        bench.bench(shape="moon")
    with pytest.raises(ModelError, match="no form called 'quantum'"):
        bench.bench(against="quantum")
    with pytest.raises(ModelError, match="at least 1"):
        bench.bench(steps=0)
