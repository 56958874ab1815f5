"""A run by the words a person gives: its name in the store, the beginning of it, or a folder."""

from pathlib import Path
from typing import Any

from pglab_report import Report

from .errors import RunError
from .experiment import report_of
from .index import list_runs
from .report import runs_report
from .results import read_json, training_row


def choose(name: str, root: Path) -> Path:
    """The folder of a run. Raises RunError when there is none, or more than one, of that name."""
    for place in (root / name, Path(name)):
        if (place / "run.json").is_file() or (place / "train.log").is_file():
            return place
    ids = [str(row["id"]) for row in list_runs(root)] if root.is_dir() else []
    found = [one for one in ids if one.startswith(name)]
    if len(found) == 1:
        return root / found[0]
    if found:
        raise RunError(f"{name!r} is the beginning of {', '.join(found[:5])}; say more of the name.")
    there = f"there are {', '.join(ids[:5])}" if ids else "there are none"
    raise RunError(f"no run in {root} is called {name!r}; {there}. See: pglab runs list --store {root}")


def read_run(place: Path) -> dict[str, Any]:
    """A run.json. Raises RunError when it is damaged."""
    said = read_json(place / "run.json")
    wanted = {"name": str, "status": str, "stages": list, "vocabularies": list, "rows": list}
    if not isinstance(said, dict) or any(not isinstance(said.get(key), kind) for key, kind in wanted.items()):
        raise RunError(f"{place / 'run.json'}: damaged. Run the experiment again; what is done is used again.")
    return said


def rows_of(place: Path) -> list[dict[str, Any]]:
    """The results of a run, their folders made whole."""
    if not (place / "run.json").is_file():
        return [training_row(place, place.name)]
    rows: list[dict[str, Any]] = read_run(place)["rows"]
    return [{**row, "folder": str(place.parent / row["folder"])} for row in rows]


def report_of_run(place: Path, root: Path) -> Report:
    """One run's report."""
    if (place / "run.json").is_file():
        return report_of(read_run(place), place.parent)
    return runs_report(f"Training {place.name}", Path(), rows_of(place))


def compared(places: list[Path]) -> Report:
    """Several runs' results in one report, the runs told apart where there is more than one."""
    rows = [{"run": place.name if len(places) > 1 else "", **row} for place in places for row in rows_of(place)]
    names = ", ".join(place.name for place in places)
    return runs_report(f"Comparison of {names}", Path(), rows)
