"""Room in a store: experiments that have grown old are forgotten, and stages that none refers to are removed.

A stage stays while any experiment left names it, or while a command holds its lock. An experiment stays while it runs.
Both are decided under the store's own lock, which a run takes to write down what it will need, so that what a run is
about to use is never removed under it. A folder is renamed before it is emptied: half a stage is never taken for one.
"""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pglab_lock import held
from pglab_report import Column, Report, Table

from .errors import RunError
from .results import read_json

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
STAGE = re.compile(r"[a-z-]+-[0-9a-f]{16}")
GONE = ".gone-"  # how the name of a folder begins that is being removed


class Busy(Exception):
    """Somebody holds the lock; no waiting for him here."""


def refuse() -> None:
    """What to do when a lock is held: not to wait."""
    raise Busy


def age_of(word: str) -> float:
    """Seconds of `30d`, `12h`, `2w`. Raises RunError."""
    found = re.fullmatch(r"(\d{1,9})([smhdw])", word)
    if not found:
        raise RunError(f"--older-than {word}: wanted a whole number and one of s, m, h, d, w, such as 30d.")
    return int(found[1]) * float(UNITS[found[2]])


@contextmanager
def registering(root: Path, wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """The store's own lock: held to write down which stages a run needs, and while stages are removed."""
    root.mkdir(parents=True, exist_ok=True)
    with held(root / ".store.lock", wait):
        yield


def is_held(lock: Path) -> bool:
    """Whether somebody holds this lock file; one that is not there nobody holds, and it is not made."""
    if not lock.exists():
        return False
    try:
        with held(lock, refuse):
            return False
    except Busy:
        return True
    except PermissionError:  # a store that we may only read: nobody can be asked
        return False


def running(home: Path) -> bool:
    """Whether a process is at work on this experiment: each holds a lock file there, see experiment.py."""
    return any(is_held(lock) for lock in home.glob(".running-*.lock"))


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment's folder, when it last ended or began (seconds since 1970), and the stages it names."""

    home: Path
    when: float
    stages: frozenset[str]


def experiments_of(root: Path) -> list[Experiment]:
    """Every experiment of the store, the newest first. Raises RunError when one cannot be read: what it needs is then
    not known."""
    found = []
    for file in root.glob("[!.]*/run.json"):
        said = read_json(file)
        rows = said.get("stages") if isinstance(said, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) and "folder" in row for row in rows):
            raise RunError(
                f"{file}: damaged, so nobody knows which stages it needs, and nothing was removed. Run the experiment "
                "again, or remove its folder."
            )
        names = frozenset(Path(str(row["folder"])).name for row in rows)
        found.append(Experiment(file.parent, when(said, file), names))
    return sorted(found, key=lambda one: one.when, reverse=True)


def when(said: dict[str, Any], file: Path) -> float:
    """Seconds since 1970 at which the experiment ended, or began, or its file was written."""
    for key in ("ended", "begun"):
        with suppress(ValueError, TypeError):
            return datetime.fromisoformat(said.get(key) or "").timestamp()
    return file.stat().st_mtime


def bytes_in(folder: Path) -> int:
    """Bytes of all files in it."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def prune(root: Path, older: float | None = None, keep: int | None = None, dry: bool = False) -> Report:
    """Remove what may go, or say what would. Returns a row a folder.

    older: seconds; keep: a number of experiments. An experiment goes when it is older than `older` and not among the
    newest `keep`, but never one that is a link to another place; without either only stages are removed.
    Raises RunError, OSError.
    """
    if not root.is_dir():
        raise RunError(f"{root}: no such folder of runs. Make one with: pglab run RECIPE.toml")
    with nullcontext() if dry or not (root / "stages").is_dir() else registering(root):
        if not dry:
            sweep(root)
        known = experiments_of(root)
        old = known[keep or 0 :] if (older is not None or keep is not None) else []
        limit = time.time() - (older or 0.0)
        going = [
            one
            for one in old
            if (older is None or one.when < limit) and not one.home.is_symlink() and not running(one.home)
        ]
        needed = {name for one in known if one not in going for name in one.stages}
        rows = [row(one.home, "experiment", dry) for one in going]
        for folder in sorted((root / "stages").glob("*")):
            if is_stage(folder) and folder.name not in needed:
                rows.append(stage_row(folder, dry))
    return report_of(root, rows, len(known) - len(going), dry)


def sweep(root: Path) -> None:
    """Remove what a pruning that was killed had renamed already."""
    for place in (root, root / "stages"):
        for folder in place.glob(f"{GONE}*"):
            if folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder)


def is_stage(folder: Path) -> bool:
    """Whether this is a folder as a stage has it, and no link to one."""
    return bool(STAGE.fullmatch(folder.name)) and folder.is_dir() and not folder.is_symlink()


def stage_row(folder: Path, dry: bool) -> dict[str, Any]:
    """Remove a stage that nobody holds."""
    lock = folder.parent / f".{folder.name}.lock"
    kept = {"name": folder.name, "kind": "stage", "bytes": 0, "what": "kept: a command is at work in it"}
    if dry:
        return kept if is_held(lock) else row(folder, "stage", dry)
    try:
        with held(lock, refuse):
            made = row(folder, "stage", dry)
            with suppress(PermissionError):  # a system that lets nobody remove what is open
                lock.unlink(missing_ok=True)
            return made
    except Busy:
        return kept


def row(folder: Path, kind: str, dry: bool) -> dict[str, Any]:
    """Remove a folder; its row in the report."""
    size = bytes_in(folder)
    if not dry:
        aside = folder.with_name(GONE + folder.name)
        folder.replace(aside)
        shutil.rmtree(aside)
    return {"name": folder.name, "kind": kind, "bytes": size, "what": "would go" if dry else "removed"}


def report_of(root: Path, rows: list[dict[str, Any]], left: int, dry: bool) -> Report:
    """What went, and how many bytes."""
    gone = [one for one in rows if not one["what"].startswith("kept")]
    size, many = sum(one["bytes"] for one in gone), {
        kind: sum(one["kind"] == kind for one in gone) for kind in ("experiment", "stage")
    }  # fmt: skip
    counts = " and ".join(f"{n:,} {kind}{'s' * (n != 1)}" for kind, n in many.items())
    says = f"{counts} {'would go' if dry else 'removed'}, {size:,} bytes; {left:,} experiments stay."
    columns = [Column("name"), Column("kind"), Column("bytes", format=",d"), Column("what", "")]
    data = {"bytes": size, "dry_run": dry, **{f"{kind}s": n for kind, n in many.items()}}
    return Report(f"Pruning of {root}", [says], [Table("folders", "", columns, rows)], data=data)
