"""From loss and BPB back to the bytes: which denominator did a script use?

    bytes per token = val_loss / (ln 2 * val_bpb)

Both numbers are printed, so the denominator shows, whatever the code says. Printed digits make it an interval. It is
held against the reference that applies: a recount of the given text, or the published table when the run is known to
be on the real validation split. The ratio of implied to true bytes names the error.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from .log_lines import Metric
from .reference import ABOVE, BELOW_SEQUENCES, DOCUMENTS, Split, named

LN2 = math.log(2.0)
DIFFERENT = (
    "bytes and losses are of different targets (partial coverage, another text), or miscounted in an unlisted way"
)
ALONE = (
    "this BPB is not of the loss beside it, as the run's other scores imply the reference: part of the targets, or a "
    "mixture with another predictor"
)
NEAR = 0.005  # a ratio this close to 1 that no tolerance covers is a question, not an accusation


@dataclass(frozen=True, slots=True)
class Interval:
    """Bytes per token that two printed numbers allow: `low` <= true <= `high`."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    def meets(self, low: float, high: float) -> bool:
        """True when some value lies in both."""
        return self.low <= high and low <= self.high

    def __str__(self) -> str:
        digits = max(2, min(6, 1 - math.floor(math.log10(max(self.high - self.low, 1e-9)))))
        return f"{self.middle:.{digits}f}"


def unit(value: Decimal) -> float:
    """The value of the last printed digit: 0.0001 for 1.2244."""
    exponent = value.as_tuple().exponent
    return 10.0 ** min(exponent, 0) if isinstance(exponent, int) else 1.0


def bytes_per_token(loss: Decimal, bpb: Decimal, slack: float = 0.51) -> Interval:
    """The interval of bytes per token from nats per token and bits per byte; `slack` in units of the last digit."""
    dl, db = slack * unit(loss), slack * unit(bpb)
    low = max(float(loss) - dl, 0.0) / ((float(bpb) + db) * LN2)
    high = (float(loss) + dl) / (max(float(bpb) - db, 1e-12) * LN2)
    return Interval(low, high)


def of_metric(metric: Metric) -> Interval | None:
    """The interval of a log's metric, or None when it states no loss."""
    return None if metric.loss is None else bytes_per_token(metric.loss, metric.bpb)


class Match(Enum):
    """How implied bytes stand to a reference."""

    GOOD = "good"
    WRONG = "wrong"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Reference:
    """True bytes per token, and what it rests on. `low` and `high` bound what honest runs imply."""

    bytes_per_token: float
    low: float
    high: float
    basis: str
    split: str = ""
    sure: bool = True  # False: only names say that the text is the published split


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an interval means against a reference: `ratio` of implied to true bytes per token, `cause` in words."""

    match: Match
    ratio: float
    cause: str
    known: bool = False  # the cause is a known error, so that the loss can be trusted and the score corrected


def published(split: Split, targets: int | None, seq_len: int) -> Reference:
    """The reference of a published split, for `targets` scored tokens (None: as many as it has)."""
    scored = targets or split.tokens
    truth = split.bytes / scored
    below = BELOW_SEQUENCES * seq_len * truth
    low = (split.bytes - below) / scored
    high = (split.bytes + ABOVE) / scored
    basis = f"{split.bytes:,} bytes by the official table over {scored:,} targets of {split.name}"
    return Reference(truth, low, high, basis, split.name, targets is not None)


def judge(found: Interval, reference: Reference, targets: int | None, alone: bool = False) -> Judgement:
    """Compare implied bytes per token with the reference; name the error by its ratio.

    `alone`: the other scores of the same run do imply the reference, so its counting is right and this score is of
    something else than the loss printed beside it.
    """
    ratio = found.middle / reference.bytes_per_token
    if found.meets(reference.low, reference.high):
        return Judgement(Match.GOOD, ratio, "")
    if targets and targets > 100 * DOCUMENTS and reference.split:
        marks = targets / (targets - DOCUMENTS)
        if found.meets(reference.low * marks, reference.high * marks):
            return Judgement(Match.GOOD, ratio, "the 50,000 document marks are not among the targets")
    if abs(ratio - 1) <= NEAR and not named(ratio, reference.split):
        return Judgement(Match.UNSURE, ratio, "close to the reference, but outside what honest runs imply")
    if alone and "case operators" not in (named(ratio, reference.split) or ""):
        return Judgement(Match.WRONG, ratio, ALONE)
    known = named(ratio, reference.split)
    if known:
        return Judgement(Match.WRONG, ratio, known, True)
    if short_constant(found):
        what = f"a constant, {found.middle:.4g} bytes per token, instead of a count"
        if abs(found.middle - 1) < 1e-5:
            what = "bits per token printed as bits per byte (one byte per token)"
        return Judgement(Match.WRONG, ratio, what, True)
    if not reference.sure:
        return Judgement(Match.UNSURE, ratio, "partial coverage, another text, or another vocabulary of the same name")
    return Judgement(Match.WRONG, ratio, DIFFERENT)


def short_constant(found: Interval) -> bool:
    """True when the interval is narrow and holds a number of at most three decimals: nobody counts that."""
    narrow = found.high - found.low < 2e-5
    return narrow and any(found.low <= round(found.middle, places) <= found.high for places in (0, 1, 2, 3))
