"""A report as one HTML page: no script, nothing from outside, light and dark, readable on a phone and aloud."""

from functools import cache
from pathlib import Path
from typing import Any

from .plot import as_html as picture
from .shape import Report, plain

HOME = Path(__file__).resolve().parent
COLOUR_RULES = (
    ":root { color-scheme: light dark; --paper: #fdfdfb; --raised: #f4f4ef; --ink: #1d1f21; --soft: #5d6166; "
    "--line: #dcdcd4; --one: #2f6690; --two: #b4531f; --three: #9a3b4e; --four: #2e7048; --five: #6b4fa0; "
    "--six: #7d5a00; --pass: #22663a; --fail: #a3242f; --unchecked: #7d5a00; } "
    "@media (prefers-color-scheme: dark) { :root { --paper: #15171a; --raised: #1e2125; --ink: #e7e6e1; "
    "--soft: #a3a7ab; --line: #34383d; --one: #8fb4d6; --two: #f0a06a; --three: #e08a9b; --four: #84cf9b; "
    "--five: #b9a3ea; --six: #e3bd62; --pass: #84cf9b; --fail: #ff9a9a; --unchecked: #e3bd62; } }"
)


@cache
def template() -> Any:
    """The page's template; every value in it is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(loader=FileSystemLoader(HOME), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                       lstrip_blocks=True)  # fmt: skip
    made.filters["plain"] = plain
    return made.get_template("page.html.jinja")


def as_html(report: Report, command: str = "") -> str:
    """The page's text."""
    css = COLOUR_RULES + "\n" + (HOME / "page.css").read_text("utf-8")
    pictures = [(plot.title, picture(plot)) for plot in report.plots if any(len(series.y) for series in plot.series)]
    text: str = template().render(report=report, css=css, pictures=pictures, command=command)
    return text
