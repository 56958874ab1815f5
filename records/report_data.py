"""What a run folder holds, brought into the shape the report's template wants.

Other rooms write these files and may add keys; nothing here fails for a key that is absent. A file that is missing
leaves its section out with a word; one that is broken says so in its section.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILES = {
    "corpus": ("corpus/corpus.json", "corpus.json"),
    "vocab": ("vocab.json",),
    "shards": ("shards/manifest.json", "manifest.json"),
    "config": ("train/config.json", "config.json"),
    "codecs": ("codecs.json",),
    "text": ("text.json",),
    "score": ("score.json", "train/score.json"),
    "proof": ("proof.json",),
    "audit": ("audit.json",),
    "check": ("check.json",),
    "commands": ("commands.json",),
}
LOGS = ("train/train.log", "train.log")
METRICS = ("train/metrics.jsonl", "metrics.jsonl")
LIMIT = 64 << 20


@dataclass
class Inputs:
    """The run's JSON by name; `missing` and `broken` say what is not there, in words."""

    root: Path
    data: dict[str, Any] = field(default_factory=dict)
    found: dict[str, Path] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """The value of one file, None when it is not there."""
        return self.data.get(name)


def read_inputs(root: Path) -> Inputs:
    """Read every known file of a run folder; never raises for what a file holds."""
    inputs = Inputs(root)
    for name, places in FILES.items():
        place = next((root / p for p in places if (root / p).is_file()), None)
        if place is None:
            inputs.missing[name] = places[0]
            continue
        try:
            if place.stat().st_size > LIMIT:
                raise ValueError("too large for a report")
            inputs.data[name] = json.loads(place.read_text("utf-8-sig"))
            inputs.found[name] = place
        except (OSError, ValueError, RecursionError) as error:
            inputs.broken[name] = f"{places[0]}: {error}"
    return inputs


def pick(row: Any, *names: str, default: Any = None) -> Any:
    """The first of `names` that a dict has with a value; dots reach into dicts (`corpus.bytes`)."""
    for name in names:
        value = row
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None and value != "":
            return value
    return default


def number(value: Any) -> float | None:
    """A number that a page can show and a picture can draw, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e100:
        return None
    return float(value)


def rows_of(value: Any, *names: str) -> list[dict[str, Any]]:
    """The list of rows in a document: itself, or under one of `names`, or its one list of dicts; dicts become rows."""
    if isinstance(value, list):
        return [row for row in value if isinstance(row, dict)]
    if not isinstance(value, dict):
        return []
    for name in names:
        if name in value:
            return rows_of(value[name])
    lists = [v for v in value.values() if isinstance(v, list) and v and all(isinstance(r, dict) for r in v)]
    if len(lists) == 1:
        return rows_of(lists[0])
    if value and all(isinstance(v, dict) for v in value.values()):
        return [{"name": key, **row} for key, row in value.items()]
    return []


def read_jsonl(root: Path, most: int = 200_000) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl, a broken last line left out."""
    place = next((root / p for p in METRICS if (root / p).is_file()), None)
    rows: list[dict[str, Any]] = []
    if place is None:
        return rows
    with place.open("r", encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict) and len(rows) < most:
                rows.append(row)
    return rows
