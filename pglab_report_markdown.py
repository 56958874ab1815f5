"""A report as Markdown, for the README of a record or a comment on a pull request: headings, pipe tables, sentences."""

import re

from pglab_report_shape import Column, Report, Table, plain


def escape(text: str) -> str:
    """Text that Markdown shows as it is, in a table's cell too."""
    text = plain(text).replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([|*`\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", text)


def as_markdown(report: Report, command: str = "") -> str:
    """The whole report under a second-level heading."""
    parts = [f"## {escape(report.title)}"] if report.title else []
    parts += [escape(sentence) for sentence in report.sentences]
    for table in report.tables:
        if table.title and table.title != report.title:
            parts.append(f"**{escape(table.title)}**")
        if table.rows:
            parts.append(pipes(table))
    parts += [f"Note: {escape(note)}" for note in report.notes]
    if command:
        parts.append(f"Made by `{plain(command).replace('`', '')}`.")
    return "\n\n".join(parts) + "\n"


def pipes(table: Table) -> str:
    """A table with pipes."""

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    def rule(column: Column) -> str:
        return "---:" if column.right else "---"

    lines = [line([escape(column.title) for column in table.shown]), "|" + "|".join(map(rule, table.shown)) + "|"]
    for place, row in enumerate(table.cells()):
        stress = "**" if place in table.best else ""
        lines.append(line([f"{stress}{escape(cell)}{stress}" if cell else "" for cell in row]))
    return "\n".join(lines)
