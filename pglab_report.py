"""What a command found, as one plain shape, and its writers: text, JSON, CSV, Markdown, HTML, SVG.

A room's command makes a `Report` (sentences, tables with typed columns, plots as data) and hands it to `show` with the
`Ways` that its user asked for. This package imports no room, so that every room may use it; the libraries that draw
and lay out are imported only when something is drawn.
"""

from pglab_report_shape import Column, Limit, Plot, Report, ReportError, Series, Table
from pglab_report_ways import Ways, show, write_report

__all__ = [
    "Column",
    "Limit",
    "Plot",
    "Report",
    "ReportError",
    "Series",
    "Table",
    "Ways",
    "show",
    "write_report",
]
