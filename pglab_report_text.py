"""A report on a terminal, or in a pipe: title, tables, then the sentences, which so stand nearest to the prompt.

A table that is wider than the terminal is written row by row, one value a line, instead of being cut. A pipe has no
width, so that there a line of a table stays a line. NO_COLOR and a terminal without colours are obeyed by rich.
"""

import io
from typing import IO

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from pglab_report_shape import Report, Table, plain

VERDICTS = {"PASS": "green", "FAIL": "bold red", "UNCHECKED": "yellow"}
WIDE = 10_000  # columns of a pipe


def print_report(report: Report, file: IO[str] | None = None) -> None:
    """Print on `file`, stdout without one."""
    console = Console(file=file, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = WIDE
    if report.title:
        console.print(Text(plain(report.title), style="bold"))
    for table in report.tables:
        if table.title and table.title != report.title:
            console.print()
            console.print(Text(plain(table.title)))
        if table.rows:
            console.print()
            console.print(grid(table)) if natural_width(table) <= console.width else stacked(table, console)
    if report.tables and report.sentences:
        console.print()
    for sentence in report.sentences:
        console.print(Text(plain(sentence)))
    for note in report.notes:
        console.print(Text(f"note: {plain(note)}", style="dim"))


def natural_width(table: Table) -> int:
    """Columns of the terminal that the table takes when nothing is cut."""
    lines = [[column.title for column in table.shown], *table.cells()]
    return sum(max(map(cell_len, column)) + 3 for column in zip(*lines, strict=True))


def grid(table: Table) -> Grid:
    """The table as rich prints it."""
    made = Grid(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), header_style="dim", show_edge=False)
    for column in table.shown:
        made.add_column(Text(plain(column.title)), justify="right" if column.right else "left", no_wrap=True)
    for place, row in enumerate(table.cells()):
        made.add_row(*styled(table, row), style="bold" if place in table.best else "")
    return made


def styled(table: Table, row: list[str]) -> list[Text]:
    """The cells of a row, verdicts in their colours."""
    return [
        Text(cell, style=VERDICTS.get(cell, "") if column.verdict else "")
        for column, cell in zip(table.shown, row, strict=True)
    ]


def stacked(table: Table, console: Console) -> None:
    """Each row as a block of lines, for a terminal that is too narrow for the grid."""
    heads = [plain(column.title) for column in table.shown]
    room = max(map(cell_len, heads))
    for place, row in enumerate(table.cells()):
        cells = styled(table, row)
        console.print(cells[0] if cells[0].style else Text(row[0], style="bold"))
        for head, cell in zip(heads[1:], cells[1:], strict=True):
            console.print(Text(f"  {head:{room}}  ", style="dim"), cell, sep="", soft_wrap=True)
        if place + 1 < len(table.rows):
            console.print()


def as_text(report: Report) -> str:
    """The report as it looks in a pipe."""
    out = io.StringIO()
    print_report(report, out)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
