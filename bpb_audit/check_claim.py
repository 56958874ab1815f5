"""Rules PG40x, whether claim and logs belong together by value and seed."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from .check_curve import copied_curves
from .claim_reader import Score
from .context import context_of
from .evidence import Evidence
from .finding import Finding, failed, many, passed, unchecked
from .inversion import bytes_per_token, of_metric, unit
from .log_reader import Log
from .matching import Found, candidates, find, headline, scores_of
from .rules import rule
from .submission import Submission

COPY = "copy both numbers from one line of the log"
NO_LOGS = "ship the training log of every claimed run"
PAIR, SURE = 0.002, 0.005  # relative: a claimed loss this far from its BPB may be, and is, of another evaluation
FOUR_DIGITS = 5.1e-5


@rule("PG401", "submission.json states a score")
def states_score(evidence: Evidence) -> Iterator[Finding]:
    """`submission.json` is a JSON object with a `val_bpb`.

    Without a claim there is nothing to hold the log to. Fix: write the file as one JSON object with at least author,
    name, date (ISO 8601), val_loss, val_bpb, bytes_total, bytes_code.
    """
    submission = evidence.submission
    for problem in submission.problems:
        yield failed(problem, "submission.json", fix="write one plain JSON object")
    if submission.claim is not None:
        main = submission.claim.main
        if main:
            yield passed(f"claims {main.bpb} bits per byte", submission.claim.name, str(main.bpb))
        else:
            yield unchecked("states no val_bpb", submission.claim.name, "add val_bpb, a number in bits per byte")
    elif not submission.problems:
        yield unchecked("no submission.json, so nothing is claimed", submission.path.name, "add a submission.json")


def mean_of(values: list[Decimal]) -> Decimal | None:
    """The mean, or None of nothing."""
    return sum(values, Decimal(0)) / len(values) if values else None


def per_log(submission: Submission) -> list[Decimal]:
    """The headline score of each log; a log that repeats another one counts once."""
    tops = {log.name: metric for log in submission.logs if (metric := headline(log, submission))}
    return list(dict.fromkeys(metric.bpb for metric in tops.values()))


def explained(score: Score, submission: Submission, seeds: list[Found]) -> str | None:
    """How the headline number follows from the logs: a logged value, or a mean; None when it does not."""
    found = find(score, submission.logs)
    if found.metric and found.log and final(found):
        return f"stands at {found.log.name}:{found.metric.line}"
    claimed = [one.score.bpb for one in seeds]
    if (
        seeds
        and all(one.metric and final(one) for one in seeds)
        and (mean := mean_of(claimed))
        and close(score.bpb, mean)
    ):
        return f"is the mean of {len(seeds)} claimed seeds, each in its log"
    logged = per_log(submission)
    if len(logged) > 1 and (mean := mean_of(logged)) and close(score.bpb, mean):
        return f"is the mean of {len(logged)} logs"
    exact = [m.bpb for log in submission.logs for m in log.finals]
    labels = {m.label for log in submission.logs for m in log.finals}
    for label in labels if exact else ():
        values = list(dict.fromkeys(m.bpb for log in submission.logs for m in log.finals if m.label == label))
        if len(values) > 1 and (mean := mean_of(values)) and close(score.bpb, mean):
            return f"is the mean of {len(values)} scores labelled {label}"
    return None


def close(claimed: Decimal, mean: Decimal) -> bool:
    """A claimed mean may be rounded or cut, and be a mean of rounded numbers: four digits after the point are held."""
    return abs(float(claimed) - float(mean)) <= max(min(1.01 * unit(claimed), 1e-3), FOUR_DIGITS)


def final(found: Found) -> bool:
    """False for a validation on the way, where the log also states final scores: of weights before quantisation."""
    return found.metric is not None and (found.metric.step is None or not (found.log and found.log.finals))


def lowest(logs: Iterable[Log]) -> Decimal | None:
    """The best final score that any of these logs ends with."""
    return min((one.bpb for log in logs for one in log.finals or log.metrics[-1:]), default=None)


@rule("PG402", "claimed scores stand in the logs")
def in_logs(evidence: Evidence) -> Iterator[Finding]:
    """Every claimed score is found in a log by its value, or is the mean of scores that are.

    Labels are not trusted: they have carried other methods than they say. A claim that is better than every final
    score of its logs fails, also when it is a validation on the way (of weights before quantisation). A number that
    merely differs, or whose log is not there, is unchecked.
    Fix: claim the numbers that the logs of the shipped runs end with.
    """
    submission = evidence.submission
    claim = submission.claim
    if claim is None or claim.main is None:
        yield unchecked("no claim to look for", fix="add a submission.json with val_bpb")
        return
    if not any(log.metrics for log in submission.logs):
        yield unchecked(f"no log states a score, so {claim.main.bpb} cannot be found", claim.name, NO_LOGS)
        return
    seeds = [find(score, submission.logs) for score in claim.seeds]
    how = explained(claim.main, submission, seeds)
    best = lowest(submission.logs)
    on_the_way = next((one for one in [find(claim.main, submission.logs)] if one.metric and not final(one)), None)
    shipped = {seed for log in submission.logs for seed in log.seed_values}
    missing_runs = [seed for seed in claim.seed_list if shipped and seed not in shipped]
    if how:
        yield passed(f"the claimed {claim.main.bpb} {how}", claim.name, str(claim.main.bpb))
    elif missing_runs or any(one.metric is None and one.score.seed not in shipped for one in seeds):
        says = f"the claimed {claim.main.bpb} is in no log, and logs of claimed runs are missing"
        yield unchecked(says, claim.name, NO_LOGS)
    elif best is not None and claim.main.bpb < best:
        says = f"the claimed {claim.main.bpb} is neither in a log nor a mean of what the logs state"
        where = claim.name
        if on_the_way and on_the_way.log and on_the_way.metric:
            says = f"the claimed {claim.main.bpb} is a validation on the way, not a score of the final artifact"
            where = f"{on_the_way.log.name}:{on_the_way.metric.line}"
        fix = "claim what the logs end with, or ship the logs of the claimed runs"
        yield failed(says, where, str(claim.main.bpb), f"a logged final score; the lowest is {best}", fix)
    else:
        says = f"the claimed {claim.main.bpb} is not a logged score, though not better than all of them"
        yield unchecked(says, claim.name, "say how the claimed number follows from the logs")
    for one in seeds:
        if one.metric is not None and final(one):
            continue
        where = f"{claim.name} {one.score.key}"
        logs = [log for log in submission.logs if one.score.seed in log.seed_values and log.finals]
        own_best = lowest(logs)
        if own_best is not None and one.score.bpb < own_best - Decimal(FOUR_DIGITS):
            near = min((m.bpb for log in logs for m in log.finals), key=lambda bpb: abs(bpb - one.score.bpb))
            says = f"the claimed {one.score.bpb} of seed {one.score.seed} is not in its log"
            yield failed(says, where, str(one.score.bpb), f"{near} in {logs[0].name}", "claim what the log states")
        else:
            yield unchecked(f"the log of the run behind {one.score.bpb} is not here", where, NO_LOGS)


@rule("PG403", "claimed loss and BPB are of one evaluation")
def one_evaluation(evidence: Evidence) -> Iterator[Finding]:
    """`val_loss` (nats per token) and `val_bpb` in submission.json belong to the same evaluation of the same run.

    Their ratio must imply the same bytes per token as the logs; a pre-quantisation loss beside a sliding-window BPB, or
    nats per byte written as val_loss, fails. Fix: copy both numbers from one line of the log (or means of both).
    """
    submission = evidence.submission
    claim = submission.claim
    pairs = [one for one in scores_of(claim) if one.loss is not None]
    logged = [i for log in submission.logs for m in log.finals or log.metrics if (i := of_metric(m)) is not None]
    if not pairs or not logged or claim is None:
        yield unchecked("no claimed loss, or no logged loss to hold it to", fix="state val_loss beside val_bpb")
        return
    good = 0
    known = next((c.reference for log in submission.logs if (c := context_of(log, submission)).reference), None)
    for score in pairs:
        assert score.loss is not None
        interval = bytes_per_token(score.loss, score.bpb, slack=1.01)
        if any(interval.meets(one.low * (1 - PAIR), one.high * (1 + PAIR)) for one in logged):
            good += 1
            continue
        if known and interval.meets(known.low, known.high):
            good += 1
            continue
        near = min(logged, key=lambda one: abs(one.middle - interval.middle))
        says = f"val_loss {score.loss} and val_bpb {score.bpb} are not of one evaluation"
        if abs(interval.middle / near.middle - 1) < SURE:
            yield unchecked(f"{says}, it seems ({interval} bytes per token, {near} in the logs)", claim.name, COPY)
            continue
        yield failed(
            says,
            f"{claim.name} {score.key}",
            f"together they imply {interval} bytes per token",
            f"{near} bytes per token, as in the logs",
            COPY,
        )
    if good:
        yield passed(f"loss and BPB imply the bytes per token of the logs in {many(good, 'claimed pair')}", claim.name)


@rule("PG404", "seeds of claim and logs agree")
def seeds_agree(evidence: Evidence) -> Iterator[Finding]:
    """A per-seed score stands in a log that says it ran with that seed, and no log stands for two seeds.

    Two logs of different seeds with the same scores, or the same training losses step by step, are one run: it fails.

    Fix: name each log after the seed it ran with, and ship one log a run.
    """
    submission = evidence.submission
    claim = submission.claim
    scores = [one for one in (claim.seeds if claim else ()) if one.seed is not None]
    agreed = 0
    for score in scores:
        hits = [hit for hit in candidates(score, submission.logs) if hit[0].seed_values]
        if not hits:
            continue
        if any(score.seed in log.seed_values for log, _ in hits):
            agreed += 1
            continue
        log, metric = hits[0]
        if log.runs > 1 or len(log.seed_values) > 1:
            says = f"{log.name} holds several runs or seeds; which one made {score.bpb} is not clear"
            yield unchecked(says, f"{log.name}:{metric.line}", "ship one log a run")
            continue
        yield failed(
            f"the score claimed for seed {score.seed} stands in a log that ran with seed {log.seed_values[0]}",
            f"{log.name}:{metric.line}",
            f"seed {', '.join(map(str, log.seed_values))}",
            f"seed {score.seed}",
            "state the seed that ran",
        )
    copied = list(twins(submission)) or list(copied_curves(submission))
    yield from copied
    if agreed:
        yield passed(f"{many(agreed, 'claimed seed')} ran under that seed by the logs")
    elif not scores and (told := _single(submission)):
        yield passed(told)
    elif not scores:
        yield unchecked("no per-seed scores are claimed", fix="state seed_results: {seed: {val_bpb, val_loss}}")
    else:
        yield unchecked("no log that states its seed holds a claimed per-seed score", fix=NO_LOGS)


def _single(submission: Submission) -> str | None:
    """What can be said of a claim of one run: the seed of the log that holds it; None when no such log states one."""
    main = submission.claim.main if submission.claim else None
    found = find(main, submission.logs) if main else None
    if found is None or found.log is None or len(found.log.seed_values) != 1:
        return None
    return f"one run is claimed, and the log that holds its score ran with seed {found.log.seed_values[0]}"


def twins(submission: Submission) -> Iterator[Finding]:
    """Logs of different seeds whose scores are all the same: one was copied."""
    seen: dict[tuple[str, ...], Log] = {}
    for log in submission.logs:
        told = tuple(f"{m.bpb}/{m.loss}" for m in log.metrics)
        if len(told) < 3 or not log.seed_values:
            continue
        first = seen.setdefault(told, log)
        if not set(first.seed_values) & set(log.seed_values):
            yield failed(
                f"{first.name} and {log.name} state the same {len(told)} scores under different seeds",
                log.name,
                f"seeds {first.seed_values[0]} and {log.seed_values[0]}",
                "different runs",
                "ship the log of each run",
            )
