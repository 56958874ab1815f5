"""A report for machines: one JSON document, or one table as CSV, with the values as they are and nothing formatted.

The JSON document's schema is `pglab-report`, version 1: fields may be added, and none changes its meaning without a new
version. A number that is not finite is null, since JSON has no word for it.
"""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pglab_report_shape import Report, ReportError, Table, plain

SCHEMA, VERSION = "pglab-report", 1


def value(it: Any) -> Any:
    """`it` as JSON can say it: mappings, lists, text, numbers, true, false, null."""
    if isinstance(it, Mapping):
        return {str(key): value(inner) for key, inner in it.items()}
    if isinstance(it, Sequence | Set) and not isinstance(it, str):
        return [value(inner) for inner in it]
    if isinstance(it, Path):
        return it.as_posix()
    if hasattr(it, "tolist"):  # a number or an array of numpy
        return value(it.tolist())
    if isinstance(it, float) and not math.isfinite(it):
        return None
    if isinstance(it, str):
        return it.encode("utf-8", "backslashreplace").decode("utf-8")  # a file's name may hold what is no Unicode
    return it


def document(report: Report, command: str = "") -> dict[str, Any]:
    """The report as a dict of the schema, `report.data` at its top. Raises ReportError when a field of it is taken."""
    own: dict[str, Any] = {
        "schema": SCHEMA,
        "version": VERSION,
        "title": report.title,
        "sentences": list(report.sentences),
        "tables": {
            table.name: {
                "title": table.title,
                "columns": [{"key": c.key, "heading": c.heading or c.key, "unit": c.unit} for c in table.columns],
                "rows": [{c.key: row.get(c.key) for c in table.columns} for row in table.rows],
                "best": list(table.best),
            }
            for table in report.tables
        },
        "plots": {plot.name: {k: v for k, v in asdict(plot).items() if k != "name"} for plot in report.plots},
        "notes": list(report.notes),
        "status": report.status,
        "command": command,
    }
    taken = own.keys() & report.data.keys()
    if taken:
        raise ReportError(f"the fields {sorted(taken)} belong to the report itself; name the data otherwise.")
    return {**own, **value(report.data)} | {key: value(it) for key, it in own.items()}


def as_json(report: Report, command: str = "") -> str:
    """The document as indented JSON with a newline at its end."""
    return json.dumps(document(report, command), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(report: Report, name: str = "") -> str:
    """One table as CSV: the keys, then the raw values. `name` chooses the table; the first without it.

    Raises ReportError when there is no such table.
    """
    chosen: list[Table] = [table for table in report.tables if not name or table.name == name]
    if not chosen:
        there = ", ".join(table.name for table in report.tables) or "none"
        raise ReportError(f"no table {name!r} for CSV; there are: {there}.")
    table, out = chosen[0], io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.key for column in table.columns])
    for row in table.rows:
        writer.writerow([cell(row.get(column.key)) for column in table.columns])
    return out.getvalue()


def cell(it: Any) -> Any:
    """A value for CSV: nothing where there is none, text on one line whatever it holds."""
    it = value(it)
    return "" if it is None else plain(it) if isinstance(it, str) else it
