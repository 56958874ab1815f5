"""The plain shape of a report: sentences, tables with typed columns, and plots as data. No drawing, no files."""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

ABSENT = "-"  # what stands where a value is not there


class ReportError(ValueError):
    """A report cannot be written as asked; the message is a sentence for the user."""

    sentence = True


def plain(text: str) -> str:
    """`text` fit to be shown: control characters, direction marks and lone surrogates become visible escapes.

    Names come from strangers' files, and a terminal obeys what is printed on it.
    """

    def safe(sign: str) -> str:
        hidden = unicodedata.category(sign) in {"Cc", "Cs"} or sign in "\u2028\u2029"
        turns = "\u202a" <= sign <= "\u202e" or "\u2066" <= sign <= "\u2069" or sign in "\u200e\u200f"
        return sign.encode("unicode_escape").decode("ascii") if hidden or turns else sign

    return "".join(map(safe, text))


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    key: the value's name in a row, in JSON and in CSV. heading, unit: what people read ("embedding", "bytes").
    format: a format specification of Python for the value (",d", ".4f", ".1%"), or a template with braces that names
    fields of the row ("{bpb:.4f} [{low:.4f}, {high:.4f}]"). align: "left" or "right"; without it, right where there is
    a format. verdict: the cells are PASS, FAIL or UNCHECKED. hidden: only in JSON and CSV.
    """

    key: str
    heading: str = ""
    unit: str = ""
    format: str = ""
    align: Literal["", "left", "right"] = ""
    verdict: bool = False
    hidden: bool = False

    @property
    def title(self) -> str:
        """The heading with its unit."""
        head = self.heading or self.key
        return f"{head}, {self.unit}" if self.unit else head

    @property
    def right(self) -> bool:
        """Whether the cells stand at the right."""
        return self.align == "right" or (not self.align and bool(self.format))

    def cell(self, row: Mapping[str, Any]) -> str:
        """The value of `row` as people read it; "-" where it is None, missing or not a number."""
        value = row.get(self.key)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ABSENT
        try:
            if "{" in self.format:
                return plain(self.format.format(**row))
            return plain(format(value, self.format))
        except (TypeError, ValueError, KeyError):  # a word in a column of numbers, or an interval without its ends
            return plain(str(value))


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of named values under typed columns.

    name: one word, the key in JSON and in `FILE.NAME.csv`. title: the caption. rows: mappings from a column's key to
    a str, int, float, bool or None. best: places of rows to stress.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    best: Sequence[int] = ()

    @property
    def shown(self) -> list[Column]:
        """The columns for people."""
        return [column for column in self.columns if not column.hidden]

    def cells(self) -> list[list[str]]:
        """Every row as text, for the columns that are shown."""
        return [[column.cell(row) for column in self.shown] for row in self.rows]


@dataclass(frozen=True, slots=True)
class Series:
    """Points of a plot under one label, in data units.

    low, high: ends of the error bars, or nothing. style: "line", "dots", "both", or "bars" (names along the axis, y
    their lengths, x left empty). names: words beside the points, as many as points, "" for none. own: stressed.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    style: Literal["line", "dots", "both", "bars"] = "line"
    names: Sequence[str] = ()

    def __post_init__(self) -> None:
        wanted = len(self.y)
        for what in ("x", "low", "high", "names"):
            found = len(getattr(self, what))
            if found != wanted and not (found == 0 and (what != "x" or self.style == "bars")):
                raise ReportError(f"series {self.label!r}: {found} {what} for {wanted} y.")


@dataclass(frozen=True, slots=True)
class Limit:
    """A line across a plot, such as the cap of 16,000,000 bytes: its place on one axis, and its word."""

    value: float
    words: str
    axis: Literal["x", "y"] = "y"


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture as data. x, y: the axes' words with units. told: the words for who does not see it; made when empty."""

    name: str
    title: str
    x: str
    y: str
    series: Sequence[Series]
    x_log: bool = False
    y_log: bool = False
    limits: Sequence[Limit] = ()
    told: str = ""

    def alt(self) -> str:
        """What the picture shows, in words."""
        if self.told:
            return plain(self.told)
        parts = []
        for series in self.series:
            values = [value for value in series.y if math.isfinite(value)]
            if not values:
                continue
            if series.style in ("line", "both") and len(values) > 1:
                parts.append(f"{series.label} goes from {values[0]:.5g} to {values[-1]:.5g}")
            else:
                parts.append(f"{series.label} lies between {min(values):.5g} and {max(values):.5g}")
        return plain(f"{self.title}: {self.y} over {self.x}. {'; '.join(parts)}.")


@dataclass(frozen=True, slots=True)
class Report:
    """What one command found.

    title: what was compared, on what. sentences: the answer, the ratio that matters first. notes: what limits it.
    status: the exit status, 0 good, 1 findings. data: more fields for the top of the JSON document, beside the report's
    own ("schema", "version", "title", "sentences", "tables", "plots", "notes", "status", "command").
    """

    title: str
    sentences: Sequence[str] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    notes: Sequence[str] = ()
    status: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)
