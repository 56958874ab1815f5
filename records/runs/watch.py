"""A training as it goes on: where it stands, how fast it is, when it will end, and where its curve is going.

On a terminal the picture is drawn again in place; in a pipe there is a line whenever the log says something new. The
forecast is a power law through the losses so far, so it is worth what such laws are worth: it knows nothing of a rate
that falls at the end, and is shown as a forecast.
"""

import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pglab_report_machine import value

from .curve import Curve, Follower
from .errors import RunError
from .guess import spelled
from .results import read_json

QUIET = 120.0  # seconds without a word after which a run that is not finished is said to be silent
BITS = {"int8": 7.4, "int6": 5.3, "official": 7.1}  # bits a weight of trained weights; the tour's, see README.md


def log_of(place: Path) -> Path:
    """The training log that `place` means. Raises RunError when there is none."""
    if place.is_file():
        return place
    if (place / "train.log").is_file():
        return place / "train.log"
    said = read_json(place / "run.json")
    if isinstance(said, dict):
        folders = [
            place.parent / str(row.get("folder"))
            for row in (said["stages"] if isinstance(said.get("stages"), list) else ())
            if isinstance(row, dict) and row.get("verb") == "train"
        ]
        logs = [folder / "train.log" for folder in folders if (folder / "train.log").is_file()]
        if logs:
            return max(logs, key=lambda log: log.stat().st_mtime)
    raise RunError(f"{place}: no train.log there yet. Give the folder of a training: pglab watch runs/x")


def forecast(curve: Curve) -> float | None:
    """The training loss at the run's last step, in nats per token, by loss = a + b step^-c; None while it is too early.

    Fitted by least squares to the means of the later half of the steps, in which a settles.
    """
    end = last_step(curve)
    points = [(p[0], p[2]) for p in curve.train if p[0] > 20 and math.isfinite(p[2])]
    if end is None or len(points) < 12:
        return None
    import numpy as np
    from scipy.optimize import curve_fit

    steps = np.array([p[0] for p in points], float)
    losses = np.array([p[1] for p in points], float)
    late = steps >= steps[-1] / 8

    def law(x: Any, a: float, b: float, c: float) -> Any:
        return a + b * (x / steps[-1]) ** -c

    try:
        found, _ = curve_fit(law, steps[late], losses[late], (losses[-1] * 0.8, losses[-1] * 0.2, 0.3),
                             bounds=([0, 0, 0.01], [losses.max(), losses.max() * 2, 2]), maxfev=2000)  # fmt: skip
    except (RuntimeError, ValueError):
        return None
    value = float(law(end, *found))
    return value if math.isfinite(value) else None


def last_step(curve: Curve) -> int | None:
    """The step at which the run will end: its last one, or the one that the cap in seconds allows at this pace."""
    cap = curve.facts.get("max_wallclock_seconds", 0.0)
    if not curve.step or not curve.last:
        return None
    if cap and curve.seconds:
        return min(curve.last, max(curve.step, round(curve.step * cap / curve.seconds)))
    return curve.last


def state(curve: Curve) -> dict[str, Any]:
    """Everything there is to say, by name; None for what is not known yet."""
    recent = [p for p in curve.train if p[1] > curve.seconds - 30][-50:]
    pace = None
    if len(recent) > 1 and recent[-1][0] > recent[0][0]:
        pace = (recent[-1][1] - recent[0][1]) / (recent[-1][0] - recent[0][0])
    elif curve.step:
        pace = curve.seconds / curve.step
    end, tokens = last_step(curve), curve.facts.get("train_batch_tokens")
    held = curve.held[-1] if curve.held else None
    scale = next((p[3] / p[2] for p in reversed(curve.held) if p[2] > 0 and p[3] > 0), None)
    loss = sum(p[2] for p in recent) / len(recent) if recent else None
    final = forecast(curve) if not curve.finals else None
    return {
        "step": curve.step,
        "last": end,
        "loss": loss,
        "bpb_train": loss * scale if loss is not None and scale else None,
        "bpb_held": held[3] if held else None,
        "step_ms": 1000 * pace if pace else None,
        "tokens_s": tokens / pace if tokens and pace else None,
        "seconds": curve.seconds,
        "left": pace * (end - curve.step) if pace and end is not None else None,
        "final_loss": final,
        "final_bpb": final * scale if final is not None and scale else None,
        "bytes": artifact_guess(curve),
        "finals": dict(curve.finals),
        "totals": dict(curve.totals),
    }


def artifact_guess(curve: Curve) -> int | None:
    """Bytes of the packed weights, from the parameters and what such a codec has needed; None when neither is known."""
    bits = next((value for name, value in BITS.items() if str(curve.config.get("codec", "")).startswith(name)), None)
    parameters = curve.facts.get("model_params")
    return round(parameters * bits / 8) if bits and parameters else None


def words(now: dict[str, Any]) -> list[tuple[str, str]]:
    """The state as (name, words), in reading order."""
    told = [("step", f"{now['step']:,}" + (f" of about {now['last']:,}" if now["last"] else ""))]
    if now["loss"] is not None:
        told.append(("training loss", f"{now['loss']:.4f} nats per token"
                     + (f", {now['bpb_train']:.4f} bits per byte" if now["bpb_train"] else "")))  # fmt: skip
    if now["bpb_held"] is not None:
        told.append(("validation", f"{now['bpb_held']:.4f} bits per byte"))
    if now["step_ms"]:
        speed = f", {now['tokens_s']:,.0f} tokens/s" if now["tokens_s"] else ""
        told.append(("a step", f"{now['step_ms']:,.1f} ms{speed}"))
    told.append(("trained", spelled(now["seconds"])))
    if now["finals"]:
        told += [(f"final {label}", f"{bpb:.6f} bits per byte") for label, bpb in now["finals"].items()]
        told += [(f"size {label}", f"{size:,} bytes with code") for label, size in now["totals"].items()]
        return told
    if now["left"] is not None:
        told.append(("left", f"about {spelled(now['left'])}"))
    if now["final_loss"] is not None:
        told.append(("forecast", f"by a power law, which knows no warm-down: {now['final_loss']:.3f} nats per token"
                     + (f", {now['final_bpb']:.3f} bits per byte" if now["final_bpb"] else "")))  # fmt: skip
    if now["bytes"]:
        told.append(
            ("artifact", f"about {now['bytes']:,} bytes of weights, as trained weights of such codecs came out")
        )
    return told


def is_over(log: Path, curve: Curve) -> bool:
    """Whether the training is finished: its folder says so, or its log ends with the scores of its files."""
    return (log.parent / "checkpoint/finished.json").is_file() or len(curve.finals) >= 2


def spark(values: Sequence[float], width: int) -> str:
    """A curve as a line of blocks, lowest to highest."""
    if len(values) < 2:
        return ""
    step = max(1, math.ceil(len(values) / width))
    means = [sum(values[i : i + step]) / len(values[i : i + step]) for i in range(0, len(values), step)]
    low, high = min(means), max(means)
    return "".join("▁▂▃▄▅▆▇█"[round(7 * (v - low) / (high - low or 1))] for v in means)


def follow(place: Path, every: float, once: bool, as_json: bool = False) -> int:
    """Show a training until it ends; 0. as_json: a line of JSON for each look. Raises RunError when there is no log."""
    from rich.console import Console
    from rich.live import Live

    if every <= 0:
        raise RunError(f"--every {every}: wanted seconds above 0.")
    follower = Follower(log_of(place))
    console = Console(highlight=False)
    follower.look()
    curve = follower.curve
    if not (curve.step or curve.facts or curve.finals) and (once or silence(follower.path)):
        raise RunError(
            f"{follower.path}: no line of a training log in it; wanted lines such as step:10/500 train_loss:5.1"
        )
    live = console.is_terminal and not once and not as_json
    if not live:
        return lines(follower, every, once, as_json)
    with Live(panel(follower), console=console, refresh_per_second=4) as picture:
        while not is_over(follower.path, follower.curve):
            time.sleep(every)
            follower.look()
            picture.update(panel(follower))
    return 0


def panel(follower: Follower) -> Any:
    """The picture for a terminal."""
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for name, said in words(state(follower.curve)):
        grid.add_row(Text(name, style="dim"), Text(said))
    if drawn := spark([p[2] for p in follower.curve.train if p[0] > follower.curve.step / 20], 60):
        grid.add_row(Text("curve", style="dim"), Text(drawn))
    if told := silence(follower.path):
        grid.add_row(Text("note", style="dim"), Text(told))
    return Panel(grid, title=Text(str(follower.path.parent)), title_align="left")


def silence(log: Path) -> str:
    """A word when the log has not grown for long."""
    age = time.time() - log.stat().st_mtime
    return f"nothing new for {spelled(age)}; the run may have been stopped." if age > QUIET else ""


def lines(follower: Follower, every: float, once: bool, as_json: bool = False) -> int:
    """A line whenever something is new, for pipes and files; with `once`, one and leave."""
    told = ""
    while True:
        found = state(follower.curve)
        if as_json:
            now = json.dumps({**value(found), "over": is_over(follower.path, follower.curve)}, allow_nan=False)
        else:
            now = "; ".join(f"{name} {said}" for name, said in words(found))
        if now != told:
            print(now, flush=True)
            told = now
        if once or is_over(follower.path, follower.curve):
            return 0
        if says := silence(follower.path):
            print(says, file=sys.stderr)
            return 1
        time.sleep(every)
        follower.look()
