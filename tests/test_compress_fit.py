"""The budget: filled from below, by what hurts least, and honest about what cannot be filled."""

import numpy as np
import pytest

from compress import fit
from compress.container_read import unpack_container
from compress.container_write import pack_tensors
from compress.errors import CodecError
from compress.fit import fit_budget
from compress.quantizers import RowInt
from compress.recipes import parse_recipe
from compress.sources import Weights
from compress.statistics import Metric, Statistics


def layered(seed: int = 0) -> Weights:
    rng = np.random.default_rng(seed)
    tensors = {f"blocks.{i}.w": (rng.standard_normal((128, 128)) * 0.05).astype(np.float32) for i in range(4)}
    return Weights("made", {**tensors, "norm": 1 + rng.standard_normal(128).astype(np.float32)}, {}, None)


def measured() -> Statistics:
    """Layers that hurt differently, rows and columns that go together."""
    rng = np.random.default_rng(5)
    mixing = [rng.normal(size=(128, 128)) * rng.lognormal(0, 1, 128) for _ in range(8)]
    metrics = {
        f"blocks.{i}.w": Metric(10.0 ** (i - 4) * mixing[i] @ mixing[i].T, mixing[4 + i] @ mixing[4 + i].T)
        for i in range(4)
    }
    return Statistics("", 1, {**metrics, "norm": Metric(np.ones(128), np.ones((1, 1)))})


@pytest.mark.parametrize("states", [0, 8])
def test_fit_fills_the_budget_from_below(states: int) -> None:
    data, answer = fit_budget(layered(), 48_000, 1_000, states=states, coder="zlib9")
    assert answer["total"] == len(data) + 1_000 + answer["decoder"]
    assert 0.999 * 48_000 <= answer["total"] <= 48_000
    assert sum(row["bytes"] for row in answer["rows"]) == pytest.approx(len(data), rel=0.01)
    assert sum(row["hurt"] for row in answer["rows"]) == pytest.approx(1.0)


def test_fit_with_statistics_hurts_less_at_the_same_bytes() -> None:
    weights, statistics = layered(), measured()
    data, answer = fit_budget(weights, 48_000, 1_000, statistics, coder="zlib9")
    blind, _ = fit_budget(weights, 48_000, 1_000, coder="zlib9")
    assert 0.999 * 48_000 <= answer["total"] <= 48_000
    assert answer["recipe"].startswith("water-")
    back = {n: v for n, v, _ in unpack_container(data)}
    nats = sum(statistics.nats(weights.tensors, back).values())
    assert nats == pytest.approx(answer["predicted_nats"])
    other = {n: v for n, v, _ in unpack_container(blind)}
    assert nats < 0.2 * sum(statistics.nats(weights.tensors, other).values())
    assert data == fit_budget(weights, 48_000, 1_000, statistics, coder="zlib9")[0], (
        "the same weights must make the same file"
    )


def test_fit_says_when_nothing_fits() -> None:
    with pytest.raises(CodecError, match="raise the budget"):
        fit_budget(layered(), 2_000, 0, coder="zlib9")


def test_fit_loses_nothing_where_everything_fits() -> None:
    weights = layered()
    data, answer = fit_budget(weights, 16_000_000, 0, coder="zlib9")
    assert answer["mse"] == 0
    assert answer["says"] == "no step is needed"
    back = {n: v for n, v, _ in unpack_container(data)}
    assert all(np.array_equal(back[n], v) for n, v in weights.tensors.items())


def test_fit_says_when_steps_cannot_be_finer() -> None:
    _, answer = fit_budget(layered(), 105_000, 0, coder="zlib9")
    assert answer["total"] < 0.999 * 105_000
    assert "finer steps" in answer["says"]
    assert answer["mse"] < 1e-4


def test_fit_fills_what_one_step_jumps_over(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    grid = np.rint(rng.standard_normal((4, 128, 128))) * np.float32(1 / 127)
    weights = Weights("made", {f"blocks.{i}.w": grid[i].astype(np.float32) for i in range(4)}, {}, None)
    data, answer = fit_budget(weights, 18_000, 0, coder="zlib9")
    assert 0.99 * 18_000 <= answer["total"] <= 18_000  # 512 rows, so by about a row's bytes
    assert data == pack_tensors(weights.tensors, parse_recipe(answer["recipe"])), (
        "the recipe's name makes the same file"
    )
    monkeypatch.setattr(fit, "FILLS", 0)
    _, jumped = fit_budget(weights, 18_000, 0, coder="zlib9")
    assert jumped["total"] < 0.8 * 18_000
    assert answer["mse"] < 0.6 * jumped["mse"]


def test_fit_keeps_the_integers_of_a_quantised_file_where_they_fit() -> None:
    plain = layered()
    parts = [RowInt(6).encode(name, values, "float32") for name, values in plain.tensors.items()]
    quantised = Weights("made", {p.name: p.restore() for p in parts}, {}, parts)
    data, answer = fit_budget(quantised, 62_000, 0, coder="zlib9")
    assert answer["mse"] == 0
    assert answer["recipe"] == "same+zlib9"
    assert all(np.array_equal(v, quantised.tensors[n]) for n, v, _ in unpack_container(data))
    _, less = fit_budget(quantised, 30_000, 0, coder="zlib9")
    assert less["mse"] > 0
    assert less["total"] <= 30_000


def test_fit_refuses_what_is_not_finite_and_a_budget_that_code_fills() -> None:
    weights = layered()
    with pytest.raises(CodecError, match="leave -"):
        fit_budget(weights, 5_000, 5_000, coder="zlib9")
    with pytest.raises(CodecError, match="code takes 0 bytes or more"):
        fit_budget(weights, 48_000, -1, coder="zlib9")
    with pytest.raises(CodecError, match="no trellis of -8 states"):
        fit_budget(weights, 48_000, 0, measured(), states=-8, coder="zlib9")
    weights.tensors["norm"][3] = np.inf
    with pytest.raises(CodecError, match="norm holds NaN"):
        fit_budget(weights, 48_000, 0, coder="zlib9")
