"""Writes reports as text for people, JSON and CSV for programs, Markdown for a pull request.

The JSON of one path is `{"path", "findings": [{"rule", "verdict", "says", "where", "found", "expected", "fix"}],
"claimed_bpb", "corrected_bpb", "basis"}`; several paths give a list of these.
"""

import csv
import io
import json
from typing import Any

from .finding import Finding, Report, Verdict

ORDER = {Verdict.FAIL: 0, Verdict.UNCHECKED: 1, Verdict.PASS: 2}
COLOURS = {Verdict.FAIL: "31;1", Verdict.UNCHECKED: "33", Verdict.PASS: "32"}


def as_json(reports: list[Report]) -> str:
    """One document: an object for one path, a list for several."""
    shaped: list[dict[str, Any]] = [
        {
            "path": one.path,
            "findings": [finding.as_json() for finding in one.findings],
            "claimed_bpb": one.claimed_bpb,
            "corrected_bpb": one.corrected_bpb,
            "basis": one.basis,
        }
        for one in reports
    ]
    return json.dumps(shaped[0] if len(shaped) == 1 else shaped, indent=2, ensure_ascii=False) + "\n"


def as_csv(reports: list[Report]) -> str:
    """One line a finding, under one line of headings; control characters made visible."""
    made = io.StringIO()
    lines = csv.writer(made, lineterminator="\n")
    lines.writerow(["path", "rule", "verdict", "says", "where", "found", "expected", "fix"])
    for report in reports:
        for one in sorted_findings(report):
            words = (report.path, one.rule, one.verdict.value, one.says, one.where, one.found, one.expected, one.fix)
            lines.writerow([_no_formula(printable(word)) for word in words])
    return made.getvalue()


def _no_formula(word: str) -> str:
    """A stranger's words never become a formula in a spreadsheet."""
    return f"'{word}" if word[:1] in tuple("=+-@") else word


def tally(report: Report) -> str:
    """`1 failed, 2 unchecked, 9 passed`."""
    return (
        f"{report.count(Verdict.FAIL)} failed, {report.count(Verdict.UNCHECKED)} unchecked, "
        f"{report.count(Verdict.PASS)} passed"
    )


def score_line(report: Report) -> str:
    """The claim beside the score on the best evidence, in one sentence; the basis says where the loss is from."""
    claimed = "no claim" if report.claimed_bpb is None else f"claimed {report.claimed_bpb:.8g} bits per byte"
    if report.claimed_bpb is None and report.logged_bpb is not None:
        claimed = f"no claim; the log says {report.logged_bpb:.8g} bits per byte"
    if report.corrected_bpb is None:
        return f"{claimed}; nothing to recompute it from."
    return f"{claimed}; {report.corrected_bpb:.8g} on {report.basis}."


def sorted_findings(report: Report) -> list[Finding]:
    """Failures first, then what could not be checked; by code within."""
    return sorted(report.findings, key=lambda one: (ORDER[one.verdict], one.rule))


def details(finding: Finding) -> list[tuple[str, str]]:
    pairs = (("found", finding.found), ("expected", finding.expected), ("where", finding.where), ("fix", finding.fix))
    return [(name, value) for name, value in pairs if value]


def as_text(reports: list[Report], colour: bool = False) -> str:
    """For a terminal: a block a path, failures first, each finding on its own lines."""
    lines: list[str] = []
    for report in reports:
        lines.append(printable(report.path))
        for one in sorted_findings(report):
            verdict = f"{one.verdict.value:<9}"
            if colour:
                verdict = f"\x1b[{COLOURS[one.verdict]}m{verdict}\x1b[0m"
            lines.append(f"{one.rule} {verdict} {printable(one.says)}")
            lines += [f"      {name}: {printable(value)}" for name, value in details(one)]
        lines.append(f"score: {printable(score_line(report))}")
        if report.isolation:
            lines.append(f"isolation: {printable(report.isolation)}")
        failed = next((one.rule for one in sorted_findings(report) if one.verdict is not Verdict.PASS), None)
        hint = f" `pglab audit --explain {failed}` says what a rule wants." if failed else ""
        lines += [f"{tally(report)}.{hint}", ""]
    return "\n".join(lines)


def printable(text: str) -> str:
    """Control characters of a stranger's file do not reach the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _cell(text: str) -> str:
    text = printable(text.replace("\n", " "))
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _code(path: str) -> str:
    """A path as code, whatever quotes or control characters its name holds."""
    return f"`{printable(path).replace('`', chr(0xFFFD))}`"


def as_markdown(reports: list[Report]) -> str:
    """A table a path, to paste into a pull request."""
    lines: list[str] = []
    for report in reports:
        lines += [f"## Audit of {_code(report.path)}", "", f"{tally(report)}. {_cell(score_line(report))}", ""]
        lines += ["| rule | verdict | finding | found | expected | where | fix |", "|---|---|---|---|---|---|---|"]
        for one in sorted_findings(report):
            cells = (one.rule, one.verdict.value, one.says, one.found, one.expected, one.where, one.fix)
            lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)
