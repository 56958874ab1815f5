"""The score once more, from the logged loss and the best bytes at hand, with both denominators named.

The bytes are recounted; the loss is taken from the log and is not evaluated again, and every basis says so.
"""

from .context import context_of, recounted
from .evidence import Evidence
from .inversion import LN2, Match, judge, of_metric
from .log_lines import Metric
from .log_reader import Log
from .matching import find, headline, scores_of

LOSS_RECOUNTED = "bytes recounted; the loss is taken from the log, not evaluated again"
LOSS_LOGGED = "bytes held to the published split, not recounted; the loss is taken from the log, not evaluated again"


def _chosen(evidence: Evidence) -> list[tuple[Log, Metric]]:
    """The logged metrics behind the claim: every per-seed score that is found, else one a log."""
    submission = evidence.submission
    claim = submission.claim
    found = [find(score, submission.logs) for score in (claim.seeds if claim else ())]
    hits = [(one.log, one.metric) for one in found if one.log and one.metric and one.metric.loss is not None]
    if not hits:
        mains = [find(score, submission.logs) for score in scores_of(claim)[:1]]
        hits = [(one.log, one.metric) for one in mains if one.log and one.metric and one.metric.loss is not None]
    if not hits:
        tops = [(log, headline(log, submission)) for log in submission.logs]
        hits = [(log, metric) for log, metric in tops if metric is not None and metric.loss is not None]
    return hits


def recomputed(evidence: Evidence) -> tuple[float | None, str]:
    """(bits per byte, basis), or (None, ""): mean over the runs behind the claim. Raises AuditError on broken files."""
    hits = _chosen(evidence)
    if not hits:
        return None, ""
    losses = [float(metric.loss or 0) for _, metric in hits]
    loss = sum(losses) / len(losses)
    if evidence.own_text:
        references = recounted(evidence)
        if not references:
            return None, ""
        both = ", ".join(f"bpb_{kind} {loss / LN2 / one.bytes_per_token:.6f}" for kind, one in references)
        one = references[0][1]
        return loss / LN2 / one.bytes_per_token, f"{one.basis} ({both}); {LOSS_RECOUNTED}"
    reference = None
    for log, metric in hits:
        context = context_of(log, evidence.submission)
        interval = of_metric(metric)
        if context.reference is None or interval is None:
            return None, ""
        if judge(interval, context.reference, context.tokens).match is not Match.GOOD:
            return None, ""
        reference = context.reference
    if reference is None:
        return None, ""
    mean = sum(float(metric.bpb) for _, metric in hits) / len(hits)
    runs = f", mean of {len(hits)} runs" if len(hits) > 1 else ""
    return mean, f"the logged score{runs}; its bytes agree with {reference.basis}; {LOSS_LOGGED}"
