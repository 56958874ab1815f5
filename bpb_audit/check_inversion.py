"""Rules PG12x on the bytes that loss and BPB imply, log by log and for the claim itself."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from .context import Context, context_of, facts, recounted
from .evidence import Evidence
from .finding import Finding, Verdict, failed, many, passed, unchecked
from .inversion import LN2, Interval, Judgement, Match, Reference, bytes_per_token, judge, of_metric
from .log_lines import Metric
from .log_reader import Log
from .matching import headline
from .rules import rule

GIVE = "pass --docs docs.jsonl --shards DIR (and --tokenizer FILE) so that the bytes can be recounted"
FULL_SHARE = 0.98  # logs and shards that differ by more are of different texts
MOVES = 0.005  # ratio between scores of one log from which their denominators are called different


def corrected(loss: float, reference: Reference) -> float:
    """Bits per byte from nats per token and true bytes per token."""
    return loss / LN2 / reference.bytes_per_token


@rule("PG121", "bytes implied by loss and BPB")
def implied_bytes(evidence: Evidence) -> Iterator[Finding]:
    """Every printed pair of loss and BPB betrays its denominator: bytes per token = val_loss / (ln 2 * val_bpb).

    Compared with the recount of the given text (`--docs`, `--shards`), or, when the log shows that the run is on the
    challenge's validation split, with the published bytes (151,080,891 over all targets). Honest runs lie within 8
    sequences below and 5,000 bytes above, plus the rounding of the printed digits. The ratio names the error: 1.17-1.18
    a space counted twice, 1.23 no U+2581 piece, 1.33 the U+2581 literal lost, 1.04 byte tokens sized by U+FFFD, 1.09
    piece bytes of case-coded text, a short number a constant; anything else partial coverage or another text. The
    corrected score keeps the loss and takes the true bytes.

    A run on another text is not judged by the published table: give its documents and shards.
    Fix: build the table as the challenge does, or count the original bytes, and evaluate again.
    """
    submission = evidence.submission
    good: list[Finding] = []
    judged = 0
    for log in submission.logs:
        metric = headline(log, submission)
        interval = of_metric(metric) if metric else None
        if metric is None or interval is None or metric.loss is None:
            continue
        judged += 1
        pair = Pair(f"{log.name}:{metric.line}", str(metric), interval, float(metric.loss))
        context = context_of(log, submission)
        for one in _one(evidence, context, pair, elsewhere(log, metric, context)):
            if one.verdict is Verdict.PASS:
                good.append(one)
            else:
                yield one
    claim = submission.claim
    main = claim.main if claim else None
    if not judged and claim and main and main.loss is not None:
        judged += 1
        interval = bytes_per_token(main.loss, main.bpb, slack=1.01)
        pair = Pair(claim.name, "the claim", interval, float(main.loss))
        yield from _one(evidence, context_of(None, submission), pair, False)
    if good:
        more = f" (and {len(good) - 1} more logs alike)" if len(good) > 1 else ""
        first = good[0]
        yield passed(first.says + more, first.where, first.found, first.expected)
    if not judged:
        yield unchecked("no log or claim states a loss beside its BPB, so no denominator can be computed", fix=GIVE)


@dataclass(frozen=True, slots=True)
class Pair:
    """A printed loss (nats per token) and what it and its BPB imply; `where` they stand, `name` as shown."""

    where: str
    name: str
    interval: Interval
    loss: float


def elsewhere(log: Log, metric: Metric, context: Context) -> bool:
    """True when other scores of the same run imply the reference, and this one does not."""
    if context.reference is None:
        return False
    chosen = of_metric(metric)
    if chosen is None or judge(chosen, context.reference, context.tokens).match is Match.GOOD:
        return False
    others = [i for one in log.metrics if one.run == metric.run and one is not metric and (i := of_metric(one))]
    good = sum(judge(one, context.reference, context.tokens).match is Match.GOOD for one in others)
    return good * 2 > len(others)


def _one(evidence: Evidence, context: Context, pair: Pair, alone: bool) -> Iterator[Finding]:
    if evidence.own_text:
        yield from _against_recount(evidence, context, pair)
    elif context.reference is not None:
        yield _verdict(judge(pair.interval, context.reference, context.tokens, alone), context.reference, pair)
    elif context.partial is None:  # else PG123 speaks
        says = f"{pair.name} implies {pair.interval} bytes per token, and no reference applies: {context.why}"
        yield unchecked(says, pair.where, GIVE)


def _verdict(found: Judgement, reference: Reference, pair: Pair) -> Finding:
    implies = f"{pair.name} implies {pair.interval} bytes per token"
    expected = f"{reference.bytes_per_token:.5f} bytes per token ({reference.basis})"
    if found.match is Match.GOOD:
        note = f"; {found.cause}" if found.cause else ""
        return passed(f"{implies}, as the reference{note}", pair.where, f"{pair.interval}", expected)
    if found.match is Match.UNSURE:
        says = f"{implies}, {found.ratio - 1:+.3%} from the reference ({expected}): {found.cause}"
        return unchecked(says, pair.where, GIVE)
    fix = "count the original bytes of exactly the scored targets, and evaluate again"
    says = f"{pair.name} implies {found.ratio:.4f} times the true bytes: {found.cause}"
    if not found.known:
        return failed(says, pair.where, f"{pair.interval} bytes per token", expected, fix)
    score = corrected(pair.loss, reference)
    return failed(
        says,
        pair.where,
        f"{pair.interval} bytes per token",
        expected,
        f"{fix}; with this loss the score would be {score:.5f} bits per byte",
        corrected_bpb=score,
        basis=f"{pair.loss:.8g} nats per token at {pair.where}, {reference.basis}",
    )


def _against_recount(evidence: Evidence, context: Context, pair: Pair) -> Iterator[Finding]:
    references = recounted(evidence)
    truth = evidence.truth
    if not references or truth is None:
        says = f"{pair.name} implies {pair.interval} bytes per token; the given files do not suffice to recount"
        yield unchecked(says, pair.where, GIVE)
        return
    for kind, reference in references:
        if judge(pair.interval, reference, None).match is Match.GOOD:
            says = f"{pair.name} implies {pair.interval} bytes per token, as recounted in {kind} bytes"
            yield passed(says, pair.where, f"{pair.interval}", f"{reference.bytes_per_token:.6f} ({reference.basis})")
            return
    if context.tokens and not FULL_SHARE * truth.targets < context.tokens < truth.targets / FULL_SHARE:
        says = f"the log scored {context.tokens:,} tokens, the given shards hold {truth.targets:,} targets"
        yield unchecked(says + ": not the same text", pair.where, "pass the shards that the run was scored on")
        return
    found = judge(pair.interval, references[0][1], None)
    yield _verdict(replace(found, known=True), references[0][1], pair)


@rule("PG122", "one denominator through a log")
def constant_denominator(evidence: Evidence) -> Iterator[Finding]:
    """All scores of one run divide by the same bytes, so the implied bytes per token may not move within a log.

    Validations on the way may honestly use a part of the text, so a claimed score that implies the reference passes,
    unless another final score shows a known error. Otherwise, when the claimed score implies another denominator (by
    more than 0.5%) than the run's other scores, one of the two is wrong. Fix: use one
    counting function for every evaluation of the script.
    """
    submission = evidence.submission
    seen = 0
    for log in submission.logs:
        metric = headline(log, submission)
        chosen = of_metric(metric) if metric else None
        if metric is None or chosen is None:
            continue
        others = [
            (one, i) for one in log.metrics if one.run == metric.run and (i := of_metric(one)) and one is not metric
        ]
        if not others:
            continue
        seen += 1
        away = [(one, i) for one, i in others if not i.meets(chosen.low * (1 - MOVES), chosen.high * (1 + MOVES))]
        context = context_of(log, submission)
        if right(evidence, chosen, context):
            away = [(one, i) for one, i in away if one.step is None and miscounted(i, context)]
        if away:
            yield _moved(log, metric, chosen, away, len(others), context)
    if seen:
        yield passed(f"{many(seen, 'log')} compared: scores of one run imply one denominator (findings above excepted)")
    else:
        yield unchecked("no log states two scores with their losses, so constancy cannot be seen")


def right(evidence: Evidence, chosen: Interval, context: Context) -> bool:
    """True when the claimed score itself implies the reference: then parts scored on the way do no harm."""
    if evidence.own_text:
        return any(judge(chosen, one, None).match is Match.GOOD for _, one in recounted(evidence))
    return context.reference is not None and judge(chosen, context.reference, context.tokens).match is Match.GOOD


def miscounted(interval: Interval, context: Context) -> bool:
    """True when another final score of the log shows a known error."""
    return context.reference is not None and judge(interval, context.reference, context.tokens).known


def _moved(
    log: Log,
    metric: Metric,
    chosen: Interval,
    away: list[tuple[Metric, Interval]],
    total: int,
    context: Context,
) -> Finding:
    finals = [hit for hit in away if hit[0].step is None]
    one, other = (finals or away)[-1]
    says = f"{metric} implies {chosen} bytes per token, {one} implies {other}: two denominators"
    if context.reference is not None:
        odd = judge(other, context.reference, context.tokens)
        if odd.match is Match.WRONG and odd.known:
            says += f"; the latter is {odd.ratio:.4f} times the true bytes: {odd.cause}"
    return failed(
        f"{says} ({len(away)} of {total} scores differ)",
        f"{log.name}:{metric.line}",
        f"{chosen} bytes per token",
        f"{other} as at line {one.line}",
        "use one counting function for every evaluation",
    )


@rule("PG123", "the whole validation split is scored")
def whole_split(evidence: Evidence) -> Iterator[Finding]:
    """The number of validation tokens in the log is that of the published split of its vocabulary.

    A token budget, a few hundred batches, or one shard of several scores an easier or harder part of the text, and such
    a number cannot be compared. With `--shards` the log is held to the given shards; other texts are not judged.
    Fix: evaluate every token of every fineweb_val_*.bin.
    """
    submission = evidence.submission
    if evidence.own_text:
        yield from _given_split(evidence)
        return
    known = 0
    for log in submission.logs:
        context = context_of(log, submission)
        if context.partial is not None and context.tokens is not None and context.split is not None:
            line = next((one.line for one in log.facts if one.name == "val_tokens"), 1)
            yield failed(
                f"{context.tokens:,} tokens are {context.partial:.1%} of {context.split.name}: partial coverage",
                f"{log.name}:{line}",
                f"{context.tokens:,} tokens",
                f"about {context.split.tokens:,} tokens",
                "evaluate the whole split",
            )
            known += 1
        elif context.real and context.tokens:
            known += 1
    if known:
        yield passed(f"how many validation tokens were scored stands in {many(known, 'log')}")
    else:
        yield unchecked(
            "no log states a number of validation tokens that can be placed on the published split", fix=GIVE
        )


def _given_split(evidence: Evidence) -> Iterator[Finding]:
    """Tokens in the logs against the targets of the given shards; a tail of one sequence may be dropped."""
    truth = evidence.truth
    told = [
        (log, line, int(one.value))
        for log in evidence.submission.logs
        for line, one in [(one.line, one) for one in log.facts if one.name == "val_tokens"][-1:]
    ]
    if truth is None or not told:
        yield unchecked("no shards, or no log that states its validation tokens", fix=GIVE)
        return
    odd = [hit for hit in told if not truth.tokens - 1 - facts(hit[0])[2] < hit[2] <= truth.tokens]
    for log, line, tokens in odd:
        yield failed(
            f"{tokens:,} tokens were scored, the given shards hold {truth.tokens:,}: partial coverage, or other shards",
            f"{log.name}:{line}",
            f"{tokens:,} tokens",
            f"{truth.targets:,} targets",
            "evaluate every token of the validation shards, or give the shards that were scored",
        )
    if not odd:
        yield passed(f"{told[0][2]:,} tokens were scored, of {truth.tokens:,} in the given shards", told[0][0].name)
