"""The tour's own work: what is done is not done again, what follows a fresh command is, every failure is a sentence.

The stations themselves are the rooms' commands; here they are replaced by quick ones. The whole tour is the slow test.
"""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

import pglab_tour
import pglab_tour_tables as tables
from pglab_tour import Command, Ledger, Station, TourError, alone_in, command, tour


def two_stations(first: str = "--version", second: str = "--version") -> list[Station]:
    def one(_: Path) -> Iterator[Command]:
        yield command(first, keeps="one.json")

    def two(run: Path) -> Iterator[Command]:
        assert (run / "one.json").read_text()  # a later station reads what an earlier one wrote
        yield command(second, keeps="two.json")

    return [
        Station("one", "First.", one, lambda run, console: "One is there."),
        Station("two", "Second.", two, lambda run, console: "Two is there."),
    ]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(pglab_tour, "stations", lambda *_: two_stations())
    return tmp_path / "run"


def ran(capfd: pytest.CaptureFixture[str]) -> int:
    """How many commands were run, not skipped, according to what the tour said."""
    err = capfd.readouterr().err
    return err.count("$ pglab") - err.count("done before")


def test_a_second_tour_does_nothing_again(quick: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert tour(out=quick) == 0
    assert ran(capfd) == 2
    assert tour(out=quick) == 0
    assert ran(capfd) == 0
    told = json.loads((quick / "commands.json").read_text())
    assert [row["command"] for row in told] == ["pglab --version > one.json", "pglab --version > two.json"]
    assert told[1]["says"] == "Two is there."
    capfd.readouterr()
    assert tour(out=quick, json=True) == 0
    assert json.loads(capfd.readouterr().out) == told


@pytest.mark.parametrize(("spoilt", "again"), [("one.json", 2), ("two.json", 1)])
def test_a_lost_or_changed_file_is_made_again_with_all_that_follows(
    spoilt: str, again: int, quick: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tour(out=quick)
    capfd.readouterr()
    (quick / spoilt).unlink()
    assert tour(out=quick) == 0
    assert ran(capfd) == again
    (quick / spoilt).write_text("{}  ")
    assert tour(out=quick) == 0
    assert ran(capfd) == again


def test_a_spoilt_ledger_only_costs_time(quick: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tour(out=quick)
    capfd.readouterr()
    (quick / "done.json").write_text('{"half')
    assert tour(out=quick) == 0
    assert ran(capfd) == 2


def test_a_failing_command_ends_the_tour_with_a_sentence_and_keeps_what_is_done(
    quick: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pglab_tour, "stations", lambda *_: two_stations(second="doctor --no-such-flag"))
    with pytest.raises(TourError, match=r"`pglab doctor --no-such-flag > two.json` ended with exit status 2"):
        tour(out=quick)
    assert not (quick / "two.json").exists()
    assert len(Ledger(quick).rows) == 1
    monkeypatch.setattr(pglab_tour, "stations", lambda *_: two_stations())
    capfd.readouterr()
    assert tour(out=quick) == 0
    assert ran(capfd) == 1


def test_findings_do_not_stop_the_tour_but_are_its_exit_status(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = pglab_tour.run_and_let_leave
    monkeypatch.setattr(pglab_tour, "run_and_let_leave", lambda *given: real(*given) or 1)
    assert tour(out=quick) == 1
    assert tour(out=quick) == 1  # remembered


@pytest.mark.parametrize("status", pglab_tour.STOPPED)
def test_a_stopped_command_is_told_from_a_broken_one(status: int, quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pglab_tour, "run_and_let_leave", lambda *_: status)
    with pytest.raises(TourError, match=r"was stopped\. .* continues"):
        tour(out=quick)


def test_a_command_that_leaves_no_file_is_a_fault_that_is_named(tmp_path: Path) -> None:
    made = Command(("doctor",), ("never.bin",))
    with pytest.raises(TourError, match=r"left no never\.bin"):
        pglab_tour.run_command(made, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_an_interrupted_command_may_save_its_work(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "def save(*_): time.sleep(0.6); open('saved', 'w').close(); sys.exit(0)\n"
        "signal.signal(signal.SIGINT, save); open('ready', 'w').close(); time.sleep(60)"
    )
    tour_code = (
        "import sys; from pathlib import Path; from pglab_tour import run_and_let_leave as run\n"
        f"run([sys.executable, '-c', {code!r}], Path('.'), None)"
    )
    tour_run = subprocess.Popen([sys.executable, "-c", tour_code], cwd=tmp_path, start_new_session=True, stderr=-3)
    deadline = time.monotonic() + 30
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(tour_run.pid, signal.SIGINT)  # as a terminal does it: everybody in the group
    assert tour_run.wait(30) != 0
    assert (tmp_path / "saved").exists()


def test_two_tours_do_not_share_a_folder(tmp_path: Path) -> None:
    code = f"from pathlib import Path\nfrom pglab_tour import alone_in\nwith alone_in(Path({str(tmp_path)!r})): pass"
    with alone_in(tmp_path):
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "another tour is at work" in other.stderr
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_bad_arguments_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(TourError, match="no such file"):
        tour(out=tmp_path / "x", docs=tmp_path / "absent.jsonl")
    with pytest.raises(TourError, match="at least 1"):
        tour(out=tmp_path / "x", seconds=0)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("size", "sample"), [(600_000, ""), (1_000_001, " --sample 13"), (10**12, " --sample 1")])
def test_a_large_validation_text_is_proved_by_a_sample(size: int, sample: str, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    told = {"validation_documents": 14, "validation_bytes": size}
    (tmp_path / "corpus/corpus.json").write_text(json.dumps(told))
    (station,) = (s for s in pglab_tour.stations("", 1, 1) if s.name == "proof")
    write, check = (str(made) for made in station.commands(tmp_path))
    assert f"--out proof.pgp{sample} --json" in write
    given = "--vocab shards --docs corpus/docs.jsonl"
    assert check == f"pglab prove check proof.pgp train/final_model.pgc {given} --json > proof.json"


def test_the_proofs_sentence_says_what_came_back(tmp_path: Path) -> None:
    said = {"bits": 936_160, "raw_bytes": 610_576, "bpb_proved": 1.533241, "split": {"evaluated": 931_769.0}}
    said |= {"wrong": [], "documents": 14, "population": 14, "unchecked": ["what the writer says."]}
    console = Console(file=io.StringIO())

    def sentence(**changes: object) -> str:
        (tmp_path / "proof.json").write_text(json.dumps(said | changes))
        return tables.proof(tmp_path, console)

    assert sentence() == "the validation text restored from 117,020 bytes: bpb_proved 1.5332; 1 UNCHECKED."
    assert "UNCHECKED what the writer says." in console.file.getvalue()
    assert sentence(population=50).startswith("14 of 50 documents of the validation text restored")
    assert sentence(wrong=["document 3 differs"]) == "the proof does not hold: document 3 differs"
    assert sentence(split=None)


def test_what_was_made_from_something_else_is_cleared_and_what_was_interrupted_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    (run / "train").mkdir(parents=True)
    (run / "train/checkpoint").write_text("half of a training")
    first = two_stations()[0]

    def two(_: Path) -> Iterator[Command]:
        yield command("--version", keeps="two.json", anew="train", resumes=True)

    def made(run: Path) -> Iterator[Command]:
        yield command("--version", keeps="three.json", anew="records/????-??-??_Tour")

    def plan(*_: object) -> list[Station]:
        return [first, *(Station(name, "", work, lambda run, console: "") for name, work in (("2", two), ("3", made)))]

    monkeypatch.setattr(pglab_tour, "stations", lambda *_: plan()[:1])
    tour(out=run)
    monkeypatch.setattr(pglab_tour, "stations", plan)
    (run / "records/2026-11-21_Tour").mkdir(parents=True)
    tour(out=run)  # nothing before it changed: an interrupted training goes on
    assert (run / "train/checkpoint").exists()
    assert not (run / "records/2026-11-21_Tour").exists()
    (run / "one.json").unlink()
    tour(out=run)
    assert not (run / "train").exists()


def test_a_ledger_of_something_else_holds_nothing(tmp_path: Path) -> None:
    for text in ("[]", '{"a": 1}', '{"a": {}}', "[" * 100_000):
        (tmp_path / "done.json").write_text(text)
        assert Ledger(tmp_path).rows == {}
