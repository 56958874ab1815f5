"""The index of a store: a sqlite file that lists its runs quickly. The JSON files and logs are the truth.

A run is an experiment's folder (run.json) or a training's (train.log and config.json). Every look compares what lies
there with what was read before, by time and size, and reads again only what changed; a lost or damaged index is made
anew. Two processes may look at once: sqlite keeps them apart.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import RunError
from .results import read_json, training_row

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (place TEXT PRIMARY KEY, stamp TEXT NOT NULL, row TEXT NOT NULL) STRICT;
PRAGMA user_version = 1;
"""


@contextlib.contextmanager
def opened(root: Path) -> Iterator[sqlite3.Connection]:
    """The index of `root`; in memory where the folder cannot be written."""
    place: Path | str = root / "index.sqlite"
    if not os.access(root, os.W_OK):
        place = ":memory:"
    connection = sqlite3.connect(place, timeout=30)
    try:
        connection.executescript(SCHEMA)
        yield connection
        connection.commit()
    finally:
        connection.close()


def find_runs(root: Path) -> Iterator[tuple[Path, Path]]:
    """(folder, the file that tells of it) of every run under `root`; stages of experiments are not looked into."""
    for folder, inside, files in os.walk(root):
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        place = Path(folder)
        if place == root:
            inside[:] = [name for name in inside if name != "stages"]
        if "run.json" in files:
            yield place, place / "run.json"
            inside.clear()
        elif "train.log" in files and "config.json" in files:
            yield place, place / "train.log"
            inside.clear()


def stamp(file: Path) -> str:
    """What changes when a run does: time and size of the file, and of the score beside it."""
    parts = []
    for path in (file, file.with_name("score.json")):
        with contextlib.suppress(OSError):
            stat = path.stat()
            parts.append(f"{stat.st_mtime_ns} {stat.st_size}")
    return " ".join(parts)


def summary(folder: Path, file: Path) -> dict[str, Any]:
    """A run's line in the list."""
    if file.name == "run.json":
        said = read_json(file)
        if not isinstance(said, dict) or not isinstance(said.get("rows"), list):
            return {"kind": "experiment", "status": "damaged", "name": folder.name}
        rows = [row for row in said["rows"] if isinstance(row, dict)]
        scores, sizes = ([row[key] for row in rows if isinstance(row.get(key), int | float)] for key in
                         ("bpb_raw", "bytes_total"))  # fmt: skip
        return {"kind": "experiment", "status": said.get("status"), "name": said.get("name"), "made": said.get("begun"),
                "results": len(said["rows"]), "bpb_raw": min(scores, default=None),
                "bytes_total": min(sizes, default=None)}  # fmt: skip
    row = training_row(folder, folder.name)
    status = "done" if row["bpb_raw"] is not None or row["bpb_table"] is not None else "unfinished"
    return {"kind": "training", "status": status, "name": folder.name, "made": made(file), "results": 1,
            "bpb_raw": row["bpb_raw"], "bytes_total": row["bytes_total"]}  # fmt: skip


def made(file: Path) -> str:
    """When the file was last written, in UTC."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(file.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def list_runs(root: Path) -> list[dict[str, Any]]:
    """Every run under `root`, the newest first: id, kind, status, made, results, best bpb_raw, smallest bytes_total.

    Raises RunError when `root` is no folder.
    """
    if not root.is_dir():
        raise RunError(f"{root}: no such folder of runs. Make one with: pglab run RECIPE.toml")
    try:
        return looked(root)
    except sqlite3.DatabaseError:
        (root / "index.sqlite").unlink(missing_ok=True)
        return looked(root)


def looked(root: Path) -> list[dict[str, Any]]:
    """Bring the index up to date and read it."""
    with opened(root) as index:
        known = {place: (mark, row) for place, mark, row in index.execute("SELECT place, stamp, row FROM runs")}
        found: dict[str, dict[str, Any]] = {}
        for folder, file in find_runs(root):
            place, mark = folder.relative_to(root).as_posix().encode("utf-8", "replace").decode(), stamp(file)
            if known.get(place, ("",))[0] == mark:
                found[place] = json.loads(known[place][1])
            else:
                found[place] = summary(folder, file)
                index.execute("REPLACE INTO runs VALUES (?, ?, ?)", (place, mark, json.dumps(found[place])))
        index.executemany("DELETE FROM runs WHERE place = ?", [(place,) for place in known.keys() - found.keys()])
    rows = [{"id": place, **row} for place, row in found.items()]
    return sorted(rows, key=lambda row: (row.get("made") or "", row["id"]), reverse=True)
