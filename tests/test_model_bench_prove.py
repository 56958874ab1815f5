"""The proof's bench: its arithmetic, its sentences, and a whole run on a tiny model."""

import json
from pathlib import Path

import pytest

import pglab
from model import bench_prove
from model.errors import ModelError
from pglab_report import Ways, show
from tests.proof_makers import tiny_tour

KEYS = {"path", "verb", "tokens_per_second", "share_scorer", "share_pipe", "share_prover", "wall_seconds", "peak_bytes"}


def test_shares_are_of_all_processes_together() -> None:
    one = {"targets": 100, "cpu": {"scorer": 3.0, "pipe": 0.5, "prover": 1.5}, "wall": 4.0, "peak_bytes": 7}
    row = bench_prove.pace(one)
    assert row["tokens_per_second"] == 20
    assert (row["share_scorer"], row["share_pipe"], row["share_prover"]) == (0.6, 0.1, 0.3)


def test_without_a_run_the_next_command_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pglab.run(["bench", "prove", "--run", str(tmp_path)]) == 2
    assert "Try: pglab tour" in capsys.readouterr().err
    with pytest.raises(ModelError, match="want at least 1"):
        bench_prove.bench(run=tmp_path, rows=0)


def test_a_command_that_cannot_run_says_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"`prove info` ended with status 2: 'error: .*absent"):
        bench_prove.timed(["info", str(tmp_path / "absent.pgp")], tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the bench reads of a tour: documents, shards, an untrained artifact with its settings."""
    return tiny_tour(tmp_path_factory.mktemp("tour"))


@pytest.mark.slow
def test_the_whole_bench_on_a_tiny_model(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench_prove.bench(run=run, documents=1, rows=4, windows=2, ways=Ways(json=True))
    found = json.loads(capsys.readouterr().out)
    assert [(row["path"], row["verb"]) for row in found["rows"]] == [
        ("kv", "write"),
        ("kv", "check"),
        ("replay", "write"),
    ]
    for row in found["rows"]:
        assert row.keys() == KEYS
        assert row["share_scorer"] + row["share_pipe"] + row["share_prover"] == pytest.approx(1)
        assert row["tokens_per_second"] > 0
    assert found["sizes"][0]["bytes"] > 500
    assert {"zlib-9", "lzma-9"} <= {row["coder"] for row in found["sizes"]}
    assert abs(found["overhead"]["precision"]) < 1e-3
    assert "windows taken by steps, all equal" in found["notes"][0]
    show(bench_prove.prove_report(found), Ways())
    assert "tokens a CPU second" in capsys.readouterr().out
