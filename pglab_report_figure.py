"""Pictures as inline SVG that follow the page's colours: light, dark, or whatever the page is told.

matplotlib draws with marker colours; afterwards each becomes a CSS variable, and text stays text in the page's own
font. Every picture is drawn twice, wide and narrow, so that its words can be read on a phone; CSS shows one of them.
"""

import io
import re
from collections.abc import Callable
from html import escape
from typing import Any

# marker colour -> CSS variable of the page
INK = {
    "#010101": "var(--ink)",
    "#020202": "var(--soft)",
    "#030303": "var(--line)",
    "#040404": "var(--one)",
    "#050505": "var(--two)",
    "#060606": "var(--three)",
    "#070707": "var(--paper)",
    "#080808": "var(--four)",
    "#090909": "var(--five)",
    "#0a0a0a": "var(--six)",
}
TEXT, SOFT, LINE, ONE, TWO, THREE, PAPER, FOUR, FIVE, SIX = INK
COLOURS = (ONE, TWO, FOUR, FIVE, SIX, THREE)  # of series, in their order
Draw = Callable[[Any, Any, bool], None]  # (figure, axes, narrow)


def figure(
    draw: Draw, alt: str, wide: tuple[float, float] = (8.4, 3.4), narrow: tuple[float, float] = (4.0, 3.2)
) -> str:
    """Draw twice and return HTML with both SVGs. `alt` is what a reader who does not see the picture is told."""
    parts = [svg(draw, alt, size, small) for size, small in ((wide, False), (narrow, True))]
    return f'<div class="wide">{parts[0]}</div><div class="narrow">{parts[1]}</div>'


def svg(draw: Draw, alt: str, size: tuple[float, float], narrow: bool) -> str:
    """One SVG element: no colour of its own, no font of its own, same bytes for the same input."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: dict[str, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": f"{alt}{narrow}",
        "font.size": 10,
        "axes.edgecolor": LINE,
        "axes.labelcolor": SOFT,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": SOFT,
        "ytick.color": SOFT,
        "text.color": TEXT,
        "grid.color": LINE,
        "grid.linewidth": 0.6,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
    }
    with rc_context(settings):  # type: ignore[arg-type]
        canvas = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(canvas)
        axes = canvas.add_subplot()
        draw(canvas, axes, narrow)
        out = io.StringIO()
        canvas.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return clean(out.getvalue(), alt)


def clean(text: str, alt: str) -> str:
    """Strip headers, metadata and fonts; put CSS variables for marker colours; add the words for screen readers."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s(?:width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r"font: ([^;\"]*)", lambda m: shorthand(m[1]), text)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    for marker, variable in INK.items():
        text = text.replace(marker, variable)
    label = escape(alt, quote=True)
    text = text.replace("<svg", f'<svg role="img" aria-label="{label}" class="plot"', 1).strip()
    head, rest = text.split(">", 1)
    return f"{head}><desc>{escape(alt)}</desc>{rest}"


def shorthand(value: str) -> str:
    """`600 10px 'DejaVu Sans', ...` -> `font-weight: 600; font-size: 10px`: the page's own font takes over."""
    size = re.search(r"[\d.]+px", value)
    weight = re.search(r"\b(bold|[6-9]00)\b", value)
    parts = [f"font-weight: {weight[1]}"] if weight else []
    return "; ".join([*parts, f"font-size: {size[0]}" if size else "font-size: 10px"])
