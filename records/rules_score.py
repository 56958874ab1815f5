"""RC3xx: the claimed score: does a log print it, by which method, and is it the mean or the best of the runs."""

import statistics
from collections.abc import Iterator

from bpb_audit.log_lines import Metric

from .evidence import Case, Run, before_quantisation, family, method, near_mean, own_log, seed_at
from .finding import Finding
from .rules import Say, rule


def place(run: Run, metric: Metric) -> str:
    """`train_seed42.log:831`."""
    return f"{run.log.name}:{metric.line}"


@rule("RC301", "claimed val_bpb is in the logs")
def claim_in_logs(case: Case) -> Iterator[Finding]:
    """The claimed `val_bpb` is a number a log prints, or the mean over runs of one such number.

    Matched by value, to the decimals the claim is written with; labels do not count, as public logs print 33 spellings
    of the last line, and numbers in dumped source do not count either. Without a log or a claim it is UNCHECKED. When
    logs print scores and none of them, nor any mean over runs, is the claim, the rule fails.

    Fix: take the number from the log; give the mean over runs with its runs in `seed_results`.
    """
    say, claims = Say("RC301"), case.claims
    if claims is None or claims.val_bpb is None:
        yield say.unchecked("no val_bpb is claimed")
        return
    scores = [(run, m) for run in case.runs for m in (*run.finals, *run.validations)]
    if not scores:
        yield say.unchecked("no log prints a score to compare with", found=claims.val_bpb)
        return
    if case.mean_match:
        label, runs, mean = case.mean_match.label, case.mean_match.runs, case.mean_match.mean
        yield say.ok(
            f"the mean of {len(runs)} runs ({label})",
            found=f"{mean:.8f}",
            expected=claims.val_bpb,
            where=", ".join(run.name for run in runs[:6]),
        )
    elif case.matches:
        run, metric = max(case.matches, key=lambda pair: (not before_quantisation(pair[1]), pair[1].digits))
        yield say.ok(
            f"printed by the log ({metric.label or 'a validation on the way'})",
            found=f"{metric.val_bpb:.{metric.digits}f}",
            expected=claims.val_bpb,
            where=place(run, metric),
        )
    else:
        run, metric = min(scores, key=lambda pair: abs(pair[1].val_bpb - float(claims.val_bpb or 0)))
        more = "; ".join(f"{run.name}: {run.score.val_bpb:.{run.score.digits}f}" for run in case.runs[:8] if run.score)
        yield say.fail(
            "no log prints the claimed val_bpb, and no mean over runs is it",
            where=place(run, metric),
            found=f"nearest {metric.val_bpb:.{metric.digits}f} ({metric.label}); last scores: {more or 'none'}",
            expected=claims.val_bpb,
            fix="claim what the log prints, or add the log that prints it",
        )


@rule("RC302", "claimed values of seeds are in their logs")
def seed_values(case: Case) -> Iterator[Finding]:
    """Each value in `seed_results` is printed by a log of that seed.

    A value that no log prints fails; so does one printed only by a log whose own seed is another. When that log prints
    no seed and its name has none, the value counts as found.

    Fix: correct `seed_results`, or add the log.
    """
    say, claims = Say("RC302"), case.claims
    if claims is None:
        yield say.unchecked("no readable submission.json")
        return
    if not case.seed_matches:
        if len(case.runs) == 1:
            yield say.ok("one run; no values by seed are claimed")
        else:
            yield say.unchecked("no values by seed are claimed")
        return
    if not any(run.finals for run in case.runs):
        yield say.unchecked("no log prints a score to compare with")
        return
    for seed, value, hits in case.seed_matches:
        own = [(r, m) for r, m in hits if (told := seed_at(r, m)) is None or seed == str(told)]
        if own:
            run, metric = own_log(seed, own)
            value_told = f"{metric.val_bpb:.{metric.digits}f}"
            yield say.ok(f"seed {seed} as claimed", found=value_told, expected=value, where=place(run, metric))
        elif hits:
            run, metric = hits[-1]
            stated = seed_at(run, metric)
            yield say.fail(
                f"the value of seed {seed} stands in a log of seed {stated}",
                where=place(run, metric),
                found=f"seed {stated}",
                expected=f"seed {seed}",
                fix="name the seed that ran",
            )
        else:
            yield say.fail(
                f"no log prints the value claimed for seed {seed}",
                where=claims.file,
                found="not in the logs",
                expected=value,
                fix="correct the value, or add the log",
            )


@rule("RC303", "score is after quantisation")
def after_quantisation(case: Case) -> Iterator[Finding]:
    """The claimed value is a score of the decoded artifact, not of the weights before quantisation.

    A claim that only matches a validation during training, or a line that calls itself pre-quantisation, fails. The
    finding names the method the matching line speaks of (sliding window, test-time training), and, where the same run
    prints another value under a plain round-trip label, says both.

    Fix: claim the value printed after the round trip.
    """
    say, claims = Say("RC303"), case.claims
    if claims is None or claims.val_bpb is None or not (case.matches or case.mean_match):
        yield say.unchecked("no log line matches the claim, so its method is unknown")
        return
    matched = case.mean_match.pairs[:1] if case.mean_match else list(case.matches)
    good = [(run, m) for run, m in matched if not before_quantisation(m)]
    if good:
        run, metric = good[-1]
        yield say.ok(f"after the round trip: {method(metric.label)}", where=place(run, metric), found=metric.label)
    elif matched:
        run, metric = matched[-1]
        after = run.score
        yield say.fail(
            "the claimed value is a score before quantisation",
            where=place(run, metric),
            found=metric.label,
            expected=f"{after.val_bpb:.8f} ({after.label})" if after else "a score after the round trip",
            fix="claim the score of the decoded artifact",
        )


@rule("RC304", "mean, not best")
def mean_not_best(case: Case) -> Iterator[Finding]:
    """With several runs of one method, the claim is their mean and not the best of them.

    The best of n runs flatters by about one standard deviation at three runs. The finding gives mean, best and claim.
    One run, or a claim that is nobody's best, passes.

    Fix: claim the mean over all runs made.
    """
    say, claims = Say("RC304"), case.claims
    if claims is None or claims.val_bpb is None:
        yield say.unchecked("no val_bpb is claimed")
        return
    if case.mean_match:
        yield say.ok(f"the claim is the mean of {len(case.mean_match.runs)} runs", found=claims.val_bpb)
        return
    hits = [(run, m) for run, m in case.matches if not before_quantisation(m)]
    if not hits:
        yield say.unchecked("no run after quantisation matches the claim")
        return
    run, metric = max(hits, key=lambda pair: pair[1].digits)
    values = repeats(case, metric.label)
    if len(values) < 2 or run.name not in values:
        yield say.ok("the claim is the score of one run, and no other run repeats it", where=place(run, metric))
        return
    mean, best = statistics.fmean(values.values()), min(values.values())
    told = f"mean {mean:.5f}, best {best:.5f}, {len(values)} runs ({metric.label})"
    if values[run.name] == best and mean > best and not near_mean(claims.val_bpb, mean):
        yield say.fail(
            "the claim is the best run, not the mean",
            where=place(run, metric),
            found=told,
            expected=f"{mean:.5f}",
            fix="claim the mean",
        )
    else:
        yield say.ok("the claim is not the best run", found=told)


def repeats(case: Case, label: str) -> dict[str, float]:
    """Score by run of the runs that repeat one experiment: the same label, and values within 0.01 of the best.

    Folders hold ablations and studies beside their seeds; those differ by more than seeds do.
    """
    values = {
        run.name: next(m.val_bpb for m in reversed(run.finals) if m.label == label)
        for run in case.runs
        if any(m.label == label for m in run.finals)
    }
    claim = float(case.claims.val_bpb) if case.claims and case.claims.val_bpb else min(values.values(), default=0.0)
    near = {name: value for name, value in values.items() if abs(value - claim) <= 0.01}
    if case.track == "10min":
        return near
    mine = {family(run.log.name) for run, _ in case.matches}  # studies lie side by side in the other track
    return {run.name: near[run.name] for run in case.runs if run.name in near and family(run.log.name) in mine}
