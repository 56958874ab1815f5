"""RC6xx: time and machine, as the logs print them, against ten minutes of training and ten of evaluation."""

from collections.abc import Iterator

from .evidence import Case, with_facts
from .finding import Finding
from .rules import Say, rule

LIMIT = 600.0
TOLERANCE = 1.0  # the clock is read after a step, so an honest run ends a fraction of a step past the limit


@rule("RC601", "training within ten minutes")
def train_time(case: Case) -> Iterator[Finding]:
    """Training took at most 600 s, with 1 s of tolerance, in every run the claim rests on (ten-minute track).

    The public script reads its clock after a step, so honest runs end up to 0.2 s past 600. The non-record track has
    no limit. Without a printed time it is UNCHECKED.

    Fix: stop earlier (`MAX_WALLCLOCK_SECONDS=600`), or submit to the non-record track.
    """
    say = Say("RC601")
    times = [
        (t, f"{run.log.name}:{line}")
        for run in with_facts(case.supporting, case.runs, lambda run: bool(run.log.train_times))
        for line, t in run.log.train_times
        if run.first <= line <= run.last
    ]
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


@rule("RC602", "evaluation within ten minutes")
def eval_time(case: Case) -> Iterator[Finding]:
    """The longest evaluation a log prints took at most 600 s (ten-minute track).

    Evaluation has ten minutes of its own. Diagnostics before the final one are not added to it. Without a printed time
    it is UNCHECKED.

    Fix: use a larger stride or fewer test-time steps.
    """
    say = Say("RC602")
    times = [
        (t, f"{run.log.name}:{line}")
        for run in case.supporting or case.runs
        for line, t in run.log.eval_times
        if run.first <= line <= run.last
    ]
    if not times:
        yield say.unchecked("no log prints an evaluation time")
        return
    worst, where = max(times)
    if worst <= LIMIT + TOLERANCE:
        yield say.ok(f"{worst:,.1f} s at most", where=where, expected=f"{LIMIT:.0f} s")
    elif case.track != "10min":
        yield say.ok(f"{worst:,.1f} s; the non-record track has no limit", where=where)
    else:
        yield say.fail(
            f"evaluation took {worst:,.1f} s",
            where=where,
            found=f"{worst:,.1f} s",
            expected=f"{LIMIT:.0f} s",
            fix="evaluate faster",
        )


@rule("RC603", "eight H100")
def hardware(case: Case) -> Iterator[Finding]:
    """The runs the claim rests on ran on 8 GPUs, H100 where the log names them (ten-minute track).

    Read from `world_size` and from the table of nvidia-smi, where the log holds them. Nothing printed is UNCHECKED. The
    non-record track takes any machine.

    Fix: repeat the run on 8xH100 SXM, or submit to the non-record track.
    """
    say = Say("RC603")
    runs = case.supporting or case.runs
    worlds = [
        (n, f"{run.log.name}:{line}") for run in runs for line, n in run.log.worlds if run.first <= line <= run.last
    ]
    gpus = {name for run in runs for _, name in run.log.gpus}
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
