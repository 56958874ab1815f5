"""Reads a training log of any spelling in one pass and bounded memory: scores, seeds, sizes, times, machine, curves.

Dumped source is found (log_dump.py) and what seemed to be said there is forgotten. A file may hold several trainings:
the step number starting again marks a new one, which begins behind the last result of the one before, so that its
seed and settings are its own.

A log in UTF-16 with its byte order mark, as PowerShell redirects output, is read as what it says.

Whatever the file holds, memory stays bounded: lines are cut at 64 KiB, lists have caps (the first and the last are
kept), curves are thinned by halves, dumped source is kept up to 4 MiB a file.
"""

import codecs
import hashlib
import io
import itertools
import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

from .errors import AuditError
from .log_dump import Dump, DumpFinder
from .log_lines import PAIR, STEP, Metric, bare, parse_metrics, seconds
from .log_sizes import sizes_in

LINE_BYTES = 1 << 16
WORDS = 4096  # characters of a line in which a seed is looked for
KEEP_FIRST, KEEP_LAST = 2048, 2048
CURVE_POINTS = 4096
KEPT_LOGS = 12  # logs kept read: those of a record folder

T = TypeVar("T")

SEED = re.compile(r"(?:^|[\s,{])(?:RUN )?['\"]?[Ss](?:eed|EED)['\"]?\s{0,8}[:=]\s{0,8}(\d{1,12})\b")
SEED_HEAD = re.compile(
    r"^[-=#*\s]{0,40}[Ss]eed[ _#]{0,3}(\d{1,12})[-=#*:\s]{0,40}$"
)  # `--- Seed 42 ---` over its results
FACT = re.compile(
    r"(?:^|[\s,:{'\"])(vocab_size|tokenizer_path|tokenizer_kind|train_seq_len|eval_seq_len|eval_stride|val_tokens|"
    r"datasets_dir|data_path|dataset|val_files|pattern|stride|caseops_enabled|bytes_per_token)"
    r"['\"]?\s{0,8}[:=]\s{0,8}['\"]?([^\s,'\"]{1,300})"
)
WORLD = re.compile(r"\bworld_size\s{0,8}[:=]\s{0,8}(\d{1,5})\b")
GPU = re.compile(
    r"^device \d+: (NVIDIA [\w .-]+)$|\|\s+\d+\s+(NVIDIA [A-Za-z0-9 .-]+?)(?:\s{2,}|\.\.\.|\s+(?:On|Off)\b)"
)
LIMIT = re.compile(
    r"^([A-Za-z_]{3,60})\s{0,4}[:=]\s{0,4}(\d{1,9}(?:\.\d{1,9})?)s \(must be <=? ?(\d{1,9}(?:\.\d{1,9})?)\)"
)
VAL_TOKENS = re.compile(
    r"^\s{0,8}(?:val_loader:.{0,400}?\btokens|val_tokens|val tokens|validation tokens)"
    r"\s{0,4}[:=]\s{0,4}(\d[\d,]{0,18})\b",
    re.I,
)


class Kept(Generic[T]):
    """A list that keeps its first and last items: `KEEP_FIRST` and `KEEP_LAST` of them, whatever comes."""

    def __init__(self) -> None:
        self.first: list[T] = []
        self.last: deque[T] = deque(maxlen=KEEP_LAST)

    def add(self, item: T) -> None:
        if len(self.first) < KEEP_FIRST:
            self.first.append(item)
        else:
            self.last.append(item)

    def all(self) -> list[T]:
        return [*self.first, *self.last]


@dataclass(frozen=True, slots=True)
class Stated:
    """A number or a word that a log states beside its scores: `name`, `value` as printed, at `line`.

    `room`: what rounding leaves to either side of a size, bytes.
    """

    line: int
    name: str
    value: str
    run: int = 0
    room: int = 0


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds that something took, at `line`; `name` is empty for training, `total_eval_time` for all evaluations."""

    line: int
    seconds: float
    name: str = ""
    run: int = 0
    limit: float | None = None  # what the line itself says it must be below


@dataclass(frozen=True, slots=True)
class Point:
    """A training loss (nats per token) at a step; `ms` milliseconds of training so far, None when not printed."""

    line: int
    step: int
    loss: float
    ms: float | None = None
    run: int = 0


class Curve:
    """Points, thinned by halves so that never more than `CURVE_POINTS` stay; the last one is always there."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.stride, self.seen = 1, 0
        self.last: Point | None = None

    def add(self, point: Point) -> None:
        self.last = point
        if self.seen % self.stride == 0:
            self.points.append(point)
        self.seen += 1
        if len(self.points) > CURVE_POINTS:
            self.points = self.points[::2]
            self.stride *= 2

    def whole(self) -> list[Point]:
        return self.points if self.last is None or self.points[-1:] == [self.last] else [*self.points, self.last]


@dataclass
class Log:
    """What one log file states, each list in file order; sizes in bytes, times in seconds, `runs` counts trainings."""

    name: str
    lines: int = 0
    bytes: int = 0
    sha256: str = ""
    runs: int = 1
    metrics: list[Metric] = field(default_factory=list)
    sizes: list[Stated] = field(default_factory=list)
    seeds: list[Stated] = field(default_factory=list)
    facts: list[Stated] = field(default_factory=list)
    worlds: list[Stated] = field(default_factory=list)
    gpus: list[Stated] = field(default_factory=list)
    memory: list[Stated] = field(default_factory=list)
    times: list[Spent] = field(default_factory=list)
    curve: list[Point] = field(default_factory=list)
    last_step: int | None = None
    dumps: list[Dump] = field(default_factory=list)

    def fact(self, name: str) -> str | None:
        """The last value stated under `name`, or None."""
        return next((one.value for one in reversed(self.facts) if one.name == name), None)

    @property
    def seed_values(self) -> list[int]:
        """Seeds stated, each once, in order."""
        return list(dict.fromkeys(int(one.value) for one in self.seeds))

    @property
    def finals(self) -> list[Metric]:
        """Scores that are not validations on the way."""
        return [one for one in self.metrics if one.step is None]

    @property
    def validations(self) -> list[Metric]:
        """Scores printed while training."""
        return [one for one in self.metrics if one.step is not None]

    @property
    def train_times(self) -> list[Spent]:
        """Seconds of training, the last told of each run and what it stopped at."""
        return [one for one in self.times if not one.name]

    @property
    def eval_times(self) -> list[Spent]:
        """Seconds of each evaluation after training, and of all together where the log says so; in file order."""
        told = [Spent(m.line, m.seconds, m.label or "val_bpb", m.run) for m in self.finals if m.seconds is not None]
        once = {one.line: one for one in told}
        whole = [one for one in self.times if one.name == TOTAL]
        return sorted([*once.values(), *whole], key=lambda one: one.line)


TOTAL = "total_eval_time"


class _Pass:
    """The state of one pass over a log."""

    def __init__(self) -> None:
        self.dump = DumpFinder()
        self.metrics: Kept[Metric] = Kept()
        self.stated: dict[str, Kept[Stated]] = {name: Kept() for name in ("sizes", "seeds", "facts", "worlds", "gpus")}
        self.memory: Kept[Stated] = Kept()
        self.times: Kept[Spent] = Kept()
        self.curve = Curve()
        # (line of a step that starts again, line behind which its run begins)
        self.bounds: list[tuple[int, int]] = []
        # (line, step, time of training by then) of the last lines that gave a result
        self.said: deque[tuple[int, int, Spent | None]] = deque(maxlen=KEEP_LAST)

    def feed(self, line: int, text: str) -> None:
        if self.dump.feed(line, text):
            first = self.dump.gone[-1][0]  # what looked like results from there on was source
            while self.said and self.said[-1][0] >= first:
                self.said.pop()
            while self.bounds and self.bounds[-1][0] >= first:
                self.bounds.pop()
            return
        self.read(line, text.rstrip())

    @property
    def step(self) -> int:
        """The step last told, -1 before the first."""
        return self.said[-1][1] if self.said else -1

    @property
    def trained(self) -> Spent | None:
        """The time of training last told in this run."""
        return self.said[-1][2] if self.said else None

    def read(self, line: int, text: str) -> None:
        step = None
        if "/" in text[:60] and (step := STEP.match(told := bare(text))) and "loss" in text:
            self.read_step(line, told, int(step[1]))
        found = parse_metrics(line, text)
        for metric in found:
            self.metrics.add(metric)
        if found:
            self.said.append((line, self.step, self.trained))
        elif "ytes" in text or "B" in text or "budget:" in text:
            for size in sizes_in(bare(text[:WORDS])):
                self.stated["sizes"].add(Stated(line, size.label, str(size.bytes), 0, size.room))
                self.said.append((line, self.step, self.trained))
        self.read_words(line, text)

    def read_step(self, line: int, text: str, now: int) -> None:
        if now < self.step:
            if len(self.bounds) < KEEP_FIRST:
                self.bounds.append((line, self.said[-1][0] if self.said else 0))
            if self.trained is not None:
                self.times.add(self.trained)
        pairs = {m[1]: (m[2], m[3]) for m in PAIR.finditer(text[:WORDS])}
        spent = seconds(*pairs["train_time"]) if "train_time" in pairs else None
        if "train_loss" in pairs and len(pairs["train_loss"][0]) < 20:
            self.curve.add(Point(line, now, float(pairs["train_loss"][0]), None if spent is None else spent * 1000))
        before = self.trained if now >= self.step else None
        self.said.append((line, now, before if spent is None else Spent(line, spent)))

    def read_words(self, line: int, text: str) -> None:
        words = text[:WORDS]
        if ("eed" in words or "EED" in words) and "(" not in text:
            head = SEED_HEAD.match(words)
            for seed in [head] if head else SEED.finditer(words):
                self.stated["seeds"].add(Stated(line, "seed", seed[1]))
        if "world_size" in words and "if " not in words and (world := WORLD.search(words)):
            self.stated["worlds"].add(Stated(line, "world_size", world[1]))
        if "NVIDIA" in words and (gpu := GPU.search(words)):
            self.stated["gpus"].add(Stated(line, "gpu", (gpu[1] or gpu[2]).strip()))
        told = bare(words)
        if told.startswith("stopping_early"):
            pairs = {m[1]: (m[2], m[3]) for m in PAIR.finditer(told)}
            if "train_time" in pairs:  # more exact than the minutes some scripts print by the step
                self.times.add(Spent(line, seconds(*pairs["train_time"])))
        elif told.startswith("peak memory"):
            self.memory.add(Stated(line, "memory", told.strip()))
        elif told.startswith(TOTAL) and (pair := PAIR.search(told)):
            self.times.add(Spent(line, seconds(pair[2], pair[3] or "s"), TOTAL))
        elif "(must be <" in told and (limit := LIMIT.match(told)):
            self.times.add(Spent(line, float(limit[2]), limit[1], 0, float(limit[3])))
        self.read_facts(line, text)

    def read_facts(self, line: int, text: str) -> None:
        facts = self.stated["facts"]
        if "byte_sidecar" in text and "(" not in text:
            facts.add(Stated(line, "byte_sidecar", "enabled"))
        if "okens" in text[:500] and (tokens := VAL_TOKENS.match(bare(text))):
            facts.add(Stated(line, "val_tokens", tokens[1].replace(",", "")))
        if "(" in text[:80] or "{" in text[:80]:
            return
        for name, value in FACT.findall(text[:2000]):
            if name != "val_tokens":
                facts.add(Stated(line, name, value))

    def result(self, name: str, lines: int, size: int, digest: str) -> Log:
        self.dump.finish()
        if self.trained is not None:
            self.times.add(self.trained)
        spans = list(self.dump.gone)
        bounds = [behind for line, behind in self.bounds if not any(first <= line <= last for first, last in spans)]

        def real(items: Iterable[Any]) -> list[Any]:
            """Items that do not stand in source, each with the number of its run."""
            kept = [one for one in items if not any(first <= one.line <= last for first, last in spans)]
            return [replace(one, run=bisect_left(bounds, one.line)) for one in kept] if bounds else kept

        stated = {key: real(kept.all()) for key, kept in self.stated.items()}
        metrics = real(self.metrics.all())
        curve = real(self.curve.whole())
        steps = [point.step for point in curve] + [metric.step for metric in metrics if metric.step is not None]
        return Log(
            name,
            lines,
            size,
            digest,
            len({one.run for one in metrics}) or 1,
            metrics,
            memory=real(self.memory.all()),
            times=sorted(real(self.times.all()), key=lambda one: one.line),
            curve=curve,
            last_step=max(steps, default=None),
            dumps=self.dump.dumps,
            **stated,
        )


class _Recoded(io.RawIOBase):
    """UTF-16 read as UTF-8: `head` was already taken from `file`, and opens with the byte order mark."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self.file, self.left = file, head
        self.decoder = codecs.getincrementaldecoder("utf-16")("replace")
        self.ready, self.taken = b"", 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        room = memoryview(buffer)
        while not self.ready:
            data, self.left = self.left or self.file.read(LINE_BYTES), b""
            self.taken += len(data)
            self.ready = self.decoder.decode(data, final=not data).encode("utf-8", "replace")
            if not data:
                break
        taken, self.ready = self.ready[: len(room)], self.ready[len(room) :]
        room[: len(taken)] = taken
        return len(taken)


def read_log(path: Path, name: str | None = None) -> Log:
    """Read one log; `name` is what findings call it. Raises AuditError when the file cannot be read."""
    try:
        state = path.stat()
        return _read_once(path.resolve(), name or path.name, state.st_mtime_ns, state.st_size)
    except OSError as error:
        raise AuditError(f"{path}: the log cannot be read ({error.strerror}); give a readable file.") from error


@lru_cache(maxsize=KEPT_LOGS)
def _read_once(path: Path, name: str, changed: int, size: int) -> Log:
    """A log is asked for by many rules, and read anew only when the file has changed. Nobody changes a Log."""
    with path.open("rb") as file:
        return read_stream(file, name)


def read_stream(file: BinaryIO, name: str) -> Log:
    """The same from an open binary stream. Any bytes give a Log; it may hold nothing."""
    state = _Pass()
    line = size = 0
    cut, wide = False, None
    digest = hashlib.sha256()
    head = file.readline(LINE_BYTES)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        wide = _Recoded(head, file)
        file = io.BufferedReader(wide)
        head = file.readline(LINE_BYTES)
    for piece in itertools.chain([head] if head else [], iter(lambda: file.readline(LINE_BYTES), b"")):
        size += len(piece)
        digest.update(piece)
        if not cut:
            line += 1
            text = piece.removeprefix(codecs.BOM_UTF8) if line == 1 else piece
            state.feed(line, text.rstrip(b"\r\n").decode("utf-8", "replace").rpartition("\r")[2])
        cut = not piece.endswith(b"\n")
    return state.result(name, line, wide.taken if wide else size, digest.hexdigest())
