"""The training part of the report: curves from metrics.jsonl or the log, and a table of what the run was."""

from pathlib import Path
from typing import Any

from bpb_audit.log_reader import read_log

from .report_data import number, pick

MOST_POINTS = 600
Points = list[tuple[float, float]]


def curves(place: Path | None, metrics: list[dict[str, Any]]) -> tuple[Points, Points, str]:
    """(training points, validation points, x axis). Points are (step, nats per token)."""
    train: Points = []
    validation: Points = []
    for row in metrics:
        step = number(pick(row, "step", "iteration"))
        loss, held = number(pick(row, "train_loss", "loss")), number(pick(row, "val_loss"))
        if step is not None and loss is not None:
            train.append((step, loss))
        if step is not None and held is not None:
            validation.append((step, held))
    if place is not None and not (train and validation):
        log = read_log(place)
        train = train or [(float(point.step), point.loss) for point in log.curve]
        validation = validation or [
            (float(m.step), m.val_loss) for m in log.validations if m.step is not None and m.val_loss is not None
        ]
    return smooth(train), validation, "step"


def smooth(points: Points) -> Points:
    """At most `MOST_POINTS` points, each the mean of its neighbours, so that a long run stays a small picture."""
    if len(points) <= MOST_POINTS:
        return points
    width = -(-len(points) // MOST_POINTS)
    groups = [points[i : i + width] for i in range(0, len(points), width)]
    return [(group[len(group) // 2][0], sum(y for _, y in group) / len(group)) for group in groups]


def facts(place: Path | None, config: Any) -> tuple[str, list[tuple[str, str]]]:
    """A sentence and a table: steps, time, device, and the shape of the model."""
    rows: list[tuple[str, str]] = []
    lead = ""
    if place is not None:
        log = read_log(place)
        steps, spent = log.last_step, (log.train_times[-1].seconds if log.train_times else None)
        if steps is not None:
            rows.append(("steps", f"{steps:,}"))
        if spent is not None:
            rows.append(("training time", f"{spent:,.1f} s"))
            if steps:
                rows.append(("time a step", f"{spent / steps * 1000:,.1f} ms"))
        if log.worlds:
            rows.append(("processes", log.worlds[-1].value))
        if log.seed_values:
            rows.append(("seed", str(log.seed_values[-1])))
        if log.gpus:
            rows.append(("GPUs", f"{len(log.gpus)} x {log.gpus[0].value}"))
        if steps is not None and spent is not None:
            lead = f"{steps:,} steps in {spent:,.0f} seconds."
    for key, word in (
        ("device", "device"),
        ("num_layers", "layers"),
        ("model_dim", "width"),
        ("num_heads", "heads"),
        ("num_kv_heads", "key and value heads"),
        ("vocab_size", "vocabulary"),
        ("train_seq_len", "sequence"),
        ("train_batch_tokens", "tokens a step"),
        ("parameters", "parameters"),
    ):
        value = find(config, key)
        if value is not None and value != "auto":
            rows.append((word, f"{value:,}" if isinstance(value, int) else str(value)))
    return lead, rows


def find(config: Any, key: str, depth: int = 3) -> Any:
    """A plain value by key, at the top of a config or in the dicts below it, in any case."""
    if not isinstance(config, dict) or depth < 0:
        return None
    for name, value in config.items():
        if str(name).lower() == key and isinstance(value, str | int | float) and value != "":
            return value
    return next((hit for v in config.values() if (hit := find(v, key, depth - 1)) is not None), None)
