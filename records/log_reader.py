"""Reads a training log of any known spelling, a line at a time, in bounded memory.

Many logs open with the whole script that ran, closed by a line of `=`; some hold several runs, or several such dumps.
A number in dumped source is a literal, not a result. So while the text looks like Python, whatever is found is put
aside; a closing line throws it away. A dump without a closing line ends at its last line that is plainly Python.

What is kept is bounded whatever the file holds: long lines are cut, curves are thinned by halves, lists have caps.
"""

import hashlib
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from .errors import RecordError
from .log_lines import (
    GPU,
    PAIR,
    RULE,
    SEED,
    SOURCE_LINE,
    SOURCE_START,
    STAMP,
    STEP,
    WORLD,
    Metric,
    before_number,
    parse_metrics,
    parse_size,
    seconds,
)

LINE_BYTES = 1 << 16
SOURCE_SIGNS = frozenset("ifadc@#")  # what a line of SOURCE_START, or of STAMP, can begin with
STAMP_SIGNS = frozenset("[r0123456789")
CURVE_POINTS = 4096
LIST_CAP = 20_000
SOURCE_CAP = 4 << 20


@dataclass
class Curve:
    """Points of a curve, thinned so that never more than `CURVE_POINTS` stay: (line, step, value, milliseconds)."""

    points: list[tuple[int, int, float, float | None]] = field(default_factory=list)
    stride: int = 1
    seen: int = 0
    last: tuple[int, int, float, float | None] | None = None

    def add(self, line: int, step: int, value: float, ms: float | None) -> None:
        """Keep every `stride`-th point, and always the last."""
        self.last = (line, step, value, ms)
        if self.seen % self.stride == 0:
            self.points.append(self.last)
        self.seen += 1
        if len(self.points) > CURVE_POINTS:
            self.points = self.points[::2]
            self.stride *= 2

    def forget_from(self, line: int) -> None:
        """Drop what was read at or after `line`: it stood in dumped source."""
        self.points = [p for p in self.points if p[0] < line]
        self.last = self.points[-1] if self.points else None

    def whole(self) -> list[tuple[int, int, float, float | None]]:
        """The kept points, the last one included."""
        return self.points if self.last is None or self.points[-1:] == [self.last] else [*self.points, self.last]


@dataclass
class Log:
    """What one log file states. Lines count from 1; times in seconds; sizes in bytes."""

    name: str
    bytes: int = 0
    lines: int = 0
    sha256: str = ""
    finals: list[Metric] = field(default_factory=list)
    validations: list[Metric] = field(default_factory=list)
    train: Curve = field(default_factory=Curve)
    validation: Curve = field(default_factory=Curve)
    sizes: list[tuple[int, str, int]] = field(default_factory=list)
    seeds: list[tuple[int, int]] = field(default_factory=list)
    worlds: list[tuple[int, int]] = field(default_factory=list)
    gpus: list[tuple[int, str]] = field(default_factory=list)
    train_times: list[tuple[int, float]] = field(default_factory=list)
    eval_times: list[tuple[int, float]] = field(default_factory=list)
    stopped_early: list[int] = field(default_factory=list)
    memory: list[tuple[int, str]] = field(default_factory=list)
    run_starts: list[int] = field(default_factory=list)
    sources: list[tuple[int, int, str]] = field(default_factory=list)  # first line, last line, text

    @property
    def metrics(self) -> list[Metric]:
        """Every score of the log, in order."""
        return sorted(self.validations + self.finals, key=lambda m: m.line)

    @property
    def runs(self) -> int:
        """How many trainings stand in this file: the step number starting again marks a new one.

        The same run printed twice (a console's copy followed by the log file itself) counts once.
        """
        bounds = [0, *self.run_starts[1:], self.lines + 1]
        parts = [tuple(m.val_bpb for m in self.finals if a <= m.line < b) for a, b in pairwise(bounds)]
        told = {part for part in parts if part}
        return len(told) or int(bool(self.metrics or self.run_starts))

    @property
    def seed_values(self) -> list[int]:
        """The seeds printed, each once, in order."""
        return list(dict.fromkeys(seed for _, seed in self.seeds))

    @property
    def last_step(self) -> int | None:
        """The highest step the log reports, or None."""
        ends = [curve.last[1] for curve in (self.train, self.validation) if curve.last]
        return max(ends) if ends else None

    def forget_from(self, line: int) -> None:
        """Drop everything read at or after `line`."""
        self.finals = [m for m in self.finals if m.line < line]
        self.validations = [m for m in self.validations if m.line < line]
        self.train.forget_from(line)
        self.validation.forget_from(line)
        for name in ("sizes", "seeds", "worlds", "gpus", "train_times", "eval_times", "memory"):
            setattr(self, name, [item for item in getattr(self, name) if item[0] < line])
        self.run_starts = [start for start in self.run_starts if start < line]
        self.stopped_early = [start for start in self.stopped_early if start < line]


class _Reader:
    """The state of one pass: where a dump began, and the step last seen."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.source_from: int | None = None
        self.last_code = 0
        self.source: list[str] = []
        self.source_bytes = 0
        self.step = -1
        self.previous: list[str] = []

    def feed(self, number: int, text: str) -> None:
        if text[:1] == "=" and RULE.match(text):
            if self.source_from is not None and self.last_code > self.source_from + 3:
                self.close(number, number)
            self.source_from = None
            self.previous = []
            return
        if self.source_from is None and text[:1] in SOURCE_SIGNS and SOURCE_START.match(text):
            self.source_from = number - len(self.previous)
            self.source, self.source_bytes = list(self.previous), 0
            self.last_code = number
        if self.source_from is not None:
            if self.source_bytes < SOURCE_CAP:
                self.source.append(text)
                self.source_bytes += len(text)
            if SOURCE_LINE.match(text):
                self.last_code = number
        elif text.startswith(("#", '"', "'")) or self.previous:
            # a docstring or comment that may open a script; kept aside until the next line tells
            self.previous = [*self.previous, text][-200:]
        self.read(number, text)

    def close(self, number: int, end: int) -> None:
        """A dump ended at line `end` (exclusive): what it seemed to say is forgotten."""
        assert self.source_from is not None
        start = self.source_from
        later = self.kept_after(end)
        self.log.forget_from(start)
        for line, text in later:
            self.read(line, text)
        if len(self.log.sources) < 8:
            body = self.source[: max(0, end - start)]
            self.log.sources.append((start, end - 1, "\n".join(body)))
        self.source_from, self.source, self.source_bytes = None, [], 0
        self.step = -1

    def kept_after(self, end: int) -> list[tuple[int, str]]:
        assert self.source_from is not None
        return [(self.source_from + i, t) for i, t in enumerate(self.source) if self.source_from + i >= end]

    def finish(self) -> None:
        """At the end of the file an open dump closes after its last line that is plainly Python."""
        if self.source_from is not None and self.last_code > self.source_from + 20:
            self.close(self.last_code + 1, self.last_code + 1)

    def read(self, number: int, text: str) -> None:
        log = self.log
        bare = STAMP.sub("", text) if text[:1] in STAMP_SIGNS else text
        step = STEP.match(bare)
        found = parse_metrics(number, text)
        metric = found[-1] if found else None
        if step:
            self.read_step(number, bare, int(step[1]), metric)
        elif metric and len(log.finals) < LIST_CAP:
            log.finals += found
            if metric.eval_seconds is not None:
                log.eval_times.append((number, metric.eval_seconds))
        if "size" in text or "bytes" in text or "artifact:" in text:
            size = parse_size(number, text)
            if size and len(log.sizes) < LIST_CAP:
                log.sizes.append(size)
        self.read_words(number, bare)

    def read_step(self, number: int, text: str, step: int, metric: Metric | None) -> None:
        log = self.log
        if any(sign in before_number(text) for sign in "\"'#({"):
            return
        if self.step < 0 or step < self.step:
            log.run_starts.append(number)
        self.step = step
        pairs = {m[1]: (m[2], m[3]) for m in PAIR.finditer(text)}
        ms = seconds(*pairs["train_time"]) * 1000 if "train_time" in pairs else None
        if metric:
            log.validation.add(number, step, metric.val_bpb, ms)
            if len(log.validations) < LIST_CAP:
                log.validations.append(metric)
        elif "train_loss" in pairs:
            log.train.add(number, step, float(pairs["train_loss"][0]), ms)
        if ms is not None:
            if log.train_times and log.run_starts and log.train_times[-1][0] >= log.run_starts[-1]:
                log.train_times[-1] = (number, ms / 1000)
            else:
                log.train_times.append((number, ms / 1000))

    def read_words(self, number: int, text: str) -> None:
        log = self.log
        if len(log.seeds) < LIST_CAP and "eed" in text and '"' not in text and "(" not in text:
            for found in SEED.finditer(text):
                log.seeds.append((number, int(found[1])))
        if "world_size" in text and (found_world := WORLD.search(text)) and "if " not in text:
            log.worlds.append((number, int(found_world[1])))
        if "NVIDIA" in text and len(log.gpus) < 1024 and (found_gpu := GPU.search(text)):
            log.gpus.append((number, (found_gpu[1] or found_gpu[2]).strip()))
        if text.startswith("stopping_early"):
            log.stopped_early.append(number)
            pairs = {m[1]: (m[2], m[3]) for m in PAIR.finditer(text)}
            if "train_time" in pairs:  # more exact than the minutes some scripts print by the step
                log.train_times.append((number, seconds(*pairs["train_time"])))
        if text.startswith("peak memory allocated"):
            log.memory.append((number, text.strip()))
        if text.startswith("total_eval_time") and (pair := PAIR.search(text)):
            log.eval_times.append((number, seconds(pair[2], pair[3] or "s")))


def read_log(path: Path, name: str | None = None) -> Log:
    """Read one log in bounded memory (about 10 MB at most, whatever its size).

    Returns a `Log`; an empty or binary file gives a Log without metrics. Raises RecordError when the file cannot be
    read.
    """
    try:
        with path.open("rb") as file:
            return read_stream(file, name or path.name)
    except OSError as error:
        raise RecordError(f"{path}: the log cannot be read ({error.strerror}). Give a readable train.log.") from error


def read_stream(file: BinaryIO, name: str) -> Log:
    """The same from an open binary stream; `name` is what findings will call it."""
    log = Log(name)
    reader = _Reader(log)
    digest = hashlib.sha256()
    number, cut = 0, False
    while piece := file.readline(LINE_BYTES):
        digest.update(piece)
        log.bytes += len(piece)
        whole = piece.endswith(b"\n")
        if not cut:
            number += 1
            text = piece.rstrip(b"\r\n").decode("utf-8", "replace")
            reader.feed(number, text.rpartition("\r")[2])
        cut = not whole
    reader.finish()
    log.lines, log.sha256 = number, digest.hexdigest()
    return log
