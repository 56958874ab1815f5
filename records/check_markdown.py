"""Check reports as Markdown, made to be pasted into a pull request: what failed, what is open, and how to mend it.

One section a folder. Failures are a table, what could not be checked is folded away, and what passed is a line of
codes. What comes from a folder (a file name, a line of a log) is data: it is escaped, so that it cannot end a cell,
open a link, or mention anybody.
"""

import re

from .check import CheckReport
from .finding import FAIL, PASS, UNCHECKED, Finding, tally

LONGEST = 300
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!$])")


def plain(text: str) -> str:
    """Text for a cell: one line of at most 300 characters, nothing in it is Markdown, HTML or a mention.

    >>> plain("a|b <i>@ada")
    'a\\\\|b \\\\<i\\\\>@\u2060ada'
    """
    line = " ".join(text.split())
    line = line if len(line) <= LONGEST else line[: LONGEST - 1] + "\u2026"
    # a word joiner keeps `@name` and `#7` from becoming a mention or a link
    return SPECIAL.sub(r"\\\1", line).replace("@", "@\u2060").replace("://", ":\u2060//")


def _table(findings: list[Finding]) -> list[str]:
    lines = ["| rule | what | where | found | wanted | fix |", "|---|---|---|---|---|---|"]
    for item in findings:
        cells = (item.rule, item.says, item.where, item.found, item.expected, item.fix)
        lines.append("| " + " | ".join(plain(cell) for cell in cells) + " |")
    return lines


def markdown(reports: list[CheckReport]) -> str:
    """The reports as one Markdown text, newline at its end; the folder's name only, never the path it lay under."""
    parts: list[str] = []
    for report in reports:
        by = {v: [f for f in report.findings if f.verdict is v] for v in (FAIL, UNCHECKED, PASS)}
        by = {v: sorted(found, key=lambda f: f.rule) for v, found in by.items()}
        counts = tally(report.findings)
        parts += [f"### {plain(report.name)}", ""]
        parts += [
            f"{counts['FAIL']} failed, {counts['UNCHECKED']} unchecked, {counts['PASS']} passed "
            f"({report.track} track, `pglab record check`).",
            "",
        ]
        if by[FAIL]:
            parts += [*_table(by[FAIL]), ""]
        if by[UNCHECKED]:
            parts += [f"<details><summary>Not checked: {len(by[UNCHECKED])}</summary>", ""]
            parts += [*_table(by[UNCHECKED]), "", "</details>", ""]
        if by[PASS]:
            parts += ["Passed: " + ", ".join(dict.fromkeys(f.rule for f in by[PASS])) + ".", ""]
    return "\n".join(parts)
