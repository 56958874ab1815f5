"""PG12x: the bytes that loss and BPB imply, log by log and for the claim itself."""

from collections.abc import Iterator

from .context import Context, context_of, recounted
from .evidence import Evidence
from .finding import Finding, failed, passed, unchecked
from .inversion import LN2, Interval, Judgement, Match, Reference, bytes_per_token, judge, of_metric
from .log_lines import Metric
from .log_reader import Log
from .matching import headline, scores_of
from .rules import rule

GIVE = "pass --docs docs.jsonl --shards DIR (and --tokenizer FILE) so that the bytes can be recounted"
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
    judged = 0
    good: list[str] = []
    for log in submission.logs:
        metric = headline(log, submission)
        interval = of_metric(metric) if metric else None
        if metric is None or interval is None:
            continue
        judged += 1
        where = f"{log.name}:{metric.line}"
        found = list(_one(evidence, context_of(log, submission), interval, float(metric.loss or 0), where, str(metric)))
        good += [one.says for one in found if one.verdict == "PASS"]
        yield from (one for one in found if one.verdict != "PASS")
    claim = submission.claim
    pairs = [one for one in scores_of(claim) if one.loss is not None]
    if pairs and claim:
        context = context_of(next((log for log in submission.logs if log.fact("val_tokens")), None), submission)
        if not submission.logs:
            context = context_of(None, submission)
        for score in pairs:
            assert score.loss is not None
            judged += 1
            interval = bytes_per_token(score.loss, score.bpb, slack=1.01)
            found = list(
                _one(evidence, context, interval, float(score.loss), f"{claim.name} {score.key}", "the claim", True)
            )
            good += [one.says for one in found if one.verdict == "PASS"]
            yield from (one for one in found if one.verdict == "FAIL")
    if good:
        more = f" (and {len(good) - 1} more scores alike)" if len(good) > 1 else ""
        yield passed(good[0] + more, where=submission.logs[0].name if submission.logs else "submission.json")
    if not judged:
        yield unchecked("no log or claim states a loss beside its BPB, so no denominator can be computed", fix=GIVE)


def _one(
    evidence: Evidence, context: Context, interval: Interval, loss: float, where: str, name: str, is_claim: bool = False
) -> Iterator[Finding]:
    if evidence.own_text:
        yield from _against_recount(evidence, context, interval, loss, where, name)
        return
    reference = context.reference
    if reference is None:
        if context.partial is not None:
            return  # PG123 speaks
        yield unchecked(
            f"{name} implies {interval} bytes per token, and no reference applies: {context.why}", where=where, fix=GIVE
        )
        return
    yield _verdict(judge(interval, reference, context.tokens), reference, interval, loss, where, name)


def _verdict(found: Judgement, reference: Reference, interval: Interval, loss: float, where: str, name: str) -> Finding:
    expected = f"{reference.bytes_per_token:.5f} bytes per token ({reference.basis})"
    if found.match is Match.GOOD:
        note = f"; {found.cause}" if found.cause else ""
        return passed(
            f"{name} implies {interval} bytes per token, as the reference{note}", where, f"{interval}", expected
        )
    if found.match is Match.UNSURE:
        return unchecked(
            f"{name} implies {interval} bytes per token, {found.ratio - 1:+.3%} from the reference: {found.cause}",
            where=where,
            fix=GIVE,
        )
    score = corrected(loss, reference)
    return failed(
        f"{name} implies {found.ratio:.4f} times the true bytes: {found.cause}",
        where,
        f"{interval} bytes per token",
        expected,
        f"count the original bytes and evaluate again; with this loss the score would be {score:.5f} bits per byte",
        corrected_bpb=score,
        basis=f"{loss:.8g} nats per token at {where}, {reference.basis}",
    )


def _against_recount(
    evidence: Evidence, context: Context, interval: Interval, loss: float, where: str, name: str
) -> Iterator[Finding]:
    references = recounted(evidence)
    if not references:
        yield unchecked(
            f"{name} implies {interval} bytes per token; the given files do not suffice to recount", where, GIVE
        )
        return
    for kind, reference in references:
        if judge(interval, reference, None).match is Match.GOOD:
            yield passed(
                f"{name} implies {interval} bytes per token, as recounted in {kind} bytes",
                where,
                f"{interval}",
                f"{reference.bytes_per_token:.6f} ({reference.basis})",
            )
            return
    truth = evidence.truth
    if truth and context.tokens and context.tokens < FULL_SHARE * truth.targets:
        yield unchecked(
            f"the log scored {context.tokens:,} tokens, the shards hold {truth.targets:,} targets; not the same text",
            where,
            "pass the shards that the run was scored on",
        )
        return
    kind, reference = references[0]
    yield _verdict(judge(interval, reference, None), reference, interval, loss, where, name)


FULL_SHARE = 0.98


@rule("PG122", "one denominator through a log")
def constant_denominator(evidence: Evidence) -> Iterator[Finding]:
    """All scores of one run divide by the same bytes, so the implied bytes per token may not move within a log.

    Validations on the way may honestly use a part of the text; but when the score that is claimed implies another
    denominator (by more than 0.5%) than the run's other full evaluations, one of the two is wrong. Fix: use one
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
        if away:
            yield _moved(log, metric, chosen, away, len(others))
    if seen:
        yield passed(f"{seen} log(s) compared: scores of one run imply one denominator (findings above excepted)")
    else:
        yield unchecked("no log states two scores with their losses, so constancy cannot be seen")


def _moved(log: Log, metric: Metric, chosen: Interval, away: list[tuple[Metric, Interval]], total: int) -> Finding:
    one, other = away[-1]
    return failed(
        f"{metric} implies {chosen} bytes per token, {one} implies {other}: two denominators ({len(away)} of {total} differ)",
        f"{log.name}:{metric.line}",
        f"{chosen} bytes per token",
        f"{other} as at line {one.line}",
        "use one counting function for every evaluation",
    )


@rule("PG123", "the whole validation split is scored")
def whole_split(evidence: Evidence) -> Iterator[Finding]:
    """The number of validation tokens in the log is that of the published split of its vocabulary.

    A token budget, a few hundred batches, or one shard of several scores an easier or harder part of the text, and such
    a number cannot be compared. Runs on another text than the published one are not judged here.
    Fix: evaluate every token of every fineweb_val_*.bin.
    """
    submission = evidence.submission
    known = 0
    for log in submission.logs:
        context = context_of(log, submission)
        if (
            context.partial is not None
            and context.tokens is not None
            and context.split is not None
            and not evidence.own_text
        ):
            line = next((one.line for one in log.facts if one.name == "val_tokens"), 1)
            yield failed(
                f"{context.tokens:,} validation tokens are {context.partial:.1%} of the {context.split.name} split: partial coverage",
                f"{log.name}:{line}",
                f"{context.tokens:,} tokens",
                f"about {context.split.tokens:,} tokens",
                "evaluate the whole split",
            )
            known += 1
        elif context.real and context.tokens:
            known += 1
    if known:
        yield passed(f"{known} log(s) state how many validation tokens they scored")
    else:
        yield unchecked(
            "no log states a number of validation tokens that can be placed on the published split", fix=GIVE
        )
