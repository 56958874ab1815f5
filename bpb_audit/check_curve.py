"""Rule PG406, whether the final score can be of the run whose validations stand above it; and copied training curves.

Both read what a log says on the way: an invented end, or a log copied for another seed, is seldom carried through
every line. Nothing here proves a loss true: it is the log's own word, and no audit of a folder evaluates it again.
"""

from collections.abc import Iterator
from statistics import median

from .evidence import Evidence
from .finding import Finding, failed, many, passed, unchecked
from .log_lines import Metric
from .log_reader import Log
from .rules import rule
from .submission import Submission

FAR = 0.10  # relative: sliding windows and training at test time gain up to 7% over the last validation in public
FEWEST = 5  # shared steps from which on curves are compared
EQUAL = 0.0005  # nats per token, median: half the least distance of two public runs (0.0013, one seed run twice)


def run_of(log: Log, run: int) -> tuple[list[Metric], list[Metric]]:
    """(validations on the way, final scores) of one training in a log, without the one before the first step."""
    mine = [one for one in log.metrics if one.run == run]
    return [one for one in mine if one.step], [one for one in mine if one.step is None]


@rule("PG406", "the final score follows from the run's validations")
def follows(evidence: Evidence) -> Iterator[Finding]:
    """No final score of a log is more than 10% better than the best validation on the way of the same training.

    Sliding windows, averaged weights and training at test time gain a few hundredths; mixtures with a byte-level
    predictor may gain more, so this is unchecked, never a failure. The loss itself is the log's word: it is not
    evaluated again here. Fix: ship the artifact and an evaluation that prints its progress, or state what was added.
    """
    looked = odd = 0
    for log in evidence.submission.logs:
        for run in sorted({one.run for one in log.metrics}):
            on_the_way, finals = run_of(log, run)
            if not on_the_way or not finals:
                continue
            looked += 1
            best = min(on_the_way, key=lambda one: one.bpb)
            end = min(finals, key=lambda one: one.bpb)
            if float(end.bpb) < float(best.bpb) * (1 - FAR):
                odd += 1
                says = f"the final score {end.bpb} is far better than every validation on the way (best {best.bpb}, "
                says += f"line {best.line}); the log alone does not support it"
                yield unchecked(says, f"{log.name}:{end.line}", "say what was added after training, ship the artifact")
    if looked and not odd:
        yield passed(f"in {many(looked, 'training')} the final score is near the validations on the way, as logged")
    elif not looked:
        yield unchecked("no log states validations on the way and a final score", fix="log validations while training")


def told(log: Log) -> str:
    """The seeds that a log states, in words."""
    return ", ".join(map(str, log.seed_values[:4]))


def copied_curves(submission: Submission) -> Iterator[Finding]:
    """Logs of different seeds with one and the same training curve: one was copied, whatever its last digits say."""
    curves = [(log, {(one.run, one.step): one.loss for one in log.curve}) for log in submission.logs]
    curves = [(log, curve) for log, curve in curves if len(curve) >= FEWEST and log.seed_values]
    for at, (log, curve) in enumerate(curves):
        for first, other in curves[:at]:
            shared = curve.keys() & other.keys()
            if len(shared) < FEWEST or set(first.seed_values) == set(log.seed_values):
                continue
            apart = median(abs(curve[step] - other[step]) for step in shared)
            if apart < EQUAL:
                same = sum(curve[step] == other[step] for step in shared)
                yield failed(
                    f"{first.name} and {log.name} state one training curve under different seeds: {same} of "
                    f"{len(shared)} training losses are equal",
                    f"{log.name}:{log.curve[0].line}",
                    f"seeds {told(first)} and {told(log)}",
                    "different runs",
                    "ship the log of each run",
                )
                break
