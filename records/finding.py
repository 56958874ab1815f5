"""Findings, as the auditor defines them: one habit for whoever reads either report.

PASS means the rule was checked and holds; FAIL that it was checked and does not; UNCHECKED that there was no evidence.
No evidence is never a PASS. This module adds only what a whole report needs: the worst verdict, and the tally.
"""

from collections.abc import Iterable

from bpb_audit.finding import Finding, Verdict, many

PASS, FAIL, UNCHECKED = Verdict.PASS, Verdict.FAIL, Verdict.UNCHECKED

__all__ = ["FAIL", "PASS", "UNCHECKED", "Finding", "Verdict", "many", "tally", "worst"]


def worst(findings: Iterable[Finding]) -> Verdict:
    """FAIL if anything failed, else UNCHECKED if anything was (or there is nothing at all), else PASS."""
    verdicts = {finding.verdict for finding in findings}
    if FAIL in verdicts:
        return FAIL
    return UNCHECKED if UNCHECKED in verdicts or not verdicts else PASS


def tally(findings: Iterable[Finding]) -> dict[str, int]:
    """How many of each verdict, by the verdict's word."""
    counts = {verdict.value: 0 for verdict in (PASS, FAIL, UNCHECKED)}
    for finding in findings:
        counts[finding.verdict.value] += 1
    return counts
