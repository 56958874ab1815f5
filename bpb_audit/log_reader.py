"""Reads a training log of any spelling in one pass and bounded memory.

Many logs open with the whole script that ran, closed by a line of 100 `=`; some hold several runs or several dumps. A
number in dumped source is a literal, not a result, so what was read between the first line that is plainly Python and
the closing line is forgotten, and the source itself is kept for the rules that compare it. A dump that nothing closes
ends at its last line that is plainly Python.

A log in UTF-16 with its byte order mark, as PowerShell redirects output, is read as what it says.

Whatever the file holds, memory stays bounded: lines are cut at 64 KiB, lists have caps (the first and the last are
kept), dumped source is kept up to 4 MiB a file.
"""

import codecs
import io
import itertools
import re
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

from .errors import AuditError
from .log_lines import STEP, Metric, bare, parse_metric

LINE_BYTES = 1 << 16
WORDS = 4096  # characters of a line in which a seed is looked for
KEEP_FIRST, KEEP_LAST = 2048, 2048
SOURCE_CHARS = 4 << 20
SOURCES = 8

T = TypeVar("T")

CLOSING = re.compile(r"^={100}\s*$")
PYTHON_START = re.compile(
    r"^(?:import [\w.]+|from [\w.]+ import\b|#!/\S*python|#!/usr/bin/env|@\w|def \w+\(|class \w+[(:]|exec\()"
)
PYTHON_LINE = re.compile(
    r"^(?:[ \t]+\S|[\])}]|(?:import|from|def|class|if|elif|else|for|while|with|try|except|return|exec|async)\b|"
    r"[A-Za-z_][\w.\[\]]* ?[-+*/|]?= ?|#|@\w|\"\"\"|'''|$)"
)
PYTHON_SURE = re.compile(
    r"^(?:[ \t]+(?:return\b|self\.|if .*:$|for .* in |while .*:$|else:|try:|def \w+\(|raise |with )|import \w|"
    r"from [\w.]+ import|def \w+\(|class \w+[(:]|exec\(|if __name__)"
)
SIZE = re.compile(r"^\s{0,8}([A-Za-z][\w +()./-]{2,70}?)\s{0,16}[:=]\s{0,16}(\d[\d,]{0,20})\s{0,4}(?:bytes|B)\b")
SEED = re.compile(r"(?:^|[\s,{])(?:RUN )?['\"]?[Ss](?:eed|EED)['\"]?\s{0,8}[:=]\s{0,8}(\d{1,12})\b")
FACT = re.compile(
    r"(?:^|[\s,:{'\"])(vocab_size|tokenizer_path|tokenizer_kind|train_seq_len|eval_seq_len|eval_stride|val_tokens|"
    r"datasets_dir|data_path|dataset|val_files|pattern|stride|caseops_enabled|bytes_per_token)"
    r"['\"]?\s{0,8}[:=]\s{0,8}['\"]?([^\s,'\"]{1,300})"
)
TRAIN_LOSS = re.compile(r"\btrain_loss\s{0,4}[:=]\s{0,4}(\d{1,6}\.\d{1,12})\b")
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
    """A number or a word that a log states beside its scores: `name`, `value` as printed, at `line`."""

    line: int
    name: str
    value: str
    run: int = 0


@dataclass(frozen=True, slots=True)
class Dump:
    """Source that a log holds: lines `first` to `last` (from 1, inclusive), `text` without the closing line."""

    first: int
    last: int
    text: str
    whole: bool = True


@dataclass
class Log:
    """What one log file states, each list in file order; `sizes` in bytes, `runs` counts trainings."""

    name: str
    lines: int = 0
    bytes: int = 0
    runs: int = 1
    metrics: list[Metric] = field(default_factory=list)
    sizes: list[Stated] = field(default_factory=list)
    seeds: list[Stated] = field(default_factory=list)
    facts: list[Stated] = field(default_factory=list)
    curve: list[Stated] = field(default_factory=list)  # training losses, nats per token; `name` is the step
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


class _Pass:
    """The state of one pass over a log."""

    def __init__(self) -> None:
        self.metrics: Kept[Metric] = Kept()
        self.sizes: Kept[Stated] = Kept()
        self.seeds: Kept[Stated] = Kept()
        self.facts: Kept[Stated] = Kept()
        self.curve: Kept[Stated] = Kept()
        self.dumps: list[Dump] = []
        self.gone: deque[tuple[int, int]] = deque(maxlen=4096)  # (first, last) lines found to be source
        self.run, self.step = 0, -1
        self.opened: int | None = None
        self.text: list[str] = []
        self.chars = self.likely = self.sure = self.seen = self.last_sure = 0
        self.lead: deque[str] = deque(maxlen=200)

    def feed(self, line: int, text: str) -> None:
        if CLOSING.match(text):
            self.close(line - 1)
            self.lead.clear()
            return
        if self.opened is None and PYTHON_START.match(text):
            self.opened = line - len(self.lead)
            self.text, self.chars = list(self.lead), 0
            self.likely = self.seen = len(self.lead)
            self.sure, self.last_sure = 0, line
        if self.opened is not None:
            if self.chars < SOURCE_CHARS:
                self.text.append(text)
                self.chars += len(text)
            self.seen += 1
            self.likely += bool(PYTHON_LINE.match(text))
            if PYTHON_SURE.match(text):
                self.sure, self.last_sure = self.sure + 1, line
        elif text.startswith(("#", '"', "'")) or self.lead:
            self.lead.append(text)
        self.read(line, text)

    def close(self, last: int) -> None:
        """A line of 100 `=` came: what stood since the opening was source, when it looks like source."""
        if self.opened is not None and self.sure and self.likely >= 0.5 * self.seen:
            self.keep(self.opened, last)
        self.opened, self.text = None, []

    def keep(self, first: int, last: int) -> None:
        self.gone.append((first, last))
        if len(self.dumps) < SOURCES:
            body = self.text[: last - first + 1]
            self.dumps.append(Dump(first, last, "\n".join(body), self.chars < SOURCE_CHARS))

    def finish(self) -> None:
        """At the end of the file an open dump ends at its last line that is plainly Python."""
        if self.opened is not None and self.sure > 20:
            self.keep(self.opened, self.last_sure)

    def read(self, line: int, text: str) -> None:
        text = text.rstrip()
        step = STEP.match(bare(text)) if "/" in text[:60] else None
        if step:
            now = int(step[1])
            if now < self.step and "loss" in text:
                self.run += 1
            if "loss" in text:
                self.step = now
            if loss := TRAIN_LOSS.search(text[:WORDS]):
                self.curve.add(Stated(line, step[1], loss[1], self.run))
        metric = parse_metric(line, text, self.run)
        if metric:
            self.metrics.add(metric)
        elif "bytes" in text or text.endswith("B"):
            size = SIZE.match(bare(text))
            if size:
                self.sizes.add(Stated(line, size[1].strip(), size[2].replace(",", ""), self.run))
        words = text[:WORDS]
        if ("eed" in words or "EED" in words) and "(" not in text:
            for seed in SEED.finditer(words):
                self.seeds.add(Stated(line, "seed", seed[1], self.run))
        self.read_facts(line, text)

    def read_facts(self, line: int, text: str) -> None:
        if "byte_sidecar" in text and "(" not in text:
            self.facts.add(Stated(line, "byte_sidecar", "enabled", self.run))
        if "okens" in text[:500] and (tokens := VAL_TOKENS.match(bare(text))):
            self.facts.add(Stated(line, "val_tokens", tokens[1].replace(",", ""), self.run))
        if "(" in text[:80] or "{" in text[:80]:
            return
        for name, value in FACT.findall(text[:2000]):
            if name != "val_tokens":
                self.facts.add(Stated(line, name, value, self.run))

    def result(self, name: str, lines: int, size: int) -> Log:
        spans = list(self.gone)

        def real(line: int) -> bool:
            return not any(first <= line <= last for first, last in spans)

        metrics = [one for one in self.metrics.all() if real(one.line)]
        return Log(
            name,
            lines,
            size,
            len({one.run for one in metrics}) or 1,
            metrics,
            [one for one in self.sizes.all() if real(one.line)],
            [one for one in self.seeds.all() if real(one.line)],
            [one for one in self.facts.all() if real(one.line)],
            [one for one in self.curve.all() if real(one.line)],
            self.dumps,
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
        with path.open("rb") as file:
            return read_stream(file, name or path.name)
    except OSError as error:
        raise AuditError(f"{path}: the log cannot be read ({error.strerror}); give a readable file.") from error


def read_stream(file: BinaryIO, name: str) -> Log:
    """The same from an open binary stream. Any bytes give a Log; it may hold nothing."""
    state = _Pass()
    line = size = 0
    cut, wide = False, None
    head = file.readline(LINE_BYTES)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        wide = _Recoded(head, file)
        file = io.BufferedReader(wide)
        head = file.readline(LINE_BYTES)
    for piece in itertools.chain([head] if head else [], iter(lambda: file.readline(LINE_BYTES), b"")):
        size += len(piece)
        if not cut:
            line += 1
            text = piece.removeprefix(codecs.BOM_UTF8) if line == 1 else piece
            state.feed(line, text.rstrip(b"\r\n").decode("utf-8", "replace").rpartition("\r")[2])
        cut = not piece.endswith(b"\n")
    state.finish()
    return state.result(name, line, wide.taken if wide else size)
