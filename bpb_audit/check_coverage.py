"""Rule PG501, whether the targets a log scored are those an evaluation of its shape scores, each once, and the tail."""

from collections.abc import Iterator

from .check_recount import NEED_SHARDS
from .coverage import ledger, plain_windows, sliding_windows
from .errors import AuditError
from .evidence import Evidence
from .finding import Finding, passed, unchecked
from .inputs import recount
from .recount import sequence_length, tail_bytes
from .rules import rule

SHAPES = "a sliding or document-wise evaluation may honestly score other targets"


def stated_targets(evidence: Evidence) -> list[tuple[str, int]]:
    """(log, targets) for each log that states how many validation tokens it scored; empty where none can be read."""
    try:
        logs = evidence.submission.logs
    except AuditError:
        return []
    told = [(log, log.fact("val_tokens") or "") for log in logs]
    return [(log.name, int(text)) for log, text in told if text.isascii() and text.isdecimal() and len(text) < 16]


@rule("PG501", "coverage of the validation targets")
def coverage(evidence: Evidence) -> Iterator[Finding]:
    """Lays a plain (or, with --stride, sliding) evaluation over the shards, and compares its targets with the logs'.

    A plain evaluation drops the tokens behind the last whole sequence; that tail is told in tokens and bytes. Which
    targets a run really scored only its log can say: the rule passes when every log states as many validation tokens as
    the evaluation laid out here scores, and is unchecked when none does or a number differs, as a sliding or
    document-wise evaluation may honestly score others. It accuses nobody; PG123 judges the number itself.

    Fix: evaluate all validation shards from token 0, each target once, and print how many tokens were scored.
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
        yield unchecked(
            f"a plain evaluation at {length:,} would score none of the {targets:,} targets; {SHAPES}.",
            where,
            "give the evaluation's own --seq-len N",
        )
        return
    stated = stated_targets(evidence)
    slides = stride is not None and stride != length
    plain = targets // length * length
    if slides and stated and all(count == plain for _, count in stated):
        targets = plain  # public scripts cut the stream to whole sequences first, and slide over what is left
    windows = (
        sliding_windows(targets, length, stride or length, "context") if slides else plain_windows(targets, length)
    )
    book = ledger(targets, windows)
    tail = tail_bytes(found.inputs, targets - book.tail)
    counted = [("table", tail.table), ("decoded", tail.decoded), ("sidecar", tail.sidecar)]
    dropped = ", ".join(f"{name} {value:,} bytes" for name, value in counted if value is not None) or "bytes unknown"
    told = f"{book.scored:,} of {found.survey.tokens - 1:,} targets once in {book.windows:,} windows"
    told += f"; tail {tail.tokens:,} tokens ({dropped})"
    shape = f"a sliding evaluation at {length:,} by {stride:,}" if slides else f"a plain evaluation at {length:,}"
    would = f"{shape} would score {book.scored:,} targets, each once, and drop a tail of {tail.tokens:,} tokens"
    other = next((one for one in stated if one[1] != book.scored), None)
    if not stated:
        yield unchecked(
            f"{would} ({dropped}); no log states how many validation tokens it scored.",
            where,
            "give the run's log, with a line that says its validation tokens",
        )
    elif other is not None:
        yield unchecked(
            f"{would} ({dropped}); {other[0]} states {other[1]:,}; {SHAPES}.",
            where,
            "give the evaluation's own --seq-len N and --stride N",
        )
    else:
        yield passed(f"{would}, and the log states as many.", where, told, f"{stated[0][1]:,} targets in the log")
