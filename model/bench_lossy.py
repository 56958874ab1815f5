"""`pglab bench lossy`: the same model coded by the records' quantiser and by ours, at equal divergence and equal score.

Each family of recipes is a curve: whole files, written and read back, against the divergence of the next-token
distribution on validation text that no statistics have seen. Between the points of a curve, bytes are interpolated
over the logarithm of the divergence (or of the loss in bits per byte). The yardstick is per-row k-sigma int6 with GPTQ
feedback behind brotli-11, at every k tried and with int6, int7 or int8 tables; what beats it must beat the best of it.
"""

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from compress.container import read_container
from compress.container_write import pack_parts, quantize_all, write_packed
from compress.decoder_source import decoder_bytes
from compress.measure import weight_error
from compress.progress import progress
from compress.recipes import parse_recipe
from compress.sources import read_weights
from compress.statistics import Statistics, read_statistics
from pglab_report import Column, Plot, Report, Series, Table, Ways, show

from .calibrate import calibrate
from .cli_calibrate import one_thread
from .divergence import Yardstick

SIGMAS = (8, 12.85, 20)
YARDSTICK = {
    f"{name}-sigma + brotli-11": [f"{name}-sigma{k:g}+brotli11" for k in SIGMAS]
    for name in ("gptq6", "gptq6.7", "gptq6.8")
}
STEPS = (0.7, 1.3, 2.4, 4.4)
COLUMNS = [
    Column("family"),
    Column("recipe"),
    Column("bytes", "file", "", ",d"),
    Column("decoder", "decoder", "", ",d"),
    Column("bits", "bits/weight", "", ".4f"),
    Column("kl", "divergence", "bits/token", ".6f"),
    Column("bpb_table", "bpb_table", "", ".4f"),
    Column("mse", "error", "", ".2e"),
]


def families(parameters: int) -> dict[str, list[str]]:
    """Recipes of each curve. Steps of `water` are given for one nat a token over all weights, at the usual damage."""
    unit = math.sqrt(24 * 0.005 / max(parameters, 1))  # about 0.005 nats a token
    own = {"step + mix": [f"step-{s:g}+mix" for s in (0.02, 0.04, 0.08)]}
    own["water + brotli-11"] = [f"water-{s * unit:.3g}+brotli11" for s in STEPS[::3]]
    own["water + mix"] = [f"water-{s * unit:.3g}+mix" for s in STEPS]
    own["water8 + mix"] = [f"water8-{s * unit:.3g}+mix" for s in STEPS]
    return YARDSTICK | own


def curve_points(checkpoint: Path, statistics: Statistics, yardstick: Yardstick, chosen: dict[str, list[str]]) -> Any:
    """A row for each recipe: family, sizes of the written file, divergence, scores, weight error."""
    weights = read_weights(checkpoint)
    rows, back = [], []
    with tempfile.TemporaryDirectory() as place:
        by_name = {name: family for family, names in chosen.items() for name in names}
        for name in progress(by_name, "coding"):
            recipe, path = parse_recipe(name), Path(place) / "a.pgc"
            parts = quantize_all(weights.tensors, recipe, weights.dtypes, statistics)
            size = write_packed(path, pack_parts(parts, recipe.coder, recipe.rest))
            held = read_container(path)
            back.append(held)
            row = {"family": by_name[name], "recipe": name, "bytes": size, "bits": 8 * size / weights.parameters}
            row["decoder"] = decoder_bytes(recipe.needs())
            rows.append({**row, "mse": weight_error(weights.tensors, held)})
    first, measured = yardstick.measure(back)
    return first, [{**row, **found} for row, found in zip(rows, measured, strict=True)]


def bytes_at(points: list[dict[str, Any]], key: str, value: float) -> float | None:
    """Bytes with decoder of a curve where `key` has that value, interpolated over its logarithm; None outside."""
    known = sorted((math.log(max(p[key], 1e-12)), p["bytes"] + p["decoder"]) for p in points)
    x, y = zip(*known, strict=True)
    return float(np.interp(math.log(max(value, 1e-12)), x, y)) if x[0] <= math.log(max(value, 1e-12)) <= x[-1] else None


def verdicts(rows: list[dict[str, Any]], first: dict[str, float]) -> list[dict[str, Any]]:
    """For each of our curves: bytes against the best yardstick point by point, at equal divergence and equal score."""
    for row in rows:
        row["loss"] = row["bpb_table"] - first["bpb_table"]
    base = [row for row in rows if row["family"] in YARDSTICK]
    answers = []
    for family in dict.fromkeys(row["family"] for row in rows if row["family"] not in YARDSTICK):
        curve = [row for row in rows if row["family"] == family]
        answer: dict[str, Any] = {"family": family}
        for key in ("kl", "loss"):
            ratios = [(bytes_at(curve, key, p[key]), p["bytes"] + p["decoder"]) for p in lower_hull(base, key)]
            found = [ours / theirs for ours, theirs in ratios if ours is not None]
            answer[key] = {"worst": max(found), "best": min(found), "points": len(found)} if found else None
        answers.append(answer)
    return answers


def lower_hull(points: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """The points that no other beats in both bytes and `key`."""
    size = [p["bytes"] + p["decoder"] for p in points]
    return [
        p for i, p in enumerate(points) if p[key] > 0
        and not any(size[j] <= size[i] and q[key] <= p[key] and j != i for j, q in enumerate(points))
    ]  # fmt: skip


def bench(
    checkpoint: Path,
    /,
    *,
    shards: Path,
    calibration: Path | None = None,
    tokens: int = 16_384,
    ways: Ways = Ways(),
) -> int:
    """Code a model by the records' quantiser and by ours; bytes at equal divergence and equal score.

    Parameters
    ----------
    checkpoint
        Weights of a standard GPT.
    shards
        Folder of token shards: the training split calibrates, the validation split measures.
    calibration
        A file of pglab model calibrate; made on the way when it is not given.
    tokens
        Validation tokens to read; 0 for all.
    """
    one_thread()
    weights = read_weights(checkpoint)
    statistics = read_statistics(calibration, weights.tensors) if calibration else calibrate(checkpoint, shards)
    first, rows = curve_points(
        checkpoint, statistics, Yardstick(checkpoint, shards, tokens), families(weights.parameters)
    )
    answer = {"checkpoint": str(checkpoint), "parameters": weights.parameters, "first": first, "points": rows}
    return show(report_of({**answer, "verdicts": verdicts(rows, first)}), ways)


def report_of(answer: dict[str, Any]) -> Report:
    """The report of one model: a sentence a curve, the points, and bytes against divergence."""
    rows = answer["points"]
    says = [
        say(found["family"], words, found[key])
        for found in answer["verdicts"]
        for key, words in (("kl", "divergence"), ("loss", "score"))
    ]
    title = f"{answer['checkpoint']}: {answer['parameters']:,} parameters, bpb_table {answer['first']['bpb_table']:.4f}"
    curves = [
        Series(
            family,
            [row["bytes"] + row["decoder"] for row in rows if row["family"] == family],
            [row["kl"] for row in rows if row["family"] == family],
            style="both",
        )
        for family in dict.fromkeys(row["family"] for row in rows)
    ]
    plot = Plot(
        "curves", "Divergence by size", "bytes, decoder included", "divergence, bits a token", curves, y_log=True
    )
    note = "Files were written and read back; bytes between the points of a curve are interpolated over the logarithm."
    return Report("Bytes at equal damage", says, [Table("points", title, COLUMNS, rows)], [plot], [note], data=answer)


def say(family: str, words: str, found: dict[str, Any] | None) -> str:
    """One sentence about a curve."""
    if not found:
        return f"{family} at equal {words}: no point of the yardstick lies within the curve."
    share = f"{found['best']:.3f} to {found['worst']:.3f}"
    return f"{family} at equal {words}: {share} of the best yardstick's bytes ({found['points']} points)."
