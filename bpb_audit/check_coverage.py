"""Rule PG501, whether every target is scored exactly once, and what the tail drops in tokens and bytes."""

from collections.abc import Iterator

from .check_recount import NEED_SHARDS
from .coverage import ledger, plain_windows, sliding_windows
from .evidence import Evidence
from .finding import Finding, failed, passed, unchecked
from .inputs import recount
from .recount import sequence_length, tail_bytes
from .rules import rule


@rule("PG501", "coverage of the validation targets")
def coverage(evidence: Evidence) -> Iterator[Finding]:
    """Lays the evaluation's windows over the shards: every target exactly once, and the tail told in tokens and bytes.

    A plain evaluation drops the tokens behind the last whole sequence. A sliding one must score each target in one
    window only. Partial coverage (a token budget, one window in many) shows up as another number of targets than the
    log divides by. Fix: evaluate all validation shards from token 0, each target once.
    """
    if evidence.shards is None:
        yield unchecked("no shards to lay windows over.", fix=NEED_SHARDS)
        return
    length = sequence_length(evidence)
    if length is None:
        fix = "add --seq-len N (and --stride N if it slides)"
        yield unchecked("neither a flag nor a log says the evaluation's sequence length.", fix=fix)
        return
    found = recount(evidence)
    if found is None:
        return
    targets, stride = found.survey.tokens - 1, evidence.stride
    where = found.inputs.stream.files[0].name
    if length < 1 or targets < length:
        yield failed(
            "the shards are shorter than one sequence; nothing is scored.",
            where,
            f"{targets:,} targets",
            f"at least {length:,}",
            "use a shorter sequence or more text",
        )
        return
    slides = stride is not None and stride != length
    windows = (
        sliding_windows(targets, length, stride or length, "context") if slides else plain_windows(targets, length)
    )
    book = ledger(targets, windows)
    tail = tail_bytes(found.inputs, targets - book.tail)
    counted = [("table", tail.table), ("sidecar", tail.sidecar)]
    dropped = ", ".join(f"{name} {value:,} bytes" for name, value in counted if value is not None) or "bytes unknown"
    told = f"{book.scored:,} of {targets:,} targets once in {book.windows:,} windows"
    told += f"; tail {book.tail:,} tokens ({dropped})"
    if book.whole:
        yield passed("every target before the tail is scored exactly once.", where, told, "each target once")
    else:
        yield failed(
            f"{book.missed:,} targets are never scored and {book.repeated:,} more than once.",
            where,
            told,
            "each target once",
            "score each target in exactly one window",
        )
