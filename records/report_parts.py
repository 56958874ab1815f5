"""The parts a section of the report is made of: tables, numbers as people read them, and a word for what is missing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .report_data import Inputs, number, pick


@dataclass
class Table:
    """Rows of text under headings; `right` says which columns are numbers, `marks` which rows stand out."""

    heads: list[str]
    rows: list[list[str]]
    right: set[int] = field(default_factory=set)
    marks: set[int] = field(default_factory=set)
    caption: str = ""
    verdict: int | None = None


@dataclass
class Station:
    """One stop of the run and the commands it took: (command, seconds)."""

    name: str
    title: str
    commands: list[tuple[str, str]] = field(default_factory=list)
    says: str = ""


@dataclass
class Section:
    """One part of the page. `wants` names the file it is made of; without it `there` is False."""

    key: str
    title: str
    wants: str
    there: bool = True
    lead: str = ""
    tables: list[Table] = field(default_factory=list)
    pictures: list[tuple[str, str]] = field(default_factory=list)  # (html, caption)
    note: str = ""
    commands: list[Station] = field(default_factory=list)


def size(value: Any) -> str:
    """`12,185,751`, or a dash."""
    count = number(value)
    return f"{round(count):,}" if count is not None else "–"


def fixed(value: Any, places: int = 4) -> str:
    """A number with fixed decimals, or a dash."""
    count = number(value)
    return f"{count:,.{places}f}" if count is not None else "–"


def yes(value: Any) -> str:
    """`yes`, `no`, or the word a file uses for a level."""
    return {True: "yes", False: "no", None: "–"}.get(value, str(value)) if not isinstance(value, dict | list) else "–"


def gone(inputs: Inputs, section: Section, name: str) -> bool:
    """Mark a section whose file is missing or broken; True when it has nothing to show."""
    if inputs.get(name) is not None:
        return False
    section.there = False
    section.lead = (
        f"Could not be read: {inputs.broken[name]}" if name in inputs.broken else f"Not in this run: {section.wants}."
    )
    return True


Column = tuple[str, tuple[str, ...], Callable[[Any], str] | None]


def spec_table(rows: list[dict[str, Any]], spec: Sequence[Column]) -> Table:
    """A table of the columns any row has a value for. `spec`: heading, names to try, formatter (None: text)."""
    used = [(head, names, form) for head, names, form in spec if any(pick(row, *names) is not None for row in rows)]
    return Table(
        [head for head, _, _ in used],
        [
            [(form(pick(row, *names)) if form else str(pick(row, *names, default="–"))) for _, names, form in used]
            for row in rows
        ],
        {i for i, (_, _, form) in enumerate(used) if form is not None and form is not yes},
    )
