"""A report as one HTML page: no script, nothing from outside, light and dark, readable on a phone and aloud."""

from functools import cache
from typing import Any

from pglab_report_page import COLOUR_RULES, CSS, TEMPLATE
from pglab_report_plot import as_html as picture
from pglab_report_shape import Report, plain


@cache
def template() -> Any:
    """The page's template; every value in it is escaped."""
    from jinja2 import Environment, StrictUndefined

    made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["plain"] = plain
    return made.from_string(TEMPLATE)


def as_html(report: Report, command: str = "") -> str:
    """The page's text."""
    css = COLOUR_RULES + "\n" + CSS
    pictures = [(plot.title, picture(plot)) for plot in report.plots if any(len(series.y) for series in plot.series)]
    text: str = template().render(report=report, css=css, pictures=pictures, command=command)
    return text
