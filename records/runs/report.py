"""Runs beside each other as a report: scores with their intervals over seeds, sizes, and curves over each other."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pglab_report import Column, Limit, Plot, Report, Series, Table

from .curve import read_curve
from .results import difference, groups

CAP = 16_000_000  # bytes, the challenge's limit for code and weights together
CURVES = 12  # more lines than that cannot be told apart


def spelled(group: dict[str, Any], groups_: Sequence[dict[str, Any]]) -> str:
    """A group's name: those of its parts that differ between groups."""
    parts = [key for key in ("run", "vocabulary", "model", "codec") if len({g[key] for g in groups_}) > 1]
    return " ".join(str(group[key]) for key in parts or ["vocabulary", "model"] if group[key])


def score_cell(group: dict[str, Any], key: str) -> str | None:
    """A mean with its interval, or alone where one run has none."""
    mean, low, high = (group[f"{key}{end}"] for end in ("", "_low", "_high"))
    if mean is None:
        return None
    return f"{mean:.4f}" if low is None else f"{mean:.4f} [{low:.4f}, {high:.4f}]"


def group_table(found: list[dict[str, Any]]) -> Table:
    """A row a group."""
    rows = []
    for g in found:
        words = {"raw_words": score_cell(g, "bpb_raw"), "table_words": score_cell(g, "bpb_table")}
        rows.append({**g, **words, "left": None if g["bytes_total"] is None else CAP - g["bytes_total"]})
    columns = [
        *([Column("run")] if any(g["run"] for g in found) else []),
        *([Column("vocabulary")] if any(g["vocabulary"] for g in found) else []),
        Column("model"),
        Column("codec"),
        Column("seeds", format=",d"),
        Column("raw_words", "bpb_raw", align="right"),
        Column("table_words", "bpb_table", align="right"),
        Column("bytes_model", "weights", "bytes", ",.0f"),
        Column("bytes_total", "with code", "bytes", ",.0f"),
        Column("left", "left under the cap", "bytes", ",.0f"),
        Column("parameters", format=",.0f"),
        Column("steps", format=",.0f"),
        Column("seconds", "training", "s", ",.0f"),
        *[Column(f"{key}{end}", hidden=True) for key in ("bpb_raw", "bpb_table") for end in ("", "_low", "_high")],
    ]
    return Table("groups", "Bits per byte after the round trip, means over seeds", columns, rows, (0,) if rows else ())


def sentence(found: list[dict[str, Any]]) -> str:
    """The best group, the next one, and whether seeds could explain the difference."""
    scored = [g for g in found if g["bpb_raw"] is not None]
    if not scored:
        return "No run here has a score yet."
    best = scored[0]
    says = f"{spelled(best, found) or 'the run'} is the best: {score_cell(best, 'bpb_raw')} bits per raw byte"
    if len(scored) == 1:
        return says + "."
    other = scored[1]
    says += f", {other['bpb_raw'] - best['bpb_raw']:.4f} below {spelled(other, found)}"
    told = difference(other["scores"], best["scores"])
    if told is None or told.low is None:
        return f"{says}; with one seed a side, nobody knows whether that is more than chance."
    shown = "more than seeds explain" if told.low > 0 else "no more than seeds could explain"
    return f"{says} [{told.low:+.4f}, {told.high:+.4f}], {shown}."


def curve_plot(root: Path, rows: Sequence[dict[str, Any]]) -> Plot | None:
    """Training loss as bits per byte over training time, one line a training."""
    series: list[Series] = []
    seen: set[str] = set()
    for row in rows:
        if row["folder"] in seen or len(series) >= CURVES:
            continue
        seen.add(row["folder"])
        try:
            curve = read_curve(root / row["folder"] / "train.log")
        except OSError:
            continue
        held = [point for point in curve.held if point[3] > 0]
        if not held or not curve.train:
            continue
        scale = held[-1][3] / held[-1][2]  # bits per byte for a nat per token, as validated
        points = smooth([(p[1], p[2] * scale) for p in curve.train if p[0] > curve.step / 20])
        label = " ".join(str(row[key]) for key in ("vocabulary", "model") if row[key]) + f" seed {row['seed']}"
        series.append(Series(label, [p[0] for p in points], [p[1] for p in points]))
    if not series:
        return None
    return Plot("curves", "Training curves", "seconds of training", "bits per byte", series)


def smooth(points: list[tuple[float, float]], most: int = 120) -> list[tuple[float, float]]:
    """Means of `most` equal groups of neighbouring points."""
    width = max(1, math.ceil(len(points) / most))
    parts = [points[at : at + width] for at in range(0, len(points), width)]
    return [(part[-1][0], math.fsum(p[1] for p in part) / len(part)) for part in parts]


def size_plot(found: list[dict[str, Any]]) -> Plot | None:
    """Bits per byte against the bytes that are counted, a dot a group, with intervals."""
    there = [g for g in found if g["bpb_raw"] is not None and g["bytes_model"] is not None]
    if len(there) < 2:
        return None
    dots = []
    for g in there[:CURVES]:
        low, high = ((), ()) if g["bpb_raw_low"] is None else ((g["bpb_raw_low"],), (g["bpb_raw_high"],))
        dots.append(Series(spelled(g, found), [g["bytes_model"]], [g["bpb_raw"]], low, high, "dots"))
    sizes = [g["bytes_model"] for g in there]
    limits = [Limit(CAP, "the cap", "x")] if max(sizes) > CAP / 2 else []
    return Plot("sizes", "Score against size", "bytes of weights", "bits per raw byte", dots, limits=limits)


def runs_report(title: str, root: Path, rows: Sequence[dict[str, Any]], notes: Sequence[str] = (), status: int = 0,
                more: Sequence[Table] = ()) -> Report:  # fmt: skip
    """The report of rows as `results` reads them; `root` is where their folders lie."""
    found = groups(rows)
    plots = [plot for plot in (curve_plot(root, rows), size_plot(found)) if plot]
    columns = [Column(key) for key in (rows[0] if rows else {})]
    each = Table("runs", "Every run", [Column(c.key, format=FORMATS.get(c.key, "")) for c in columns], rows)
    tables = [table for table in (group_table(found), each if len(rows) > len(found) else None, *more) if table]
    limits = ["Intervals are 95% by Student's t over seeds; they say nothing about other data or machines.", *notes]
    return Report(title, [sentence(found)] if rows else [], tables, plots, limits if rows else notes, status)


FORMATS = {"bpb_raw": ".5f", "bpb_table": ".5f", "val_loss": ".5f", "seconds": ",.1f"} | dict.fromkeys(
    ("bytes_model", "bytes_code", "bytes_total", "parameters", "steps"), ",d"
)
