"""What an experiment found: a row a cell, read from the files its stages left, and the cells of equal make over seeds.

Scores are bits per byte after the round trip through the file that is counted; sizes are those of files.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .curve import read_curve
from .plan import Cell
from .store import Store


def read_json(path: Path) -> Any:
    """A JSON file's value, or None where there is none or a broken one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def training_facts(folder: Path) -> dict[str, Any]:
    """Steps, seconds, parameters, bytes of code of a training's folder, from its log. Empty without one."""
    try:
        curve = read_curve(folder / "train.log")
    except OSError:
        return {}
    held = curve.held[-1] if curve.held else None
    per_token = held[2] / math.log(2) / held[3] if held and held[3] > 0 else None
    model = folder / "final_model.pgc"
    codec = str(curve.config.get("codec", ""))
    total = curve.totals.get(codec)
    size = model.stat().st_size if model.is_file() else None
    return {
        "steps": curve.step,
        "seconds": curve.seconds,
        "parameters": int(curve.facts.get("model_params", 0)) or None,
        "bytes_per_token": per_token,
        "codec": codec,
        "bytes_model": size,
        "bytes_code": total - size if total is not None and size is not None else None,
        "seed": curve.config.get("seed"),
    }


def cell_row(cell: Cell, store: Store) -> dict[str, Any] | None:
    """One cell's result; None while its score is not there."""
    trained = store.stages / cell.trained.folder
    folder = store.stages / cell.packed.folder if cell.packed else trained
    score, facts = read_json(folder / "score.json"), training_facts(trained)
    if not isinstance(score, dict) or not facts:
        return None
    size = (folder / "model.pgc").stat().st_size if cell.packed else facts["bytes_model"]
    names = {"vocabulary": cell.vocabulary, "model": cell.model, "codec": cell.codec or facts["codec"]}
    return result_row(names, cell.seed, score, facts, size, trained.relative_to(store.root).as_posix())


def training_row(folder: Path, name: str) -> dict[str, Any]:
    """The row of a training's folder that stands alone, as `pglab model train` leaves it."""
    score, facts = read_json(folder / "score.json"), training_facts(folder)
    score = score if isinstance(score, dict) else {}
    names = {"vocabulary": "", "model": name, "codec": facts.get("codec", "")}
    return result_row(names, facts.get("seed"), score, facts, facts.get("bytes_model"), folder.as_posix())


def result_row(
    names: Mapping[str, str],
    seed: Any,
    score: Mapping[str, Any],
    facts: Mapping[str, Any],
    size: int | None,
    place: str,
) -> dict[str, Any]:
    """A result in the one shape that run.json, the index and the reports know. size: bytes of the scored weights."""
    code = facts.get("bytes_code")
    return {
        **names,
        "seed": seed,
        **{key: score.get(key) for key in ("bpb_raw", "bpb_table", "val_loss")},
        "bytes_model": size,
        "bytes_code": code,
        "bytes_total": None if code is None or size is None else size + code,
        **{key: facts.get(key) for key in ("parameters", "steps", "seconds")},
        "folder": place,
    }


@dataclass(frozen=True, slots=True)
class Interval:
    """Mean of n values and its 95% interval by Student's t; low and high are None for one value."""

    mean: float
    low: float | None
    high: float | None
    n: int


def interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """The mean of runs that differ by their seed, with its interval. Source: Student's t, n - 1 degrees of freedom."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return Interval(mean, None, None, len(values))
    from scipy.stats import sem, t

    spread = float(sem(values))
    low, high = (mean, mean) if spread == 0 else t.interval(level, len(values) - 1, mean, spread)
    return Interval(mean, float(low), float(high), len(values))


def difference(ours: Mapping[str, float], theirs: Mapping[str, float], level: float = 0.95) -> Interval | None:
    """The interval of mean(ours) - mean(theirs), scores by the folder of their training; None where a side has one.

    Scores of the same trainings (two codecs on the same weights) are compared in pairs, by Student's t; others by
    Welch's t, which does not ask for equal variances.
    """
    if min(len(ours), len(theirs)) < 2:
        return None
    if ours.keys() == theirs.keys():
        return interval([ours[folder] - theirs[folder] for folder in ours], level)
    a, b = list(ours.values()), list(theirs.values())
    mean = math.fsum(a) / len(a) - math.fsum(b) / len(b)
    if len(set(a)) == 1 and len(set(b)) == 1:
        return Interval(mean, mean, mean, len(a) + len(b))
    from scipy.stats import ttest_ind

    found = ttest_ind(a, b, equal_var=False).confidence_interval(level)
    return Interval(mean, float(found.low), float(found.high), len(a) + len(b))


def groups(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of equal make joined over seeds, the best first; those without a score last."""
    joined: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        joined.setdefault((row.get("run", ""), row["vocabulary"], row["model"], row["codec"]), []).append(row)
    found = []
    for (run, vocabulary, model, codec), members in joined.items():
        scores = {row["folder"]: row["bpb_raw"] for row in members if row["bpb_raw"] is not None}
        tables = [row["bpb_table"] for row in members if row["bpb_table"] is not None]
        made: dict[str, Any] = {"run": run, "vocabulary": vocabulary, "model": model, "codec": codec}
        for key, values in (("bpb_raw", list(scores.values())), ("bpb_table", tables)):
            told = interval(values) if values else None
            made |= {key: told.mean if told else None, f"{key}_low": told.low if told else None,
                     f"{key}_high": told.high if told else None}  # fmt: skip
        made |= {"seeds": len(members), "scores": scores}
        for key in ("bytes_model", "bytes_code", "bytes_total", "steps", "seconds", "parameters"):
            values = [row[key] for row in members if row[key] is not None]
            made[key] = math.fsum(values) / len(values) if values else None
        found.append(made)
    return sorted(found, key=lambda g: (g["bpb_raw"] is None, g["bpb_raw"] or g["bpb_table"] or 0.0))
