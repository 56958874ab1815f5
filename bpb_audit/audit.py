"""Runs every rule over one path and gathers the report: the core that the command line and other rooms call.

report = audit(Evidence(Path("records/track_10min_16mb/2026-11-21_Name"), docs=Path("docs.jsonl")))
"""

from collections.abc import Callable

from .errors import AuditError
from .evidence import Evidence
from .finding import Finding, Report, Verdict
from .matching import headline, scores_of
from .rules import all_rules, run_rule


def audit(evidence: Evidence, only: tuple[str, ...] = (), tell: Callable[[int], None] = lambda _: None) -> Report:
    """All findings about `evidence.path`; `only` restricts to rule codes. AuditError when nothing is readable.

    tell: told after each rule that one more is done.
    """
    submission = evidence.submission  # a path that cannot be read at all is an error, not a finding
    findings: list[Finding] = []
    for one in all_rules():
        if not only or one.code in only:
            findings += run_rule(one, evidence)
            tell(1)
    scores = scores_of(submission.claim)
    claimed = float(scores[0].bpb) if scores else None
    tops = [metric for log in submission.logs if (metric := headline(log, submission))]
    logged = float(tops[-1].bpb) if tops else None
    value, basis = best(evidence, findings)
    return Report(str(evidence.path), tuple(findings), claimed, value, basis, isolation_of(findings), logged)


def best(evidence: Evidence, findings: list[Finding]) -> tuple[float | None, str]:
    """The score on the best evidence: the mean of what failing rules corrected, else the recount, else nothing."""
    from .score import LOSS_LOGGED, LOSS_RECOUNTED, recomputed

    wrong = [one for one in findings if one.verdict is Verdict.FAIL and one.corrected_bpb is not None]
    if wrong:
        values = [one.corrected_bpb for one in wrong if one.corrected_bpb is not None and one.rule == wrong[0].rule]
        mean = sum(values) / len(values)
        basis = wrong[0].basis + (f" (mean of {len(values)})" if len(values) > 1 else "")
        return mean, f"{basis}; {LOSS_RECOUNTED if evidence.own_text else LOSS_LOGGED}"
    try:
        return recomputed(evidence)
    except AuditError:
        return None, ""


def isolation_of(findings: list[Finding]) -> str:
    """The level of isolation that a rule states in a finding whose `found` starts with `isolation:`."""
    return next((one.found.removeprefix("isolation: ") for one in findings if one.found.startswith("isolation: ")), "")
