"""The tables of a record's README, made from the run's log and configuration."""

from typing import TYPE_CHECKING, Any

from .evidence import before_quantisation

if TYPE_CHECKING:
    from .new import RunFolder


def score_rows(source: "RunFolder") -> list[dict[str, str]]:
    """Before and after quantisation, each score once, with the digits the log prints."""
    rows: dict[float, dict[str, str]] = {}
    last = source.run.validations[-1:] if source.run.validations else []
    for metric in [*last, *source.run.finals]:
        early = before_quantisation(metric)
        what = "before quantisation" if early else f"after the round trip (`{metric.label}`)"
        loss = "" if metric.val_loss is None else f"{metric.val_loss:.{metric.digits}f}"
        row = {"what": what, "loss": loss, "bpb": f"{metric.val_bpb:.{metric.digits}f}"}
        rounded = next((key for key in rows if abs(key - metric.val_bpb) < 10.0**-4), None)
        if rounded is not None and not (early and "before" not in rows[rounded]["what"]):
            del rows[rounded]
        rows[metric.val_bpb] = row
    return list(rows.values())


def run_rows(source: "RunFolder") -> list[tuple[str, str]]:
    """What ran, where, for how long."""
    log = source.run.log
    rows: list[tuple[str, str]] = []
    seed = source.run.printed_seed if source.run.printed_seed is not None else source.config.get("seed")
    if seed is not None:
        rows.append(("seed", str(seed)))
    if log.last_step is not None:
        rows.append(("steps", f"{log.last_step:,}"))
    if log.train_times:
        spent = log.train_times[-1].seconds
        rows.append(("training time", f"{spent:,.1f} s"))
        if log.last_step:
            rows.append(("time a step", f"{spent / log.last_step * 1000:,.2f} ms"))
    evals = [m.seconds for m in source.run.finals if m.seconds is not None]
    if evals:
        rows.append(("evaluation time", f"{evals[-1]:,.1f} s"))
    gpus = sorted({one.value for one in log.gpus})
    device = str(source.config.get("device", "")) or ", ".join(gpus)
    if device == "auto":
        device = ", ".join(gpus)
    if device:
        rows.append(("device", device))
    if log.worlds:
        rows.append(("processes", log.worlds[-1].value))
    if log.memory:
        rows.append(("memory", log.memory[-1].value.removeprefix("peak memory ")))
    return rows


def curve_rows(source: "RunFolder", most: int) -> list[dict[str, Any]]:
    """Up to `most` validations during training, evenly spread, the first and the last among them."""
    seen = source.run.validations
    if len(seen) < 2:
        return []
    count = min(most, len(seen))
    picked = sorted({round(i * (len(seen) - 1) / (count - 1)) for i in range(count)}) if count > 1 else [0]
    rows = []
    for metric in (seen[i] for i in picked):
        rows.append(
            {
                "step": metric.step or 0,
                "loss": "" if metric.val_loss is None else f"{metric.val_loss:.4f}",
                "bpb": f"{metric.val_bpb:.4f}",
                "seconds": "" if metric.seconds is None else f"{metric.seconds:,.1f}",
            }
        )
    return rows


def config_rows(config: dict[str, Any], most: int = 60) -> list[tuple[str, str]]:
    """Plain values of config.json, nested ones with a dot, in their order."""
    rows: list[tuple[str, str]] = []

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), inner)
        elif value is None or isinstance(value, str | int | float | bool):
            text = str(value).replace("|", "\\|").replace("\n", " ")
            if "/" not in text and len(text) < 100 and prefix != "command":
                rows.append((prefix, text))

    walk("", config)
    return rows[:most]


def command(source: "RunFolder") -> str:
    """The command that repeats the run: torchrun with as many processes; every setting is an environment variable."""
    given = source.config.get("command")
    if isinstance(given, str) and given.strip():
        return given.strip()
    processes = int(source.run.log.worlds[-1].value) if source.run.log.worlds else 1
    names = [name.upper() for name, value in source.config.items() if isinstance(value, str | int | float)]
    paths = [f"{name}=... \\\n" for name in ("DATA_PATH", "TOKENIZER_PATH") if name in names]
    start = (
        f"torchrun --standalone --nproc_per_node={processes} train_gpt.py" if processes > 1 else "python train_gpt.py"
    )
    return "".join(paths) + start
