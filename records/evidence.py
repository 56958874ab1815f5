"""What a folder's logs say about its claim: which runs there are, and which of them carry the claimed value.

Matching is by value and by seed, never by label: the same words stand before different methods in public logs. A claim
with d decimals agrees with a logged number when both round to the same d decimals (or the claim was cut, not rounded).
"""

import re
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bpb_audit.log_lines import Metric
from bpb_audit.log_reader import Log, Spent, Stated

from .folder import RecordFolder
from .submission import Claims, decimals

SPREAD = 0.01  # bits per byte: runs of one experiment lie nearer to one another, studies and ablations do not
NAME_SEED = re.compile(r"(?:seed|s)[_-]?(\d{1,7})(?!\d)", re.IGNORECASE)
NAME_NUMBER = re.compile(r"(?:^|[_-])(\d{1,5})$")
PRE_QUANT = re.compile(
    r"pre[-_ ]?quant|post[-_ ]?ema(?!.*quantized)|diagnostic(?!.*quantized)|unquantized|fp32|bf16_eval", re.IGNORECASE
)


def name_seeds(name: str) -> list[int]:
    """The seeds a log's name speaks of: `train_seed42.log` [42], `train_seeds_42_999.log` [42, 999]."""
    stem = Path(name).stem
    several = re.search(r"seeds?((?:[_-]?\d{1,7}(?!\d))+)", stem, re.IGNORECASE)
    if several:
        return [int(n) for n in re.findall(r"\d+", several[1])]
    found = NAME_SEED.search(stem) or NAME_NUMBER.search(stem)
    return [int(found[1])] if found else []


def family(name: str) -> str:
    """A log's name without its numbers: logs of one series share it."""
    return re.sub(r"\d+", "#", name)


@dataclass(frozen=True)
class Run:
    """One training run: a log, or the training of this `number` (from 0) in a log that holds several."""

    log: Log
    number: int = 0

    @property
    def name(self) -> str:
        """The log's name, with the line of the run's first score where a log holds several."""
        first = next(iter([*self.validations, *self.finals]), None)
        return self.log.name if not self.number or first is None else f"{self.log.name}:{first.line}"

    @property
    def finals(self) -> list[Metric]:
        """The scores printed after training, in order."""
        return [m for m in self.log.finals if m.run == self.number]

    @property
    def validations(self) -> list[Metric]:
        """The scores printed during training, in order."""
        return [m for m in self.log.validations if m.run == self.number]

    @property
    def sizes(self) -> list[Stated]:
        """The sizes this run printed, bytes."""
        return [one for one in self.log.sizes if one.run == self.number]

    @property
    def train_times(self) -> list[Spent]:
        """Seconds of training this run printed: the last told, and what it stopped at."""
        return [one for one in self.log.train_times if one.run == self.number]

    @property
    def eval_times(self) -> list[Spent]:
        """Seconds of each evaluation after training; `total_eval_time` is of all of them."""
        return [one for one in self.log.eval_times if one.run == self.number]

    @property
    def worlds(self) -> list[Stated]:
        """How many processes this run printed."""
        return [one for one in self.log.worlds if one.run == self.number]

    @property
    def printed_seed(self) -> int | None:
        """The seed this run printed (the last one before or in it), or None."""
        told = [one for one in self.log.seeds if one.run <= self.number]
        return int(max(told, key=lambda one: (one.run, one.line)).value) if told else None

    @property
    def named_seed(self) -> int | None:
        """The seed in the file's name (`train_seed42.log`, `log_7.txt`), or None."""
        return next(iter(name_seeds(self.log.name)), None)

    @property
    def seed(self) -> int | None:
        """The seed the run printed, else the one in its name, else None."""
        return self.printed_seed if self.printed_seed is not None else self.named_seed

    @property
    def score(self) -> Metric | None:
        """The run's own last word: its last score after training that is not a diagnostic before quantisation."""
        after = [m for m in self.finals if not before_quantisation(m)]
        exact = [m for m in after if m.digits >= 6]
        return (exact or after or [None])[-1]  # type: ignore[list-item]


def seed_at(run: Run, metric: Metric) -> int | None:
    """The seed printed last before a score, which several may follow in one file; else the run's own."""
    before = [one for one in run.log.seeds if one.line <= metric.line]
    return int(before[-1].value) if before else run.seed


def before_quantisation(metric: Metric) -> bool:
    """True for a score of the weights before they were quantised, by step or by what its label says."""
    return metric.during_training or bool(PRE_QUANT.search(metric.label))


def method(label: str) -> str:
    """What a label says of the evaluation, in plain words."""
    low = label.lower()
    words = [
        word
        for key, word in (("sliding", "sliding window"), ("ttt", "test-time training"), ("temp", "temperature"))
        if key in low
    ]
    return " and ".join(words) or "plain evaluation"


def runs_of(log: Log) -> list[Run]:
    """The runs of a log; a run printed twice (console copy and log file in one) counts once, by its scores."""
    runs, told = [], set()
    for number in sorted({metric.run for metric in log.metrics}):
        run = Run(log, number)
        scores = tuple(m.val_bpb for m in run.finals or run.validations)
        if scores and scores not in told:
            told.add(scores)
            runs.append(run)
    return runs


def agrees(claim: str, value: float, digits: int = 8) -> bool:
    """True when `value` (printed with `digits` decimals) rounds, or is cut, to the claim as written.

    >>> agrees("1.2244", 1.22436570), agrees("1.2243", 1.22436570), agrees("1.2242", 1.22436570)
    (True, True, False)
    """
    places = min(decimals(claim), digits)
    unit = 10.0**-places
    gap = value - float(claim) if decimals(claim) <= digits else float(claim) - value
    return abs(gap) <= 0.5 * unit * (1 + 1e-6) + 1e-12 or 0 <= gap < unit


@dataclass(frozen=True)
class MeanMatch:
    """Runs whose scores average to the claim; `label` is what stands before the (last) score."""

    label: str
    pairs: list[tuple[Run, Metric]]

    @property
    def runs(self) -> list[Run]:
        """The runs, in order."""
        return [run for run, _ in self.pairs]

    @property
    def mean(self) -> float:
        """Mean bits per byte."""
        return statistics.fmean(metric.val_bpb for _, metric in self.pairs)


def own_log(seed: str, hits: list[tuple[Run, Metric]]) -> tuple[Run, Metric]:
    """Of several logs that print a seed's value, the one of that seed; a summary that repeats it comes last."""

    def kin(pair: tuple[Run, Metric]) -> tuple[bool, bool, int]:
        return seed == str(seed_at(*pair)), seed == str(pair[0].named_seed), pair[1].digits

    return max(hits, key=kin)


@dataclass
class Case:
    """One folder under judgement, with everything the rules ask of it worked out once."""

    folder: RecordFolder
    audit_options: dict[str, Any] = field(default_factory=dict)  # docs, shards, tokenizer, ... for the auditor
    pull_base: str = ""  # a git revision the pull request starts from

    @property
    def claims(self) -> Claims | None:
        """The reading of submission.json, or None."""
        return self.folder.claims

    @property
    def track(self) -> str:
        """`10min` unless the folder stands in, or speaks of, the non-record track."""
        return self.folder.track or "10min"

    @cached_property
    def runs(self) -> list[Run]:
        """All runs, a log that is byte for byte another one counted once (the one whose name has a seed)."""
        told: dict[str, Log] = {}
        for log in self.folder.logs:
            other = told.get(log.sha256)
            if other is None or NAME_SEED.search(log.name):
                told[log.sha256] = log
        keep = {id(log) for log in told.values()}
        return [run for log in self.folder.logs if id(log) in keep for run in runs_of(log)]

    @cached_property
    def matches(self) -> list[tuple[Run, Metric]]:
        """Every logged score that agrees with the claimed val_bpb, in the order of the logs."""
        if self.claims is None or self.claims.val_bpb is None:
            return []
        claim = self.claims.val_bpb
        # of the validations on the way only the last can be meant; with four digits an earlier one agrees by chance
        return [
            (run, m)
            for run in self.runs
            for m in (*run.validations[-1:], *run.finals)
            if agrees(claim, m.val_bpb, m.digits)
        ]

    @cached_property
    def seed_matches(self) -> list[tuple[str, str, list[tuple[Run, Metric]]]]:
        """For each claimed seed: (seed, claimed value, logged scores that agree with it)."""
        if self.claims is None:
            return []
        return [
            (
                item.seed,
                item.val_bpb,
                [(r, m) for r in self.runs for m in r.finals if agrees(item.val_bpb, m.val_bpb, m.digits)],
            )
            for item in self.claims.seeds
            if item.val_bpb is not None
        ]

    @cached_property
    def label_means(self) -> list[tuple[str, list[Run], float]]:
        """(label, runs, mean) for each label that at least two runs print after training."""
        labels: dict[str, dict[int, tuple[Run, Metric]]] = {}
        for run in self.runs:
            for metric in run.finals:
                labels.setdefault(metric.label, {})[id(run)] = (run, metric)
        return [
            (label, [run for run, _ in by.values()], statistics.fmean(m.val_bpb for _, m in by.values()))
            for label, by in labels.items()
            if len(by) >= 2
        ]

    def digits(self, label: str) -> int:
        """The most decimals any run prints under this label."""
        return max((m.digits for run in self.runs for m in run.finals if m.label == label), default=0)

    @cached_property
    def series(self) -> list[list[tuple[Run, Metric]]]:
        """Runs whose logs differ in their numbers only (`train_seed#.log`), each with its own last score."""
        groups: dict[str, list[tuple[Run, Metric]]] = {}
        for run in self.runs:
            if run.score:
                groups.setdefault(family(run.log.name), []).append((run, run.score))
        return [group for group in groups.values() if len(group) >= 2]

    @cached_property
    def mean_match(self) -> "MeanMatch | None":
        """The runs whose mean is the claim: all under one label, those of the claimed seeds, or the claimed values."""
        if self.claims is None or self.claims.val_bpb is None:
            return None
        claim = self.claims.val_bpb
        seeds = {item.seed for item in self.claims.seeds}
        for which in ("all", "claimed seeds", "near"):
            found = []
            for label, runs, _ in self.label_means:
                pairs = [(r, next(m for m in reversed(r.finals) if m.label == label)) for r in runs]
                if which == "claimed seeds":
                    pairs = [(r, m) for r, m in pairs if {str(r.printed_seed), str(r.named_seed)} & seeds]
                elif which == "near":  # a run that failed, or another experiment, may stand in the same file
                    pairs = [(r, m) for r, m in pairs if abs(m.val_bpb - float(claim)) <= SPREAD]
                if len(pairs) >= 2 and near_mean(claim, statistics.fmean(m.val_bpb for _, m in pairs)):
                    found.append(MeanMatch(label, pairs))
            if found:  # the label with most digits on most different logs
                return max(found, key=lambda f: (len({r.log.name for r, _ in f.pairs}), self.digits(f.label), f.label))
        for series in self.series:
            if near_mean(claim, statistics.fmean(m.val_bpb for _, m in series)):
                return MeanMatch(series[-1][1].label, series)
        hits = [own_log(seed, near) for seed, _, near in self.seed_matches if near]
        every = len(hits) >= 2 and len(hits) == len(self.seed_matches)
        if every and near_mean(claim, statistics.fmean(m.val_bpb for _, m in hits)):
            return MeanMatch(hits[-1][1].label, hits)
        return None

    @property
    def claimed_scores(self) -> list[float]:
        """Bits per byte of the runs the claim rests on: those whose mean it is, else each run's own last score."""
        if self.mean_match:
            return [metric.val_bpb for _, metric in self.mean_match.pairs]
        after = [(run, m) for run, m in self.matches if not before_quantisation(m)]
        if after:
            return [max(after, key=lambda pair: pair[1].digits)[1].val_bpb]
        return [run.score.val_bpb for run in self.supporting if run.score]

    @cached_property
    def supporting(self) -> list[Run]:
        """The runs the claim rests on: those of its mean, those of its seeds, else those that carry its value."""
        if self.mean_match:
            return self.mean_match.runs
        by_seed = [own_log(seed, hits)[0] for seed, _, hits in self.seed_matches if hits]
        chosen = (
            by_seed or [run for run, m in self.matches if not m.during_training] or [run for run, _ in self.matches]
        )
        unique: list[Run] = []
        for run in chosen:
            if run not in unique:
                unique.append(run)
        return unique


def with_facts(runs: list[Run], others: list[Run], has: Callable[[Run], bool]) -> list[Run]:
    """Those of `runs` that have a fact, else those of `others`: a score and its sizes may stand in different logs."""
    return [run for run in runs if has(run)] or [run for run in others if has(run)]


def near_mean(claim: str, mean: float) -> bool:
    """True when the mean rounds (or is cut) to the claim, within one unit of its last written decimal.

    People average numbers they had rounded before; a unit in the last place is what that can move.
    """
    return abs(mean - float(claim)) <= 1.0001 * 10.0 ** -decimals(claim)
