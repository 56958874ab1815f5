"""`pglab runs prune`: what is old or unreferenced goes; what is needed, locked or running stays."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

import pglab
from pglab_lock import held
from pglab_report_machine import document
from records.runs.errors import RunError
from records.runs.prune import age_of, prune
from tests import test_records_runs as runs
from tests.test_records_runs import RECIPE, SMALL, Lab

lab = runs.lab  # the fixture


def stages(lab: Lab) -> set[str]:
    return {place.name for place in (lab.store / "stages").iterdir() if not place.name.startswith(".")}


def age(lab: Lab, days: float) -> Path:
    """Make the only experiment so old; its folder."""
    file = next(lab.store.glob("two-*/run.json"))
    said = json.loads(file.read_text())
    said["ended"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - days * 86_400))
    file.write_text(json.dumps(said))
    return file.parent


def test_a_stage_that_nobody_needs_goes_and_the_rest_stays(lab: Lab) -> None:
    lab.recipe.write_text(SMALL)
    lab.run()
    needed = stages(lab)
    stray = lab.store / "stages/train-0123456789abcdef"
    stray.mkdir()
    (stray / "weights").write_bytes(b"w" * 1000)
    (lab.store / "stages/notes of mine").mkdir()  # not a name that a stage has
    told = document(prune(lab.store, dry=True))
    assert told["bytes"] == 1000
    assert stray.is_dir()
    told = document(prune(lab.store))
    assert (told["stages"], told["experiments"], told["bytes"]) == (1, 0, 1000)
    assert stages(lab) == needed | {"notes of mine"}
    lab.calls()
    lab.run()
    assert not lab.calls()


def test_an_old_experiment_goes_with_what_only_it_needs(lab: Lab) -> None:
    lab.recipe.write_text(SMALL)
    lab.run()
    old, shared = age(lab, 40), stages(lab)
    lab.recipe.write_text(SMALL.replace("seconds = 2", "seconds = 3"))
    lab.run()
    assert document(prune(lab.store, age_of("50d")))["experiments"] == 0
    assert document(prune(lab.store, age_of("30d"), keep=2))["experiments"] == 0  # both must say so
    told = document(prune(lab.store, age_of("30d"), keep=1))
    assert (told["experiments"], told["stages"]) == (
        1,
        2,
    )  # training and codec; the rest is shared
    assert not old.exists()
    assert len(shared & stages(lab)) == len(shared) - 2
    assert "1 experiments stay" in told["sentences"][0]
    assert document(prune(lab.store, keep=0))["experiments"] == 1
    assert not stages(lab)


def test_a_stage_that_a_command_holds_stays(lab: Lab) -> None:
    stray = lab.store / "stages/train-0123456789abcdef"
    stray.mkdir(parents=True)
    with held(stray.parent / f".{stray.name}.lock", lambda: None):
        told = document(prune(lab.store))
    assert stray.is_dir()
    assert told["stages"] == 0
    assert "at work" in told["tables"]["folders"]["rows"][0]["what"]
    assert document(prune(lab.store))["stages"] == 1
    assert not list(stray.parent.iterdir())  # its lock file, too


def test_what_runs_is_not_pruned_and_a_run_waits_for_the_pruning(lab: Lab) -> None:
    child = runs.outside(lab)
    try:
        assert document(prune(lab.store, keep=0))["experiments"] == 0
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(30)
    assert document(prune(lab.store, keep=0))["experiments"] == 1  # it says `running` still, and nobody holds it
    lab.mood("")
    waits, done = threading.Event(), threading.Event()
    recipe = lab.recipe

    def run() -> None:
        from records.runs.experiment import run_experiment

        run_experiment(recipe, lab.store, 1, lambda line: waits.set() if "waiting" in line else None, quiet=True)
        done.set()

    with held(lab.store / ".store.lock", lambda: None):
        thread = threading.Thread(target=run)
        thread.start()
        assert waits.wait(20)
        assert not list(lab.store.glob("two-*"))
    thread.join(30)
    assert done.is_set()


def test_a_damaged_experiment_stops_the_pruning(lab: Lab) -> None:
    lab.recipe.write_text(SMALL)
    lab.run()
    before = stages(lab)
    for text in ("{", "[]", '{"stages": 3}', '{"stages": [1]}'):
        next(lab.store.glob("two-*/run.json")).write_text(text)
        with pytest.raises(RunError, match="nothing was removed"):
            prune(lab.store, keep=0)
    assert stages(lab) == before


def test_two_prunings_at_once_share_the_work(lab: Lab) -> None:
    for number in range(30):
        folder = lab.store / f"stages/train-{number:016x}"
        folder.mkdir(parents=True)
        (folder / "weights").write_bytes(b"w" * 100)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(document(prune(lab.store))["stages"])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(found) == 30
    assert not stages(lab)


def test_what_a_killed_pruning_left_is_swept_and_is_no_experiment(lab: Lab) -> None:
    lab.recipe.write_text(SMALL)
    lab.run()
    old = age(lab, 40)
    for gone in (lab.store / f".gone-{old.name}", lab.store / "stages/.gone-train-0123456789abcdef"):
        gone.mkdir()
        (gone / "run.json").write_text((old / "run.json").read_text())
    assert document(prune(lab.store, keep=0, dry=True))["experiments"] == 1
    assert document(prune(lab.store, keep=0))["experiments"] == 1
    assert not [place for place in lab.store.rglob("*") if place.is_dir() and place.name != "stages"]


def test_an_experiment_that_is_a_link_stays(lab: Lab) -> None:
    lab.recipe.write_text(SMALL)
    lab.run()
    old = age(lab, 40)
    elsewhere = lab.home / "bigger disk"
    old.rename(elsewhere)
    old.symlink_to(elsewhere)
    before = stages(lab)
    assert document(prune(lab.store, keep=0))["experiments"] == 0
    assert (old / "run.json").is_file()
    assert stages(lab) == before  # it needs them still


def test_a_dry_run_writes_nothing(lab: Lab) -> None:
    (lab.store / "stages/train-0123456789abcdef").mkdir(parents=True)
    before = sorted(lab.store.rglob("*"))
    assert document(prune(lab.store, dry=True))["stages"] == 1
    assert sorted(lab.store.rglob("*")) == before


def test_the_command_line(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.recipe.write_text(RECIPE)
    for words, says in (
        (["--older-than", "soon"], "such as 30d"),
        (["--keep", "-1"], "wanted 0 or more"),
        (["--store", str(lab.home / "absent")], "no such folder"),
    ):
        assert pglab.run(["runs", "prune", *words]) == 2
        assert says in capsys.readouterr().err
    (lab.store / "stages/train-0123456789abcdef").mkdir(parents=True)
    assert pglab.run(["runs", "prune", "--store", str(lab.store), "--dry-run"]) == 0
    assert "0 experiments and 1 stage would go, 0 bytes; 0 experiments stay." in capsys.readouterr().out
    assert pglab.run(["runs", "prune", "--store", str(lab.store), "--older-than", "2w", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stages"] == 1
