"""Print check reports for people: one block a folder, what failed first, the tally last."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .check import CheckReport
from .finding import FAIL, PASS, UNCHECKED, tally

STYLE = {FAIL: "bold red", UNCHECKED: "yellow", PASS: "green"}
ORDER = {FAIL: 0, UNCHECKED: 1, PASS: 2}


def show(reports: list[CheckReport], everything: bool = False, console: Console | None = None) -> None:
    """Print the reports on stdout; `everything` adds the findings that passed."""
    console = console or Console(highlight=False)
    for report in reports:
        console.print(Text(report.path, style="bold"), Text(f"({report.track} track)", style="dim"))
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for width in (6, 9):
            table.add_column(width=width, no_wrap=True)
        table.add_column(ratio=3)
        table.add_column(ratio=2, style="dim")
        for item in sorted(report.findings, key=lambda f: (ORDER[f.verdict], f.rule)):
            if item.verdict is PASS and not everything:
                continue
            detail = [item.says]
            if item.verdict is FAIL:
                detail += [f"found {item.found}"] if item.found else []
                detail += [f"wanted {item.expected}"] if item.expected else []
                detail += [f"fix: {item.fix}"] if item.fix else []
            table.add_row(
                item.rule,
                Text(item.verdict.value, style=STYLE[item.verdict]),
                Text("\n".join(detail)),
                Text(item.where),
            )
        if table.row_count:
            console.print(table)
        counts = tally(report.findings)
        console.print(
            f"{counts['FAIL']} failed, {counts['UNCHECKED']} unchecked, {counts['PASS']} passed. "
            "`pglab record check --explain CODE` says what a rule wants.\n",
            soft_wrap=True,
        )
    if len(reports) > 1:
        bad = sum(any(f.verdict is FAIL for f in report.findings) for report in reports)
        console.print(f"{len(reports)} folders: {bad} with a failed rule, {len(reports) - bad} without.")
