"""The list of runs and their statistics: an index that may be lost at any time, and intervals known by hand."""

import json
import os
import sqlite3
import threading
from pathlib import Path

import pytest

import pglab
from records.runs.errors import RunError
from records.runs.index import list_runs
from records.runs.report import sentence
from records.runs.results import difference, groups, interval
from records.runs.watch import log_of


def experiment(root: Path, name: str, scores: list[float]) -> Path:
    rows = [{"vocabulary": "a", "model": "m", "codec": "c", "seed": n, "bpb_raw": score, "bpb_table": score,
             "val_loss": 1.0, "bytes_model": 10, "bytes_code": 5, "bytes_total": 15, "parameters": 3, "steps": 4,
             "seconds": 5.0, "folder": f"stages/train-{n}"} for n, score in enumerate(scores)]  # fmt: skip
    said = {"schema": 1, "id": name, "name": name, "status": "done", "begun": "2026-01-01T00:00:00Z", "rows": rows,
            "stages": [], "vocabularies": []}  # fmt: skip
    (root / name).mkdir(parents=True)
    (root / name / "run.json").write_text(json.dumps(said))
    return root / name


def training(root: Path, name: str) -> Path:
    place = root / name
    place.mkdir(parents=True)
    (place / "train.log").write_text("step:9/9 val_loss:0.6931 val_bpb:0.5000 train_time:90ms step_avg:10ms\n")
    (place / "config.json").write_text("{}")
    (place / "score.json").write_text('{"bpb_raw": 0.5, "bpb_table": 0.5, "val_loss": 0.7}')
    return place


def test_the_index_follows_the_files(tmp_path: Path) -> None:
    experiment(tmp_path, "one", [1.5, 1.4])
    training(tmp_path, "deep/train")
    training(tmp_path, "stages/train-0")  # a stage of an experiment is no run of its own
    rows = {row["id"]: row for row in list_runs(tmp_path)}
    assert set(rows) == {"one", "deep/train"}
    assert rows["one"]["bpb_raw"] == 1.4
    assert rows["deep/train"]["status"] == "done"
    (tmp_path / "deep/train/score.json").unlink()
    assert {row["status"] for row in list_runs(tmp_path)} == {"done", "unfinished"}
    (tmp_path / "one/run.json").write_text("{half")
    assert {row["status"] for row in list_runs(tmp_path)} == {"damaged", "unfinished"}
    (tmp_path / "one/run.json").unlink()
    assert [row["id"] for row in list_runs(tmp_path)] == ["deep/train"]


def test_a_lost_or_damaged_index_is_made_anew(tmp_path: Path) -> None:
    experiment(tmp_path, "one", [1.5])
    before = list_runs(tmp_path)
    for damage in (b"", b"no database at all" * 100, None):
        if damage is None:
            (tmp_path / "index.sqlite").unlink()
        else:
            (tmp_path / "index.sqlite").write_bytes(damage)
        assert list_runs(tmp_path) == before
    assert sqlite3.connect(tmp_path / "index.sqlite").execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_many_may_look_at_once(tmp_path: Path) -> None:
    for number in range(20):
        experiment(tmp_path, f"run{number}", [1.0 + number])
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(list_runs(tmp_path)))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [20] * 6


def test_no_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such folder of runs"):
        list_runs(tmp_path / "absent")


def test_intervals_known_by_hand() -> None:
    told = interval([1.0, 2.0, 3.0])  # t(0.975, 2) = 4.302653; s / sqrt 3 = 0.577350
    assert (told.mean, told.n) == (2.0, 3)
    assert told.high == pytest.approx(2 + 4.302653 * 0.577350, abs=1e-5)
    assert (interval([1.5]).low, interval([1.5]).mean) == (None, 1.5)
    assert interval([2.0, 2.0]).high == 2.0


def test_codecs_on_the_same_weights_are_compared_in_pairs() -> None:
    one = {"a": 1.0, "b": 2.0, "c": 3.0}
    other = {folder: score + 0.1 for folder, score in one.items()}
    paired = difference(other, one)
    assert paired is not None
    assert paired.low == pytest.approx(0.1)
    welch = difference({f"{folder}'": score for folder, score in other.items()}, one)
    assert welch is not None
    assert welch.low is not None
    assert welch.low < -2
    assert difference({"a": 1.0}, {"b": 2.0}) is None


def test_the_sentence_says_whether_seeds_explain_it(tmp_path: Path) -> None:
    def rows(model: str, scores: list[float]) -> list[dict]:
        sizes = {"bytes_model": 1, "bytes_code": 1, "bytes_total": 2, "steps": 1, "seconds": 1.0, "parameters": 1}
        return [{"vocabulary": "v", "model": model, "codec": "c", "seed": n, "bpb_raw": s, "bpb_table": s,
                 "folder": f"{model}{n}", **sizes} for n, s in enumerate(scores)]  # fmt: skip

    assert "no more than seeds could explain" in sentence(groups(rows("x", [1.0, 1.2]) + rows("y", [1.1, 1.3])))
    assert "more than seeds explain" in sentence(groups(rows("x", [1.0, 1.001]) + rows("y", [1.1, 1.101])))
    assert "nobody knows" in sentence(groups(rows("x", [1.0]) + rows("y", [1.1])))


def test_runs_are_chosen_by_the_beginning_of_their_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    experiment(tmp_path, "one-1", [1.5, 1.4])
    experiment(tmp_path, "one-2", [1.6, 1.7])
    store = ["--store", str(tmp_path)]
    assert pglab.run(["runs", "show", "one", *store]) == 2
    assert "is the beginning of one-1, one-2" in capsys.readouterr().err.replace("one-2, one-1", "one-1, one-2")
    assert pglab.run(["runs", "compare", "one-1", "one-2", *store, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["tables"]["groups"]["rows"]
    assert [row["run"] for row in rows] == ["one-1", "one-2"]
    assert pglab.run(["runs", "compare", *store]) == 2
    (tmp_path / "one-1/run.json").write_text("[]")
    assert pglab.run(["runs", "show", "one-1", *store]) == 2
    assert "damaged" in capsys.readouterr().err


def test_rows_that_are_none_and_a_name_that_is_no_text_are_listed(tmp_path: Path) -> None:
    for name in (b"a", b"\xff"):
        place = tmp_path / os.fsdecode(name)
        place.mkdir()
        odd = {"rows": [{"bpb_raw": "x", "bytes_total": 3}, {"bpb_raw": 1.5}, 7], "stages": [1]}
        (place / "run.json").write_text(json.dumps(odd))
    assert {(row["bpb_raw"], row["bytes_total"]) for row in list_runs(tmp_path)} == {(1.5, 3)}
    with pytest.raises(RunError, match=r"no train.log there yet"):
        log_of(tmp_path / "a")
