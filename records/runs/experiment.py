"""An experiment from its file to its results: plan, check of what could fail late, work, run.json and report.html."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from pglab_lock import held
from pglab_report import Column, Report, Table, write_report

from .child import write_json
from .errors import RunError
from .guess import Guess, guess, history, spelled, wall_seconds
from .plan import Plan, plan_of
from .precheck import check_late
from .prune import registering
from .recipe import Experiment, read_experiment, run_name
from .report import runs_report
from .results import cell_row, read_json
from .store import Store
from .work import Outcome, ended_by_signal, work

Tell = Callable[[str], None]


def dry_run(path: Path, root: Path, jobs: int) -> Report:
    """The plan of an experiment, with guesses of its seconds and bytes; nothing is run. Raises RunError, OSError."""
    experiment, _ = read_experiment(path)
    plan, store = plan_of(experiment, path.parent), Store(root)
    past = history(root)
    guesses = {stage.key: guess(stage, store, past) for stage in plan.stages}
    rows = [stage_row(stage.name, stage.folder, guesses[stage.key]) for stage in plan.stages]
    table = Table("stages", f"{path.name}: {len(rows)} stages", [
        Column("stage"), Column("state"), Column("seconds", "seconds", "s", ",.0f"), Column("bytes", format=",.0f"),
        Column("from", "guessed from"), Column("folder", hidden=True),
    ], rows)  # fmt: skip
    todo = [g for g in guesses.values() if not g.done]
    left, size = wall_seconds(plan, guesses, jobs), sum(g.bytes for g in todo)
    says = (
        f"{len(todo)} of {len(rows)} stages to do, {len(plan.cells)} results: about {spelled(left)} with {jobs} "
        f"job{'s' * (jobs != 1)} and {size:,.0f} bytes in {root}."
    )
    data = {"seconds": left, "bytes": size, "todo": len(todo)}
    return Report(f"Plan of {experiment.name}", [says], [table], data=data)


def stage_row(name: str, folder: str, told: Guess) -> dict[str, Any]:
    """A stage's row in the plan."""
    source = "itself" if told.done else "stages of its kind here" if told.known else "rates of two CPU cores"
    return {"stage": name, "state": "done before" if told.done else "to do", "seconds": told.seconds,
            "bytes": told.bytes, "from": source, "folder": folder}  # fmt: skip


def run_experiment(path: Path, root: Path, jobs: int, tell: Tell, quiet: bool = False) -> Report:
    """Do what the plan still lacks and report the results.

    Raises RunError when the file is wrong, a setting could not work, or every stage that failed is named; what is done
    is kept, and the same command continues.
    """
    experiment, text = read_experiment(path)
    plan, store = plan_of(experiment, path.parent), Store(root)
    home = root / run_name(experiment, text)
    check_late(plan, store)
    said = opening(experiment, text, plan, home)
    with running(home, said, tell):
        tell(f"{home}: {len(plan.stages)} stages; commands run in {store.stages}")
        outcome, status = Outcome(), "stopped"
        try:
            with ended_by_signal():
                outcome = work(plan, store, jobs, tell, quiet)
            status = "failed" if outcome.failed else "done"
        finally:
            said |= closing(plan, store, outcome, status)
            write_json(home / "run.json", said)
    if outcome.failed:
        told = "\n".join(f"- {error}" for error in outcome.failed.values())
        left = f"\n{len(outcome.left)} stages were not begun, since they need those."
        raise RunError(
            f"{len(outcome.failed)} of {len(plan.stages)} stages failed:\n{told}{left if outcome.left else ''}\n"
            "What is done is kept. Mend the cause and run the same command again."
        )
    report = report_of(said, root)
    write_report(report, home / "report.html")
    return report


@contextmanager
def running(home: Path, said: dict[str, Any], tell: Tell) -> Iterator[None]:
    """Write down what this run needs, and hold its folder for the block, so that nothing of it is pruned."""
    lock = home / f".running-{os.getpid()}-{threading.get_native_id()}.lock"
    with ExitStack() as stack:
        with registering(home.parent, lambda: tell("the store is being pruned; waiting.")):
            home.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(lock, lambda: None))
            write_json(home / "run.json", said)
        try:
            yield
        finally:
            with suppress(OSError):  # a system that lets nobody remove what is open; pruning does it later
                lock.unlink()


def opening(experiment: Experiment, text: str, plan: Plan, home: Path) -> dict[str, Any]:
    """run.json before the work."""
    return {
        "schema": 1,
        "id": home.name,
        "name": experiment.name,
        "recipe": text,
        "begun": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "status": "running",
        "stages": [{"name": s.name, "verb": s.verb, "folder": f"stages/{s.folder}", "key": s.key} for s in plan.stages],
        "vocabularies": [],
        "rows": [],
    }


def closing(plan: Plan, store: Store, outcome: Outcome, status: str) -> dict[str, Any]:
    """What run.json gets when the work is over, or was stopped."""
    stages: list[dict[str, Any]] = []
    for stage in plan.stages:
        done = outcome.done.get(stage.key) or store.read(stage)
        row: dict[str, Any] = {
            "name": stage.name,
            "verb": stage.verb,
            "folder": f"stages/{stage.folder}",
            "key": stage.key,
        }
        if done:
            row |= {"seconds": done.seconds, "bytes": done.bytes}
        if stage.key in outcome.failed:
            row["failed"] = outcome.failed[stage.key]
        stages.append(row)
    return {
        "status": status,
        "ended": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "stages": stages,
        "vocabularies": vocabulary_rows(plan, store),
        "rows": [found for cell in plan.cells if (found := cell_row(cell, store))],
    }


def vocabulary_rows(plan: Plan, store: Store) -> list[dict[str, Any]]:
    """What each vocabulary costs, by the name it has in the experiment."""
    rows: list[dict[str, Any]] = []
    for stage in plan.stages:
        said = read_json(store.stages / stage.folder / "vocab.json") if stage.verb == "vocab compare" else None
        if isinstance(said, dict):
            rows += [{**row, "name": stage.name.removeprefix("measure ")} for row in said.get("rows", [])]
    return rows


VOCABULARY_COLUMNS = [
    Column("name", "vocabulary"),
    Column("size", "ids", format=",d"),
    Column("bytes_per_token", "raw bytes a token", format=".3f"),
    Column("lossless", "text back"),
    Column("embedding_bytes", "embedding", "bytes", ",d"),
]


def report_of(said: dict[str, Any], root: Path) -> Report:
    """The report of a run.json."""
    stages = [{"seconds": None, "bytes": None, **row} for row in said["stages"]]
    spent = sum(row["seconds"] or 0 for row in stages)
    more = [
        Table("vocabularies", "Vocabularies on held-out documents", VOCABULARY_COLUMNS, said["vocabularies"]),
        Table("stages", f"Stages, {spelled(spent)} of work in all", [
            Column("name", "stage"), Column("seconds", "seconds", "s", ",.1f"), Column("bytes", "left", "bytes", ",d"),
            Column("folder"),
        ], stages),
    ]  # fmt: skip
    notes = [] if said["status"] == "done" else [f"This experiment is {said['status']}; the same command continues."]
    return runs_report(f"Experiment {said['name']}", root, said["rows"], notes, int(said["status"] != "done"), more)
