"""What an audit says: findings, each with a verdict, gathered in a report.

A finding is one sentence that a reader can check: which rule, what was found, what was expected, where (`file:line` or
`shard:token:document`) and what to do. No evidence is UNCHECKED, never PASS. A check yields findings made by
`passed`, `failed` and `unchecked`; the registry stamps the rule's code on them (see rules.py).

    >>> failed("the implied bytes are 1.177 times the reference", found="177,826,209", expected="151,080,891").verdict
    <Verdict.FAIL: 'FAIL'>
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """PASS: evidence was seen and agrees. FAIL: evidence contradicts. UNCHECKED: the evidence is not there."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNCHECKED = "UNCHECKED"


@dataclass(frozen=True)
class Finding:
    """One result of one rule. All texts; empty means not applicable.

    `rule` the stable code (`PG121`), `where` is `file:line`, `shard:token:document` or a file name, `found` and
    `expected` carry numbers with units, `fix` the next thing to do. `corrected_bpb`/`basis` let a rule that knows the
    right score say so; the report takes the first of them.
    """

    rule: str
    verdict: Verdict
    says: str
    where: str = ""
    found: str = ""
    expected: str = ""
    fix: str = ""
    corrected_bpb: float | None = None
    basis: str = ""

    def as_json(self) -> dict[str, str]:
        """The seven public fields, in the published order."""
        return {
            "rule": self.rule,
            "verdict": self.verdict.value,
            "says": self.says,
            "where": self.where,
            "found": self.found,
            "expected": self.expected,
            "fix": self.fix,
        }


def passed(says: str, where: str = "", found: str = "", expected: str = "") -> Finding:
    """A finding that evidence agrees; the registry stamps the rule."""
    return Finding("", Verdict.PASS, says, where, found, expected)


def many(count: int, what: str) -> str:
    """`1 log`, `3 logs`: a number of things, in words."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def failed(
    says: str,
    where: str = "",
    found: str = "",
    expected: str = "",
    fix: str = "",
    corrected_bpb: float | None = None,
    basis: str = "",
) -> Finding:
    """A finding that evidence contradicts; `corrected_bpb` (bits per byte) and its `basis` where they are known."""
    return Finding("", Verdict.FAIL, says, where, found, expected, fix, corrected_bpb, basis)


def unchecked(says: str, where: str = "", fix: str = "") -> Finding:
    """A finding that the evidence is not there; `fix` says what to give (usually a flag)."""
    return Finding("", Verdict.UNCHECKED, says, where, fix=fix)


@dataclass(frozen=True)
class Report:
    """All findings about one path.

    `claimed_bpb` bits per byte as the submission claims it (None: no claim), `corrected_bpb` the score by the best
    evidence at hand (None: nothing to correct it with), `basis` on what bytes that stands, `isolation` how a
    stranger's code was held when it ran, `logged_bpb` what the log ends with (for a submission that claims nothing).
    """

    path: str
    findings: tuple[Finding, ...] = field(default_factory=tuple)
    claimed_bpb: float | None = None
    corrected_bpb: float | None = None
    basis: str = ""
    isolation: str = ""
    logged_bpb: float | None = None

    def count(self, verdict: Verdict) -> int:
        """How many findings carry this verdict."""
        return sum(finding.verdict is verdict for finding in self.findings)

    @property
    def good(self) -> bool:
        """True when there is at least one finding and all of them pass."""
        return bool(self.findings) and all(finding.verdict is Verdict.PASS for finding in self.findings)
