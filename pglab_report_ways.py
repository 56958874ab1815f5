"""How a command hands over what it found: on the screen, as JSON, and in the files its user asked for.

    def sweep(..., *, ways: Ways = Ways()) -> int:
        ...
        return show(report, ways)

`Ways` gives a command its options --json, --out FILE and --quiet, the same words with the same meaning everywhere.
"""

import os
import shlex
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pglab_report_shape import Report, ReportError

SUFFIXES = (".txt", ".json", ".csv", ".md", ".html", ".svg")


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Ways:
    """How the result is wanted.

    Parameters
    ----------
    json
        Print one JSON document instead of text.
    out
        Write the result to FILE too: .txt, .json, .csv, .md, .html or .svg (the first plot); may be repeated.
    quiet
        Print nothing but what --json asks for.
    """

    json: Annotated[bool, Parameter(negative=())] = False
    out: Annotated[tuple[Path, ...], Parameter(negative=(), consume_multiple=False, show_default=False)] = ()
    quiet: Annotated[bool, Parameter(negative=())] = False

    def __post_init__(self) -> None:
        """Say what is wrong with the files before any work is done. Raises ReportError."""
        for place in self.out:
            if place.is_dir():
                raise ReportError(f"--out {place}: is a folder; wanted the name of a file to write.")
            if place.suffix.lower() not in SUFFIXES:
                raise ReportError(f"--out {place}: wanted a file that ends in one of {', '.join(SUFFIXES)}.")


def typed() -> str:
    """The command line this process was started with, when it was the lab's own; else the empty string."""
    name = Path(sys.argv[0]).name if sys.argv else ""
    return shlex.join(["pglab", *sys.argv[1:]]) if name.removesuffix(".exe") in {"pglab", "pglab.py"} else ""


def rendered(report: Report, place: Path, command: str) -> str:
    """The text of the file `place`, by its suffix. `NAME.TABLE.csv` holds the table of that name, `NAME.csv` the first.

    Raises ReportError when the report has no table or no plot for it, or the suffix is not known.
    """
    kind = place.suffix.lower()
    if kind == ".json":
        from pglab_report_machine import as_json

        return as_json(report, command)
    if kind == ".csv":
        from pglab_report_machine import as_csv

        inner = Path(place.stem).suffix.removeprefix(".")
        return as_csv(report, inner if inner in {table.name for table in report.tables} else "")
    if kind == ".md":
        from pglab_report_markdown import as_markdown

        return as_markdown(report, command)
    if kind == ".html":
        from pglab_report_html import as_html

        return as_html(report, command)
    if kind == ".svg":
        from pglab_report_plot import as_svg

        if not report.plots:
            raise ReportError(f"--out {place}: this result has no plot. Ask for .txt, .json, .csv, .md or .html.")
        return as_svg(report.plots[0])
    if kind == ".txt":
        from pglab_report_text import as_text

        return as_text(report)
    raise ReportError(f"--out {place}: wanted a file that ends in one of {', '.join(SUFFIXES)}.")


def write_report(report: Report, place: Path, command: str = "") -> int:
    """Write the report to one file, aside first and then renamed; returns its bytes. Raises ReportError, OSError."""
    data = rendered(report, place, command).encode("utf-8", "backslashreplace")
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(place)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    return len(data)


def show(report: Report, ways: Ways) -> int:
    """Print the report as asked, write the files, say on stderr what was written; returns the report's exit status.

    Raises ReportError when a file cannot hold this report (CSV without a table, SVG without a plot), after the screen
    was served, so that the work is not lost.
    """
    command = typed()
    if ways.json:
        from pglab_report_machine import as_json

        sys.stdout.write(as_json(report, command))
    elif not ways.quiet:
        from pglab_report_text import print_report

        print_report(report)
    for place in ways.out:
        size = write_report(report, place, command)
        if not ways.quiet:
            print(f"{place}: {size:,} bytes", file=sys.stderr)
    return report.status
