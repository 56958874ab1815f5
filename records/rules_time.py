"""RC6xx: time and machine, as the logs print them, against ten minutes of training and ten of evaluation."""

import re
from collections.abc import Iterator

from bpb_audit.log_reader import TOTAL

from .evidence import PRE_QUANT, Case, Run, with_facts
from .finding import Finding, many
from .rules import Say, rule

LIMIT = 600.0
TOLERANCE = 1.0  # the clock is read after a step, so an honest run ends a fraction of a step past the limit
DIAGNOSTIC = re.compile(rf"diagnostic|{PRE_QUANT.pattern}", re.IGNORECASE)


@rule("RC601", "training within ten minutes")
def train_time(case: Case) -> Iterator[Finding]:
    """Training took at most 600 s, with 1 s of tolerance, in every run the claim rests on (ten-minute track).

    The public script reads its clock after a step, so honest runs end up to 0.2 s past 600. The non-record track has
    no limit. Without a printed time it is UNCHECKED, and so is a line that states its own limit and is above it
    (`artifact_production_wallclock: 825.4s (must be < 600.0)`): the rules name training and evaluation only.

    Fix: stop earlier (`MAX_WALLCLOCK_SECONDS=600`), or submit to the non-record track.
    """
    say = Say("RC601")
    times = [
        (one.seconds, f"{run.log.name}:{one.line}")
        for run in with_facts(case.supporting, case.runs, lambda run: bool(run.train_times))
        for one in run.train_times
    ]
    over = [
        (one, run.log.name)
        for run in case.runs
        for one in run.log.times
        if one.limit is not None and one.run == run.number and one.seconds >= one.limit
    ]
    if over and case.track == "10min":
        one, name = max(over, key=lambda pair: pair[0].seconds)
        yield say.unchecked(
            f"{many(len(over), 'log')} with a time above the limit that its line states; does the rule count it?",
            where=f"{name}:{one.line}",
            found=f"{one.name} {one.seconds:,.1f} s",
            expected=f"below {one.limit:,.0f} s, by the log itself",
            fix="say in the README what the time holds",
        )
    if not times:
        yield say.unchecked("no log prints a training time")
        return
    worst, where = max(times)
    if case.track != "10min":
        yield say.ok(f"{worst:,.1f} s; the non-record track has no limit", where=where)
    elif worst > LIMIT + TOLERANCE:
        yield say.fail(
            f"training took {worst:,.1f} s",
            where=where,
            found=f"{worst:,.1f} s",
            expected=f"{LIMIT:.0f} s (+{TOLERANCE:.0f} s)",
            fix="stop earlier, or submit to the non-record track",
        )
    else:
        yield say.ok(f"{worst:,.1f} s at most", where=where, expected=f"{LIMIT:.0f} s (+{TOLERANCE:.0f} s)")


def final_evaluations(run: Run) -> list[tuple[int, float]]:
    """`(line, seconds)` of each evaluation after training, diagnostics left out, each counted once.

    A printed `total_eval_time` speaks for all of them and stands alone. Two lines that follow one another with times
    within 1% (a loop's own closing line, then the result's) tell one evaluation; the longer is kept.
    """
    totals = [(one.line, one.seconds) for one in run.eval_times if one.name == TOTAL]
    if totals:
        return totals[-1:]
    kept: list[tuple[int, float]] = []
    for line, t, label in [(one.line, one.seconds, one.name) for one in run.eval_times]:
        if DIAGNOSTIC.search(label):
            continue
        if kept and line - kept[-1][0] <= 2 and abs(t - kept[-1][1]) <= 0.01 * t:
            kept[-1] = (line, max(t, kept[-1][1]))
        else:
            kept.append((line, t))
    return kept


@rule("RC602", "evaluation within ten minutes")
def eval_time(case: Case) -> Iterator[Finding]:
    """The final evaluations of each run took at most 600 s together, with 1 s of tolerance (ten-minute track).

    Evaluation has ten minutes of its own. Summed are the evaluations a run prints after training (round trip, sliding
    window, test-time training), without those that call themselves diagnostic or before quantisation; a printed
    `total_eval_time` takes the place of the sum. One evaluation above the limit fails, and so does such a total. When
    only the sum is above it the rule is UNCHECKED: which evaluations the score needs, a log does not say. Without a
    printed time it is UNCHECKED.

    Fix: use a larger stride or fewer test-time steps.
    """
    say, expected = Say("RC602"), f"{LIMIT:.0f} s (+{TOLERANCE:.0f} s)"
    runs = [(run, final_evaluations(run)) for run in case.supporting or case.runs]
    longest = max(((t, f"{run.log.name}:{line}") for run, times in runs for line, t in times), default=None)
    if longest is None:
        yield say.unchecked("no log prints an evaluation time")
        return
    worst, run, parts = max(((sum(t for _, t in times), run, times) for run, times in runs), key=lambda one: one[0])
    where = f"{run.log.name}:{parts[-1][0]}"
    told = " + ".join(f"{t:,.1f}" for _, t in parts) + " s"
    if case.track != "10min":
        yield say.ok(f"{worst:,.1f} s; the non-record track has no limit", where=where, found=told)
    elif longest[0] > LIMIT + TOLERANCE:
        yield say.fail(
            f"evaluation took {longest[0]:,.1f} s",
            where=longest[1],
            found=f"{longest[0]:,.1f} s",
            expected=expected,
            fix="evaluate faster",
        )
    elif worst > LIMIT + TOLERANCE:
        yield say.unchecked(
            f"the evaluations of one run took {worst:,.1f} s together; a reviewer must see which the score needs",
            where=where,
            found=told,
            expected=expected,
            fix="say in the README which evaluation is scored, and how long it takes",
        )
    else:
        yield say.ok(f"{worst:,.1f} s at most in one run", where=where, found=told, expected=expected)


@rule("RC603", "eight H100")
def hardware(case: Case) -> Iterator[Finding]:
    """The runs the claim rests on ran on 8 GPUs, H100 where the log names them (ten-minute track).

    Read from `world_size` and from the table of nvidia-smi, where the log holds them. Nothing printed is UNCHECKED. The
    non-record track takes any machine.

    Fix: repeat the run on 8xH100 SXM, or submit to the non-record track.
    """
    say = Say("RC603")
    runs = case.supporting or case.runs
    worlds = [(int(one.value), f"{run.log.name}:{one.line}") for run in runs for one in run.worlds]
    gpus = {one.value for run in runs for one in run.log.gpus}
    names = ", ".join(sorted(gpus)) or "GPU not printed"
    told = f"world size {', '.join(sorted({str(n) for n, _ in worlds})) or 'not printed'}; {names}"
    if case.track != "10min":
        yield say.ok("the non-record track takes any machine", found=told)
    elif any(n != 8 for n, _ in worlds):
        yield say.fail(
            "not eight GPUs",
            where=next(w for n, w in worlds if n != 8),
            found=told,
            expected="8xH100 SXM",
            fix="repeat on 8xH100, or submit to the non-record track",
        )
    elif any("H100" not in name for name in gpus):
        yield say.fail(
            "not H100", found=told, expected="8xH100 SXM", fix="repeat on 8xH100, or submit to the non-record track"
        )
    elif worlds and gpus:
        yield say.ok("8xH100 in the log", found=told, where=worlds[0][1])
    elif worlds:
        yield say.ok("8 GPUs in the log; their kind is not printed", found=told, where=worlds[0][1])
    else:
        yield say.unchecked("the log prints no world size", found=told)
