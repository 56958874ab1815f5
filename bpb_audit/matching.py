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

NEARBY = 0.01  # a mean over seeds lies this near to each of them, relative


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
    """The score that stands for a log: the final one nearest to a claimed score, else its last final score.

    Validations on the way stand for a log only where it states no final score.
    """
    finals = [one for one in log.finals if one.loss is not None]
    if not finals:
        return next((one for one in reversed(log.metrics) if one.loss is not None), None)
    scores = scores_of(submission.claim)
    mine = [score for score in scores if score.seed in log.seed_values] or scores
    near = [
        (abs(float(score.bpb) - float(one.bpb)), -one.line, one)
        for score in mine
        for one in finals
        if abs(float(score.bpb) / float(one.bpb) - 1) < NEARBY
    ]
    return min(near, key=lambda hit: (round(hit[0], 4), hit[1]))[2] if near else finals[-1]
