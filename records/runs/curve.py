"""What a training says so far: losses, validations, time, sizes; of our own runs and of anybody's `train.log`.

The log may begin with the script's own source, closed by a line of 100 `=`; words in there are no numbers. A line that
is half written is left for the next look. Our own runs say every step in `metrics.jsonl` beside the log, which names
only some of them.
"""

import json
import math
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STEP = re.compile(
    r"step:(?P<step>\d+)/(?P<last>\d+) (?:train_loss:(?P<train>[\d.einfa+-]+)|val_loss:(?P<val>[\d.einfa+-]+) "
    r"val_bpb:(?P<bpb>[\d.einfa+-]+))(?: train_time:(?P<ms>[\d.]+)ms)?"
)
FINAL = re.compile(r"final_(?P<label>\S+)_exact val_loss:(?P<loss>[\d.]+) val_bpb:(?P<bpb>[\d.]+)")
TOTAL = re.compile(r"Total submission size (?P<label>\S+): (?P<bytes>\d+) bytes")
NUMBER = re.compile(r"(?P<key>model_params|train_batch_tokens|max_wallclock_seconds|world_size):(?P<value>[\d.]+)")
RULE = b"=" * 100


@dataclass(slots=True)
class Curve:
    """A log's numbers. train: (step, seconds, nats per token). held: (step, seconds, nats per token, bits per byte).

    finals: label -> bits per byte after a round trip. totals: label -> bytes of code and weights. facts: parameters,
    tokens a step, the cap in seconds.
    last: the step the log counts to. fine: every step is there, from metrics.jsonl.
    """

    train: list[tuple[int, float, float]] = field(default_factory=list)
    held: list[tuple[int, float, float, float]] = field(default_factory=list)
    finals: dict[str, float] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    last: int = 0
    fine: bool = False

    @property
    def step(self) -> int:
        """The newest step."""
        return max([p[0] for p in self.train[-1:]] + [p[0] for p in self.held[-1:]], default=0)

    @property
    def seconds(self) -> float:
        """Training time so far."""
        return max([p[1] for p in self.train[-1:]] + [p[1] for p in self.held[-1:]], default=0.0)

    def line(self, text: str) -> None:
        """Take one line; one whose numbers are none ("1.2.3", thousands of digits) says nothing."""
        with suppress(ValueError, OverflowError, RecursionError):
            self.said(text)

    def said(self, text: str) -> None:
        """The same. Raises ValueError, OverflowError or RecursionError."""
        if found := STEP.match(text):
            self.last = int(found["last"])
            step, seconds = int(found["step"]), float(found["ms"] or 0) / 1000
            if found["train"] and self.fine:
                return
            if found["train"]:
                self.train.append((step, seconds, float(found["train"])))
            else:
                self.held.append((step, seconds, float(found["val"]), float(found["bpb"])))
        elif found := FINAL.match(text):
            self.finals[found["label"].removesuffix("_roundtrip")] = float(found["bpb"])
        elif found := TOTAL.match(text):
            self.totals[found["label"]] = int(found["bytes"])
        elif text.startswith("{"):
            self.numbers(text)
        elif text.startswith("config:{"):
            self.config = json.loads(text.removeprefix("config:"))
        elif text.startswith("resumed: step:") and (found := re.match(r"resumed: step:(\d+)", text)):
            step = int(found[1])  # what came after the checkpoint was cut, or is said again
            self.train = [p for p in self.train if p[0] <= step]
            self.held = [p for p in self.held if p[0] <= step]
        else:
            for found in NUMBER.finditer(text):
                if math.isfinite(value := float(found["value"])):
                    self.facts.setdefault(found["key"], value)

    def numbers(self, text: str) -> None:
        """Take one line of metrics.jsonl; what is no step of training is in the log, too."""
        said = json.loads(text)
        try:
            step, seconds, loss = int(said["step"]), float(said["train_ms"]) / 1000, float(said["train_loss"])
        except (KeyError, TypeError):
            return
        if not self.fine:
            self.train, self.fine = [], True
        self.train.append((step, seconds, loss))


class Follower:
    """Reads a log, and metrics.jsonl beside it, as they grow; both may be cut shorter, as a resumed run does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = [path, *([path.with_name("metrics.jsonl")] if path.name == "train.log" else [])]
        self.forget()

    def forget(self) -> None:
        """Begin at the files' heads."""
        self.curve = Curve()
        self.places = dict.fromkeys(self.files, 0)
        self.rests = dict.fromkeys(self.files, b"")

    def look(self) -> bool:
        """Read what is new; whether there was something. Raises OSError when the log is not there."""
        sizes = {self.path: self.path.stat().st_size}
        sizes |= {file: file.stat().st_size for file in self.files[1:] if file.is_file()}
        if any(size < self.places[file] for file, size in sizes.items()):
            self.forget()
        before = dict(self.places)
        for file, size in sizes.items():
            if size > self.places[file]:
                self.read(file, size)
        return before != self.places

    def read(self, file: Path, size: int) -> None:
        """The new bytes of one file, up to `size`."""
        with file.open("rb") as stream:
            stream.seek(self.places[file])
            data = self.rests[file] + stream.read(size - self.places[file])
        self.places[file] = size
        *lines, self.rests[file] = data.split(b"\n")
        for line in lines:
            if line.rstrip(b"\r") == RULE:  # what stood before was the script's own source
                self.curve = Curve()
            else:
                self.curve.line(line.decode("utf-8", "replace").rstrip("\r"))


def read_curve(path: Path) -> Curve:
    """All that a log, and metrics.jsonl beside it, say now. Raises OSError."""
    follower = Follower(path)
    follower.look()
    for rest in follower.rests.values():
        follower.curve.line(rest.decode("utf-8", "replace"))
    return follower.curve
