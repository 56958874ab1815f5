"""Claims and logs find each other by value and seed, never by label: labels have carried other methods than they say.

A claimed number and a logged one are the same when they agree within the rounding of the coarser; a claim may also be
cut instead of rounded, so a whole unit of its last digit is allowed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from .claim_reader import Claim, Score
from .inversion import unit
from .log_lines import Metric
from .log_reader import Log
from .submission import Submission


def same(claimed: Decimal, logged: Decimal) -> bool:
    """True when the two agree within one unit of the claim's last digit, or half a unit of the log's."""
    room = max(1.0001 * unit(claimed) if claimed.as_tuple().exponent != 0 else 0.0, 0.5001 * unit(logged))
    return abs(float(claimed) - float(logged)) <= min(room, 1e-3)


@dataclass(frozen=True, slots=True)
class Found:
    """A claimed score and where it stands in the logs; `metric` None when nowhere."""

    score: Score
    log: Log | None = None
    metric: Metric | None = None


def scores_of(claim: Claim | None) -> list[Score]:
    """Headline first, then the per-seed scores."""
    if claim is None:
        return []
    return ([claim.main] if claim.main else []) + list(claim.seeds)


def candidates(score: Score, logs: tuple[Log, ...]) -> Iterator[tuple[Log, Metric]]:
    """Every logged metric with the claimed value; exact labels and the same seed first."""
    hits = [(log, one) for log in logs for one in log.metrics if same(score.bpb, one.bpb)]
    hits.sort(
        key=lambda hit: (
            score.seed is not None and score.seed not in hit[0].seed_values,
            hit[1].loss is None,
            hit[1].step is not None,
            unit(hit[1].bpb),
        )
    )
    yield from hits


def find(score: Score, logs: tuple[Log, ...]) -> Found:
    """The best place in the logs for one claimed score."""
    hit = next(candidates(score, logs), None)
    return Found(score, *hit) if hit else Found(score)


def headline(log: Log, submission: Submission) -> Metric | None:
    """The score that stands for a log: one that is claimed, else its last final score, else its last validation."""
    for score in scores_of(submission.claim):
        for one in sorted(log.metrics, key=lambda metric: (metric.loss is None, -metric.line)):
            if one.loss is not None and same(score.bpb, one.bpb):
                return one
    finals = [one for one in log.finals if one.loss is not None]
    return finals[-1] if finals else next((one for one in reversed(log.metrics) if one.loss is not None), None)
