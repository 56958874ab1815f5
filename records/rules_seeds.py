"""RC31x: the runs behind the claim: how many, with which seeds, and whether any was left out or counted twice."""

import re
from collections import Counter
from collections.abc import Iterator

from .evidence import SPREAD, Case, Run, name_seeds
from .finding import Finding, many
from .rules import Say, rule


def unclaimed(told: object, claimed: list[str]) -> dict[str, float]:
    """Scores by seed in a note on all runs made, without those of the claimed seeds."""
    found: dict[str, float] = {}
    for value in told.values() if isinstance(told, dict) else ():
        if isinstance(value, dict) and set(claimed) <= set(value):
            scores = {seed: str(score) for seed, score in value.items() if re.fullmatch(r"\d{1,12}", seed)}
            found |= {s: float(v) for s, v in scores.items() if s not in claimed and re.fullmatch(r"\d\.\d+", v)}
    return found


@rule("RC311", "three runs")
def three_runs(case: Case) -> Iterator[Finding]:
    """A record of the ten-minute track shows at least three runs with different seeds.

    The rules ask for p < 0.01 over enough runs; an average over three is what they name. A single run can show no
    p-value at all. Fewer than three fail here; a log of another experiment, further than 0.01 from the claim, is none
    of them. Runs whose seeds are not printed are UNCHECKED. The non-record track asks for none. Pure systems work is
    excused by the rules: a reviewer decides that, so the finding says what was found.

    Fix: run two more seeds, and add their logs.
    """
    say = Say("RC311")
    if case.track != "10min":
        yield say.ok("the non-record track asks for no number of runs", found=many(len(case.runs), "run"))
        return
    if not case.runs:
        yield say.unchecked("no runs in the logs")
        return
    pool = [run for run in case.runs if run.finals and repeats_claim(case, run)]
    seeds = {run.seed for run in pool}
    told = f"{many(len(pool), 'run')}, seeds {', '.join(str(s) for s in sorted(seeds, key=str))}"
    if len(pool) >= 3 and len(seeds - {None}) >= 3:
        yield say.ok("three or more runs", found=told)
    elif len(pool) >= 3 and None in seeds:
        yield say.unchecked("three or more runs, and not every log says with which seed", found=told)
    elif len(pool) >= 3:
        yield say.fail(
            "three runs, but not three seeds", found=told, expected="3 different seeds", fix="run with other seeds"
        )
    else:
        yield say.fail(
            "fewer than three runs with a final score",
            found=told,
            expected="3 runs with different seeds",
            where=pool[0].name if pool else "",
            fix="run more seeds and add their logs",
        )


def repeats_claim(case: Case, run: Run) -> bool:
    """True when a score of the run lies as near the claim as seeds do; another experiment is no repetition."""
    claim = case.claims.val_bpb if case.claims else None
    return claim is None or run in case.supporting or any(abs(m.val_bpb - float(claim)) <= SPREAD for m in run.finals)


@rule("RC312", "seeds agree")
def seeds_agree(case: Case) -> Iterator[Finding]:
    """A log named after a seed printed that seed.

    `train_seed42.log` that prints `seed: 1337` fails: either the name or the run is not what it seems. A log that
    prints no seed is UNCHECKED.

    Fix: rename the log, or submit the run of that seed.
    """
    say = Say("RC312")
    named = [run for run in case.runs if run.named_seed is not None and re.search(r"seed", run.log.name, re.IGNORECASE)]
    if not named:
        yield say.ok("no log is named after a seed, so none can disagree")
        return
    for run in named:
        if run.printed_seed is None:
            yield say.unchecked(f"{run.name} prints no seed", where=run.name)
        elif run.printed_seed not in name_seeds(run.log.name):
            line = next((one.line for one in run.log.seeds if int(one.value) == run.printed_seed), 1)
            yield say.fail(
                f"the log is named after seed {run.named_seed} and printed {run.printed_seed}",
                where=f"{run.log.name}:{line}",
                found=f"seed {run.printed_seed}",
                expected=f"seed {run.named_seed}",
                fix="rename the log or run that seed",
            )
        else:
            yield say.ok(f"seed {run.named_seed}", where=run.name)


@rule("RC313", "no run counted twice")
def no_copies(case: Case) -> Iterator[Finding]:
    """Two seeds have two different logs.

    Logs that are byte for byte the same, or print the same final scores, under two different seeds fail. A copy of one
    log under the plain name `train.log` is a habit of many records and passes with a word.

    Fix: put each run's own log in the folder.
    """
    say, logs = Say("RC313"), [log for log in case.folder.logs if log.finals]
    if len(logs) < 2:
        yield say.unchecked("one log, nothing to compare") if not logs else say.ok("one log", where=logs[0].name)
        return
    groups: dict[tuple[float, ...], list[str]] = {}
    for log in logs:
        groups.setdefault(tuple(m.val_bpb for m in log.finals), []).append(log.name)
    doubles = [names for names in groups.values() if len(names) > 1]
    bad = [names for names in doubles if len({tuple(name_seeds(n)) for n in names if name_seeds(n)}) > 1]
    if bad:
        yield say.fail(
            "logs of different seeds are the same run",
            found="; ".join(" = ".join(n) for n in bad),
            expected="a log for each run",
            where=bad[0][0],
            fix="put each run's own log in the folder",
        )
    elif doubles:
        yield say.ok(f"{doubles[0][0]} is a copy of {doubles[0][1]}; counted once", where=doubles[0][0])
    else:
        yield say.ok(f"{len(logs)} logs, all different")


@rule("RC314", "no run left out")
def none_left_out(case: Case) -> Iterator[Finding]:
    """Every seed that is claimed has its log, and every run in the folder takes part in the claim.

    A claimed seed without a log fails, and so do runs that submission.json itself lists as made, left out of the mean,
    and worse than it. A run that is in the folder and not in the mean is UNCHECKED: it may be another
    experiment, and only its author knows. So is a file that speaks of more runs than it gives.

    Fix: add the log; say in the README what the other runs are.
    """
    say, claims = Say("RC314"), case.claims
    if claims is None or not case.runs:
        yield say.unchecked("no claim, or no runs, to compare")
        return
    told = Counter(str(s) for run in case.runs for s in {run.printed_seed, run.named_seed} if s is not None)
    claimed = [item.seed for item in claims.seeds]
    by_value = {seed for seed, _, hits in case.seed_matches if hits}
    missing = [seed for seed in claimed if seed not in told and seed not in by_value and re.fullmatch(r"\d+", seed)]
    if missing:
        yield say.fail(
            "claimed seeds without a log",
            found=f"logs of seeds {', '.join(sorted(told)) or 'unknown'}",
            where=claims.file,
            expected=", ".join(claimed),
            fix=f"add the log of seed {', '.join(missing)}",
        )
    disclosed = next((key for key in claims.raw if "all_runs" in key or "disclosure" in key), None)
    left = unclaimed(claims.raw[disclosed], claimed) if disclosed else {}
    worse = [value for value in left.values() if claims.val_bpb and value > float(claims.val_bpb)]
    if left and len(worse) == len(left):
        yield say.fail(
            f"submission.json lists {many(len(left), 'run')} more than the claim counts, each worse than it",
            where=f"{claims.file} ({disclosed})",
            found=", ".join(f"seed {seed}: {value}" for seed, value in left.items()),
            expected="the mean over all runs made",
            fix="claim the mean over all of them",
        )
    elif disclosed:
        yield say.unchecked(
            "submission.json speaks of runs that are not part of the claim",
            where=f"{claims.file} ({disclosed})",
            found=str(claims.raw[disclosed])[:160],
        )
    used = {id(run) for run in case.supporting}
    others = [run.name for run in case.runs if id(run) not in used and run.finals]
    if others and case.supporting:
        yield say.unchecked(
            f"{many(len(others), 'run')} in the folder without a part in the claim", where=", ".join(others[:6])
        )
    elif not missing and not disclosed:
        yield (
            say.ok(f"{many(len(case.runs), 'run')}, all part of the claim")
            if case.supporting
            else say.unchecked("no run matches the claim")
        )
