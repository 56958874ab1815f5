"""Experiments: nothing is computed twice, nothing is lost, two at once do not meet, a wrong file is a sentence."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pglab
from pglab_report_text import as_text
from records.runs import precheck, store
from records.runs.errors import RunError
from records.runs.experiment import dry_run, run_experiment
from records.runs.plan import plan_of
from records.runs.recipe import read_experiment
from records.runs.store import Store
from records.runs.toml import key_lines, line_of

FAKE = Path(__file__).parent / "run_fake_lab.py"
RECIPE = """\
name = "two"
docs = "own.jsonl"
seeds = [1, 2]

[[vocabulary]]
name = "a"
kind = "bpe"
size = 300

[[vocabulary]]
name = "b"
kind = "bytes"

[[model]]
name = "tiny"
seconds = 2
set = { num_layers = 1 }

[[codec]]
recipe = "int8-row+zlib9"

[[codec]]
recipe = "int6-row+zlib9"
"""


SMALL = (
    RECIPE.replace("[1, 2]", "[1]")
    .replace('[[vocabulary]]\nname = "b"\nkind = "bytes"\n', "")
    .rsplit("[[codec]]", 1)[0]
)


class Lab:
    """A folder with an experiment, its store, and the calls that were made."""

    def __init__(self, home: Path) -> None:
        self.home, self.store = home, home / "runs"
        self.recipe = home / "two.toml"
        self.recipe.write_text(RECIPE)
        (home / "own.jsonl").write_text('{"text": "one"}\n')

    def calls(self) -> list[str]:
        """The commands since the last look, without the checks that are made beforehand."""
        place = self.home / "calls"
        lines = place.read_text().splitlines() if place.exists() else []
        place.unlink(missing_ok=True)
        return [" ".join(line.split()[:2]) for line in lines if "tiny.pgc" not in line and "no-shards" not in line]

    def run(self, jobs: int = 1):
        return run_experiment(self.recipe, self.store, jobs, lambda line: None, quiet=True)

    def mood(self, words: str) -> None:
        (self.home / "moods").write_text(words)

    def said(self) -> dict:
        return json.loads(next(self.store.glob("two-*/run.json")).read_text())


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("MOODS", str(tmp_path / "moods"))
    command = [sys.executable, "-S", "-E", str(FAKE)]
    for module in (store, precheck):
        monkeypatch.setattr(module, "lab_command", lambda words: [*command, *words])
    monkeypatch.setattr("records.runs.experiment.write_report", lambda report, place: place.write_text(as_text(report)))
    return Lab(tmp_path)


def count(calls: list[str], verb: str) -> int:
    return sum(call == verb for call in calls)


def timeless(text: str) -> str:
    """Without seconds, which a second look at a stage may round otherwise."""
    return re.sub(r"\b\d+\.\d\b", "S", text)


@pytest.mark.parametrize("jobs", [1, 4])
def test_an_experiment_does_each_stage_once_and_a_second_time_nothing(lab: Lab, jobs: int) -> None:
    report = lab.run(jobs)
    calls = lab.calls()
    wanted = {"corpus write": 1, "vocab train": 2, "vocab compare": 2, "shards write": 2, "shards verify": 2,
              "model train": 4, "codec pack": 8, "model eval": 8}  # fmt: skip
    assert {verb: count(calls, verb) for verb in wanted} == wanted
    assert len(calls) == sum(wanted.values())
    assert lab.said()["status"] == "done"
    assert len(lab.said()["rows"]) == 8
    assert "0.5100 [0.5100, 0.5100]" in as_text(report)
    assert next(lab.store.glob("two-*/report.html")).stat().st_size > 1_000
    assert timeless(as_text(lab.run(jobs))) == timeless(as_text(report))
    assert lab.calls() == []


def test_a_change_costs_only_what_follows_it(lab: Lab) -> None:
    lab.recipe.write_text(SMALL)
    lab.run()
    lab.calls()
    lab.recipe.write_text(SMALL.replace('name = "tiny"', 'name = "renamed"').replace("[1]", "[2, 1]"))
    lab.run()
    assert lab.calls() == ["model train", "codec pack", "model eval"]
    (lab.home / "own.jsonl").write_text('{"text": "two"}\n')
    lab.run()
    assert count(lab.calls(), "corpus write") == 1


def test_a_lost_or_shortened_file_is_made_again_alone(lab: Lab) -> None:
    lab.recipe.write_text(SMALL)
    lab.run()
    lab.calls()
    stages = lab.store / "stages"
    next(stages.glob("vocab-train-*/spec.json")).unlink()
    next(stages.glob("train-*/final_model.pgc")).write_text("short")
    next(stages.glob("pack-*/stage.json")).write_text("{half")
    lab.run()
    assert sorted(lab.calls()) == ["codec pack", "model eval", "model train", "vocab train"]
    assert next(stages.glob("train-*/final_model.pgc")).stat().st_size == 4000


def test_other_source_is_another_key(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, _ = read_experiment(lab.recipe)
    before = {stage.name: stage.key for stage in plan_of(experiment, lab.home).stages}
    monkeypatch.setattr("records.runs.stage.code_of", lambda word: "other" if word == "codec" else "same")
    codec = {stage.name: stage.key for stage in plan_of(experiment, lab.home).stages}
    monkeypatch.setattr("records.runs.stage.code_of", lambda word: "same")
    same = {stage.name: stage.key for stage in plan_of(experiment, lab.home).stages}
    assert set(before.values()).isdisjoint(codec.values())
    assert {name for name in same if same[name] != codec[name]} == {name for name in same if name.startswith("pack")}


def test_one_failure_stops_only_what_needs_it(lab: Lab) -> None:
    lab.recipe.write_text(SMALL)
    lab.mood("codec pack fail")
    with pytest.raises(RunError, match=r"would fail: the fake was told to fail"):  # before any work
        lab.run()
    assert lab.calls() == []
    lab.mood("shards verify fail")
    with pytest.raises(
        RunError, match=r"1 of 6 stages failed(.|\n)*2 stages were not begun(.|\n)*same command"
    ) as told:
        lab.run()
    assert "the fake was told to fail" in str(told.value)
    assert lab.said()["status"] == "failed"
    assert count(lab.calls(), "vocab compare") == 1
    lab.mood("")
    lab.run()
    calls = lab.calls()
    assert (count(calls, "shards verify"), count(calls, "vocab train")) == (1, 0)


def test_a_command_that_leaves_no_file_is_named(lab: Lab) -> None:
    lab.mood("vocab train forget")
    with pytest.raises(RunError, match=r"left no token_table\.npz"):
        lab.run()


def test_two_at_once_share_the_work(lab: Lab) -> None:
    lab.recipe.write_text(SMALL)
    failed: list[BaseException] = []

    def one() -> None:
        try:
            lab.run(jobs=2)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(lab.calls()) == 8  # as many as one alone makes
    assert lab.said()["status"] == "done"


def outside(lab: Lab) -> subprocess.Popen[bytes]:
    """The experiment in a process of its own, whose training sleeps."""
    lab.recipe.write_text(SMALL)
    lab.mood("model train sleep")
    code = (
        "import sys; from records.runs import store as s, precheck as p; from pathlib import Path\n"
        f"s.lab_command = p.lab_command = lambda words: [{sys.executable!r}, '-S', '-E', {str(FAKE)!r}, *words]\n"
        "p.check_late.__globals__['lab_command'] = lambda words: ['true']\n"
        "from records.runs.experiment import run_experiment\n"
        f"run_experiment(Path({str(lab.recipe)!r}), Path({str(lab.store)!r}), 1, lambda line: None, True)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stderr=-3, start_new_session=True)
    deadline = time.monotonic() + 30
    while not list(lab.store.glob("stages/train-*/began")) and time.monotonic() < deadline:
        time.sleep(0.02)
    return child


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_a_request_to_end_lets_commands_save_and_the_next_run_goes_on(lab: Lab) -> None:
    child = outside(lab)
    child.terminate()
    assert child.wait(30) != 0
    assert list(lab.store.glob("stages/train-*/saved"))
    assert lab.said()["status"] == "stopped"
    lab.calls()
    lab.mood("")
    lab.run()
    assert count(lab.calls(), "corpus write") == 0
    assert lab.said()["status"] == "done"


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_a_killed_run_s_command_keeps_its_folder_until_it_ends(lab: Lab) -> None:
    child = outside(lab)
    child.kill()
    child.wait(30)
    folder = next(lab.store.glob("stages/train-*/began")).parent
    waited = threading.Event()
    entered = threading.Event()

    def second() -> None:
        with store.held(folder.parent / f".{folder.name}.lock", waited.set):
            entered.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert waited.wait(10)
    assert not entered.wait(0.2)  # the orphan is at work in it still
    os.killpg(child.pid, signal.SIGTERM)
    thread.join(10)
    assert entered.is_set()


def test_the_plan_says_what_is_left(lab: Lab) -> None:
    lab.recipe.write_text(SMALL)
    before = as_text(dry_run(lab.recipe, lab.store, 1))
    assert "6 of 6 stages to do, 1 results" in before
    assert "rates of two CPU cores" in before
    assert not lab.store.exists()
    lab.run()
    after = as_text(dry_run(lab.recipe, lab.store, 1))
    assert "0 of 6 stages to do" in after
    assert "to do  " not in after
    lab.recipe.write_text(SMALL.replace("size = 300", "size = 301"))
    assert "stages of its kind here" in as_text(dry_run(lab.recipe, lab.store, 2))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("size = 300", 'size = "big"', r":8: vocabulary\[1\]\.size: 'big': input should be a valid integer"),
        ("size = 300", "size = 3", r":8: vocabulary\[1\]\.size: 3: .*greater than or equal to 256"),
        ("size = 300", "sizes = 300", r":8: vocabulary\[1\]\.sizes: nothing here is called so; the nearest is size"),
        ("seconds = 2", "", r":14: model\[1\]\.seconds is missing"),
        ("seconds = 2", "seconds = -1", r":16: model\[1\]\.seconds: -1: .*greater than 0"),
        ('name = "b"', 'name = "a"', r"vocabulary: a stands there twice"),
        ('name = "b"', 'name = "../b"', r":11: vocabulary\[2\]\.name: '../b': wanted letters"),
        ('kind = "bytes"', "", r":10: vocabulary\[2\]: wanted either kind"),
        ("seeds = [1, 2]", "seeds = []", r":3: seeds: .*at least 1"),
        ("num_layers = 1", "num_layers = [1]", r":17: model\[1\]\.set"),
        (
            'docs = "own.jsonl"',
            'docs = "gone.jsonl"',
            r"gone\.jsonl: no such file; the experiment names it as its docs",
        ),
        ('name = "two"', "name = ", r"not TOML: .*line 1"),
        ('name = "two"', "", r":1: name is missing"),
        ("[[codec]]", "[codec]", r"not TOML|codec"),
    ],
)
def test_a_wrong_recipe_names_line_and_key(lab: Lab, old: str, new: str, told: str) -> None:
    assert old in RECIPE
    lab.recipe.write_text(RECIPE.replace(old, new))
    with pytest.raises(RunError, match=told):
        dry_run(lab.recipe, lab.store, 1)


def test_every_wrong_thing_is_told_at_once(lab: Lab) -> None:
    lab.recipe.write_text(RECIPE.replace("size = 300", "size = 3").replace("seconds = 2", "seconds = 0"))
    with pytest.raises(RunError) as told:
        read_experiment(lab.recipe)
    assert len(str(told.value).splitlines()) == 2


@given(st.binary(max_size=200))
def test_any_bytes_are_an_experiment_or_a_sentence(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "x.toml"
        place.write_bytes(data)
        with pytest.raises(RunError, match=r"x\.toml"):
            read_experiment(place)


def test_lines_of_keys_in_hard_toml() -> None:
    text = 'a = """\nb = 1\n"""\n# c = 2\n[t.u]\n"d e" = [\n  1,\n  2,\n]\n[[v]]\nf.g = 1\n[v.w]\nh = 1\n[[v]]\nf = 2\n'
    lines = key_lines(text)
    assert ("b",) not in lines
    assert lines[("a",)] == 1
    assert lines[("t", "u", "d e")] == 6
    assert lines[("v", 0, "f", "g")] == 11
    assert lines[("v", 0, "w", "h")] == 13
    assert lines[("v", 1, "f")] == 15
    assert line_of(lines, ("v", 1, "f", "int")) == 15


def test_the_command_line(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    store = str(lab.store)
    assert pglab.run(["run", str(lab.recipe), "--store", store, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["todo"] == 19
    assert pglab.run(["run", str(lab.recipe), "--store", store, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert pglab.run(["runs", "list", "--store", store, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["tables"]["runs"]["rows"][0]
    assert (row["status"], row["results"], row["bpb_raw"]) == ("done", 8, 0.51)
    assert pglab.run(["runs", "show", "two", "--store", store]) == 0
    assert "Vocabularies on held-out documents" in capsys.readouterr().out
    train = next(lab.store.glob("stages/train-*"))
    assert pglab.run(["runs", "compare", row["id"], str(train), "--store", store, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["tables"]["groups"]["rows"]) == 5
    assert len(found["plots"]["curves"]["series"]) == 4  # the fifth row is one of the four trainings
    assert pglab.run(["runs", "show", "absent", "--store", store]) == 2
    assert "there are two-" in capsys.readouterr().err
    assert pglab.run(["run", str(lab.recipe), "--jobs", "0"]) == 2
    assert Store(lab.store).stages.is_dir()


@pytest.mark.slow
def test_real_commands_make_an_experiment(tmp_path: Path) -> None:
    texts = [f"Document {i}: the quick brown fox, the lazy dog and {i * i} more. " * 5 for i in range(300)]
    (tmp_path / "own.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    small = RECIPE.replace("num_layers = 1", "num_layers = 1, model_dim = 32, num_heads = 2")
    (tmp_path / "x.toml").write_text(small.replace("seeds = [1, 2]", "seeds = [1]"))
    report = run_experiment(tmp_path / "x.toml", tmp_path / "runs", 2, print)
    rows = report.tables[0].rows
    assert len(rows) == 4
    assert all(0 < row["bpb_raw"] < 8.1 and row["bytes_total"] > row["bytes_model"] > 0 for row in rows)
    (tmp_path / "x.toml").write_text(small.replace("int6-row+zlib9", "int6-row+nothing"))
    with pytest.raises(RunError, match=r"would fail: .*nothing"):
        run_experiment(tmp_path / "x.toml", tmp_path / "runs", 2, print)
    (tmp_path / "x.toml").write_text(small.replace("num_layers", "num_lairs").replace("[1, 2]", "[7]"))
    with pytest.raises(RunError, match=r"would fail: .*num_lairs.*num_layers"):
        run_experiment(tmp_path / "x.toml", tmp_path / "runs", 2, print)
