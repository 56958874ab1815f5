"""`pglab bench switches`: pairs of equal seeds, what is done is kept, bad words are sentences before any work."""

import json
from pathlib import Path

import pytest

import pglab
from model import bench_switches
from model.bench_switches import Work, compared, key_of, settings
from model.errors import ModelError
from tests.model_makers import tiny_config, write_tiny_shards

WORDS = ["bench", "switches", "--recipe", "tiny.toml", "--steps", "3", "--seeds", "2", "--targets", "64"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_tiny_shards(tmp_path / "shards")
    shape = {"num_layers": 2, "model_dim": 16, "num_heads": 2, "num_kv_heads": 1, "vocab_size": 40}
    lines = [
        f"{key} = {value}"
        for key, value in {**shape, "train_seq_len": 8, "train_batch_tokens": 16, "micro_batches": 1}.items()
    ]
    (tmp_path / "tiny.toml").write_text("\n".join([*lines, 'precision = "float32"', 'codec = "int4-row+zlib9"']))
    monkeypatch.setattr(bench_switches, "SHAPE", {})
    monkeypatch.setattr(bench_switches, "TURNS", 1)
    return tmp_path


def test_changes_are_set_against_the_base_seed_by_seed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*WORDS, "--shards", "shards", "--work", "work.jsonl", "--change", "matrix_lr=0.04", "--change"]
    words += ["exclusive_last=2 matrix_lr=0.01", "--json"]
    assert pglab.run(words) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    same, other = rows
    assert (same["apart"], same["error"], same["each"]) == (0.0, 0.0, "+0.0000  +0.0000")  # 0.04 is what the base has
    assert other["apart"] != 0.0
    assert other["ratio"] > 0
    done = (place / "work.jsonl").read_bytes()
    assert len(done.splitlines()) == 2 + 2 + 2  # the base's are those of the first change; two ratios
    assert pglab.run(words) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == rows
    assert (place / "work.jsonl").read_bytes() == done
    assert pglab.run(words[:-1]) == 0
    assert "The base scores" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--change", "matrix_rl=1"], "the nearest is 'matrix_lr'"),
        (["--change", "matrix_lr"], "wanted KEY=VALUE"),
        (["--change", ""], "wanted KEY=VALUE"),
        (["--seeds", "0"], "want at least 1"),
        (["--work", "tiny.toml"], "is no result; give another file"),
        (["--shards", "nowhere", "--change", "matrix_lr=1"], "no such folder of shards"),
    ],
)
def test_bad_words_are_one_sentence(
    place: Path, more: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pglab.run([*WORDS[:4], *([] if "--shards" in more else ["--shards", "shards"]), *more]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == 1


def test_one_seed_has_no_standard_error() -> None:
    base, changed = ([{"bpb": b, "bpb_file": b + 0.01, "bytes": 5}] for b in (1.5, 1.25))
    assert compared(base, changed) | {"gap": 0} == {
        "apart": -0.25, "error": None, "each": "-0.2500", "gap": 0, "bytes": 5
    }  # fmt: skip
    pairs = compared(
        [{"bpb": 1.0, "bpb_file": 1.0, "bytes": 4}] * 3,
        [{"bpb": b, "bpb_file": b, "bytes": 6} for b in (1.0, 1.25, 1.5)],
    )
    assert pairs["apart"] == 0.25
    assert pairs["error"] == pytest.approx(0.25 / 3**0.5)


def test_a_result_is_of_its_settings_not_of_a_place() -> None:
    keys = [key_of("trained", tiny_config(Path(p), seed=s), 64) for p, s in (("a", 1), ("b", 1), ("a", 2))]
    assert keys[0] == keys[1] != keys[2]
    assert settings("a=1, b=x=y") == {"a": "1", "b": "x=y"}
    with pytest.raises(ModelError, match="KEY=VALUE"):
        settings("=3")
    assert "x" not in Work(None)
