"""A plot's data drawn: lines, dots with error bars, or bars, on plain or logarithmic axes, in the page's colours."""

import math
from typing import Any

from pglab_report_figure import COLOURS, LINE, PAPER, SOFT, TEXT, THREE, figure, svg
from pglab_report_names import write_names
from pglab_report_shape import Plot, Series, plain

MOST = 1_500  # points of a curve that are drawn; a page need not hold a million
MARKS = "osD^vP"  # one shape a colour, for who cannot tell the colours


def as_html(plot: Plot) -> str:
    """The plot as HTML with one SVG for wide and one for narrow windows."""
    wide, narrow = sizes(plot)
    return figure(lambda canvas, axes, small: draw(plot, canvas, axes, small), plot.alt(), wide, narrow)


def as_svg(plot: Plot) -> str:
    """The plot as an SVG file of its own, with colours for light and dark."""
    from pglab_report_page import COLOUR_RULES

    text = svg(lambda canvas, axes, small: draw(plot, canvas, axes, small), plot.alt(), sizes(plot)[0], False)
    style = f"<style>{COLOUR_RULES} svg {{ background: var(--paper); font-family: sans-serif; }}</style>"
    head, rest = text.split(">", 1)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{head}>\n{style}{rest}\n'


def sizes(plot: Plot) -> tuple[tuple[float, float], tuple[float, float]]:
    """Inches of the wide and of the narrow picture."""
    if plot.series and plot.series[0].style == "bars":
        height = 0.7 + 0.29 * sum(len(series.y) for series in plot.series)
        return (8.4, height), (4.0, height)
    legend = 0.22 * math.ceil(len(plot.series) / 3) if len(plot.series) > 1 else 0.0
    return (8.4, 3.4 + legend), (4.0, 3.2 + 0.22 * len(plot.series))


def thin(series: Series) -> list[int]:
    """Places of the points that are drawn: finite ones, evenly fewer when there are too many, the last one always."""
    places = [i for i, y in enumerate(series.y) if math.isfinite(y) and (not series.x or math.isfinite(series.x[i]))]
    step = max(1, math.ceil(len(places) / MOST))
    return places if step == 1 else sorted({*places[::step], places[-1]})


def draw(plot: Plot, canvas: Any, axes: Any, narrow: bool) -> None:
    """Draw every series on matplotlib's axes."""
    if plot.series and plot.series[0].style == "bars":
        draw_bars(plot, axes, narrow)
        return
    for number, series in enumerate(plot.series):
        draw_series(series, axes, COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)], narrow)
    if plot.x_log:
        axes.set_xscale("log")
        plain_ticks(axes.xaxis)
    if plot.y_log:
        axes.set_yscale("log")
        plain_ticks(axes.yaxis)
    for limit in plot.limits:
        line, at = (axes.axvline, (limit.value, 0.98)) if limit.axis == "x" else (axes.axhline, (0.99, limit.value))
        line(limit.value, color=THREE, linewidth=1, linestyle=(0, (4, 3)))
        frame = axes.get_xaxis_transform() if limit.axis == "x" else axes.get_yaxis_transform()
        axes.annotate(plain(limit.words), at, xycoords=frame, xytext=(-3, 3), textcoords="offset points", color=THREE,
                      ha="right", va="top" if limit.axis == "x" else "bottom")  # fmt: skip
    if not plot.x_log and max((abs(x) for s in plot.series for x in s.x if math.isfinite(x)), default=0) >= 10_000:
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.locator_params(axis="x", nbins=4 if narrow else 8)
    name_points(plot, axes, narrow)
    axes.grid(True, axis="y")
    axes.set_xlabel(plain(plot.x))
    axes.set_ylabel(plain(plot.y))
    if len(plot.series) > 1:
        canvas.legend(loc="outside lower left", ncols=1 if narrow else 3, frameon=False, labelcolor=TEXT, fontsize=9)


def draw_series(series: Series, axes: Any, colour: str, mark: str, narrow: bool) -> None:
    """One curve or cloud, its error bars, and the words beside its points."""
    places = thin(series)
    xs, ys = [series.x[i] for i in places], [series.y[i] for i in places]
    marker = "" if series.style == "line" and len(xs) > 1 else mark
    joined = "" if series.style == "dots" else "-"
    axes.plot(xs, ys, color=colour, linewidth=1.4, linestyle=joined, marker=marker, markersize=4.5,
              solid_joinstyle="round", label=plain(series.label))  # fmt: skip
    if series.low and series.high:
        ends = [[max(0.0, series.y[i] - series.low[i]) for i in places],
                [max(0.0, series.high[i] - series.y[i]) for i in places]]  # fmt: skip
        axes.errorbar(xs, ys, yerr=ends, fmt="none", ecolor=colour, elinewidth=1.1, capsize=3)


def name_points(plot: Plot, axes: Any, narrow: bool) -> None:
    """Write the words beside the points of every series, unless there are too many for a narrow picture."""
    named, bare, lines = [], [], []
    for series in plot.series:
        shown = thin(series)
        if series.style in ("line", "both"):
            lines.append([(series.x[i], series.y[i]) for i in shown])
        if not series.names or (narrow and len(shown) > 8):
            bare += [(series.x[i], series.y[i]) for i in shown if series.style != "line"]
        else:
            named += [(series.x[i], series.y[i], plain(series.names[i])) for i in shown if series.names[i]]
    write_names(axes, named, bare, lines, SOFT)


def plain_ticks(axis: Any) -> None:
    """On a logarithmic axis 1, 2 and 5 of each decade, as numbers that people write."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda it, _: f"{it:,.0f}" if it >= 1000 else f"{it:g}"))
    axis.set_minor_formatter(NullFormatter())


def draw_bars(plot: Plot, axes: Any, narrow: bool) -> None:
    """Horizontal bars in the order given, each with its number at its end."""
    rows = [(s.names[i] if s.names else s.label, s.y[i], number, s.low[i] if s.low else None,
             s.high[i] if s.high else None) for number, s in enumerate(plot.series) for i in thin(s)]  # fmt: skip
    most = 22 if narrow else 44
    names = [plain(name) if len(name) <= most else plain(name)[: most - 1] + "…" for name, *_ in rows]
    axes.barh(range(len(rows)), [row[1] for row in rows], color=[COLOURS[row[2] % len(COLOURS)] for row in rows],
              height=0.62, alpha=0.8)  # fmt: skip
    axes.set_yticks(range(len(rows)), names)
    axes.invert_yaxis()
    top = max([row[4] or row[1] for row in rows] + [limit.value for limit in plot.limits], default=1.0) or 1.0
    if plot.x_log:
        axes.set_xscale("log")
    else:
        axes.set_xlim(min(0, *(row[1] for row in rows)) if rows else 0, top * (1.3 if narrow else 1.15))
    for place, (_, value, _, low, high) in enumerate(rows):
        if low is not None and high is not None:
            axes.plot([low, high], [place, place], color=TEXT, linewidth=1.2)
        words = f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"
        axes.annotate(words, (high or value, place), xytext=(5, 0), textcoords="offset points", va="center",
                      color=TEXT, bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.5})  # fmt: skip
    for limit in plot.limits:
        axes.axvline(limit.value, color=THREE, linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(plain(limit.words), (limit.value, 1.0), xycoords=axes.get_xaxis_transform(), xytext=(-3, 2),
                      textcoords="offset points", color=THREE, ha="right", fontsize=8)  # fmt: skip
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_color(LINE)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="x", which="both", length=0, labelbottom=False)
    axes.set_title(plain(plot.x), loc="left", fontsize=9, color=SOFT, pad=14 if plot.limits else 6)
