"""What errors cost, measured on a tiny model, against changing the weights and looking."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import pglab
from compress.container import write_container
from compress.errors import CodecError
from compress.statistics import read_statistics, write_statistics
from model.bench_lossy import bytes_at, lower_hull
from model.calibrate import calibrate
from model.divergence import Yardstick
from model.errors import ModelError
from model.export import weights_out
from model.gpt import GPT
from tests.model_makers import some_tokens, tiny_config, write_tiny_shards


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with shards and the container of a model that has learnt a little."""
    home = tmp_path_factory.mktemp("calibrate")
    shards = write_tiny_shards(home / "shards")
    torch.manual_seed(0)
    model = GPT(tiny_config(shards))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    text = torch.tensor(some_tokens(801, 5))
    for _ in range(30):
        optimiser.zero_grad()
        model(text[:-1].view(-1, 8), text[1:].view(-1, 8)).backward()
        optimiser.step()
    write_container(home / "model.pgc", weights_out(model)[0], "exact+zlib9")
    return home


def test_prediction_meets_what_happens(trained: Path) -> None:
    statistics = calibrate(trained / "model.pgc", trained / "shards", 1200, 8)
    yardstick = Yardstick(trained / "model.pgc", trained / "shards", length=8)
    rng, others, predicted = np.random.default_rng(1), [], []
    for _ in range(8):
        noisy = {n: v + (rng.normal(size=v.shape) * 0.02).astype(np.float32) for n, v in yardstick.arrays.items()}
        others.append(noisy)
        predicted.append(sum(statistics.nats(yardstick.arrays, noisy).values()))
    _, found = yardstick.measure(others)
    measured = np.mean([row["kl"] for row in found]) * np.log(2)
    assert 0.5 < measured / np.mean(predicted) < 2.0


def test_statistics_cover_every_tensor_and_repeat(trained: Path) -> None:
    found = [calibrate(trained / "model.pgc", trained / "shards", 200, 8) for _ in range(2)]
    arrays = Yardstick(trained / "model.pgc", trained / "shards", length=8).arrays
    assert set(found[0].metrics) == set(arrays)
    for name, metric in found[0].metrics.items():
        assert metric.rows.shape[0] * metric.columns.shape[0] == arrays[name].size
        assert all(np.array_equal(a, b) for a, b in zip(metric, found[1].metrics[name], strict=True))
    assert found[0].metrics["blocks.0.mlp.fc.weight"].rows.ndim == 2
    assert found[0].metrics["tok_emb.weight"].rows.ndim == 1


def test_a_model_does_not_differ_from_itself(trained: Path) -> None:
    yardstick = Yardstick(trained / "model.pgc", trained / "shards", length=8)
    first, (again,) = yardstick.measure([yardstick.arrays])
    assert abs(again["kl"]) < 1e-9
    assert again["bpb_raw"] == first["bpb_raw"]


def test_commands(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, stats, shards = trained / "model.pgc", trained / "stats.npz", trained / "shards"
    line = ["model", "calibrate", str(model), "--shards", str(shards), "--out", str(stats), "--length", "8"]
    assert pglab.run([*line, "--tokens", "200"]) == 0
    read_statistics(stats, Yardstick(model, shards, length=8).arrays)
    line = ["codec", "pack", str(model), str(trained / "small.pgc"), "--recipe", "water-0.02+zlib9"]
    assert pglab.run([*line, "--calibration", str(stats)]) == 0
    capsys.readouterr()
    line = ["model", "compare", str(model), str(trained / "small.pgc"), "--shards", str(shards), "--length", "8"]
    assert pglab.run([*line, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    rows = rows["rows"] if isinstance(rows, dict) else rows
    assert rows[0]["kl"] == 0 < rows[1]["kl"] < 0.5


def test_wrong_input_is_a_sentence(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="hold no"):
        calibrate(trained / "model.pgc", trained / "shards", 100, 5000)
    write_statistics(tmp_path / "s.npz", calibrate(trained / "model.pgc", trained / "shards", 80, 8))
    with pytest.raises(CodecError, match="other weights"):
        read_statistics(tmp_path / "s.npz", {"tok_emb.weight": np.zeros((40, 16), np.float32)})


def test_bytes_between_points() -> None:
    points = [{"kl": 0.1, "bytes": 100, "decoder": 0}, {"kl": 0.001, "bytes": 300, "decoder": 0}]
    assert bytes_at(points, "kl", 0.01) == pytest.approx(200)
    assert bytes_at(points, "kl", 0.2) is None
    worse = {"kl": 0.2, "bytes": 150, "decoder": 0}
    assert lower_hull([*points, worse], "kl") == points
