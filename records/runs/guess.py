"""What a plan will take: seconds and bytes of each stage, from stages of its kind that this store has done.

A kind that was never done here is guessed from rates measured on two CPU cores. A guess is a guess: it is shown as
one, and nothing depends on it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from .plan import Plan
from .stage import Stage
from .store import Store

# verb -> (seconds to begin, seconds a byte of documents, bytes left a byte of documents): what the tour's commands took
# on 12,185,751 bytes and two idle cores, split by eye into a start and a part that grows
RATES = {
    "corpus": (0.3, 0.0, 1.01),
    "vocab train": (0.4, 3e-8, 0.005),
    "vocab import": (0.5, 0.0, 0.005),
    "vocab compare": (0.3, 1e-8, 0.0),
    "shards": (0.6, 9e-8, 0.73),
    "train": (10.0, 5e-7, 0.4),
    "pack": (2.5, 6e-7, 0.05),
}


@dataclass(frozen=True, slots=True)
class Guess:
    """Seconds and bytes of a stage; `known` where they come from a stage of its kind, or from itself."""

    seconds: float
    bytes: float
    known: bool
    done: bool


def history(root: Path) -> dict[str, list[dict[str, Any]]]:
    """verb -> what the done stages of it say, in a store."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in (root / "stages").glob("*/stage.json"):
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            row = {"seconds": float(said["seconds"]), "size": int(said["size"]), "bytes": sum(said["files"].values()),
                   "asked": float(said["asked_seconds"])}  # fmt: skip
            found.setdefault(str(said["verb"]), []).append(row)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


def guess(stage: Stage, store: Store, past: dict[str, list[dict[str, Any]]]) -> Guess:
    """What the stage will take. Time beyond what a training was asked for grows with the documents; so do bytes."""
    if done := store.read(stage):
        return Guess(done.seconds, done.bytes, True, True)
    begin, rate, left = RATES[stage.verb]
    rows = past.get(stage.verb, [])
    if rows:
        rate = max(0.0, median((row["seconds"] - row["asked"] - begin) / max(1, row["size"]) for row in rows))
        left = median(row["bytes"] / max(1, row["size"]) for row in rows)
    return Guess(stage.seconds + begin + rate * stage.size, left * stage.size, bool(rows), False)


def wall_seconds(plan: Plan, guesses: dict[str, Guess], jobs: int) -> float:
    """When the last stage ends, with `jobs` at a time, each begun as soon as it may be."""
    ends: dict[str, float] = {}
    free = [0.0] * jobs
    for stage in plan.stages:
        told = guesses[stage.key]
        if told.done:
            ends[stage.key] = 0.0
            continue
        worker = min(range(jobs), key=free.__getitem__)
        ready = max((ends[need.key] for need in stage.needs.values()), default=0.0)
        ends[stage.key] = free[worker] = max(free[worker], ready) + told.seconds
    return max(free)


def spelled(seconds: float) -> str:
    """Seconds for people: 48 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"
