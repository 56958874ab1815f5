"""The report as one HTML page: no scripts, nothing from outside, light and dark, readable on a phone and aloud."""

import html

from .finding import Finding, Report, Verdict
from .report import details, printable, score_line, sorted_findings, tally

STYLE = """
:root{color-scheme:light dark;--paper:#fdfdfb;--ink:#1d1f21;--soft:#5d6166;--line:#dcdcd4;--bar:#2f6690;
--PASS:#22663a;--FAIL:#a3242f;--UNCHECKED:#7d5a00}
@media(prefers-color-scheme:dark){:root{--paper:#15171a;--ink:#e7e6e1;--soft:#a3a7ab;--line:#34383d;--bar:#8fb4d6;
--PASS:#84cf9b;--FAIL:#ff9a9a;--UNCHECKED:#e3bd62}}
*{box-sizing:border-box}
body{font:16px/1.5 ui-sans-serif,system-ui,sans-serif;max-width:64rem;margin:0 auto;padding:2rem 1rem;
color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem} h2{font-size:1.2rem;margin:2.5rem 0 .5rem;overflow-wrap:anywhere}
h3{font-size:1rem;font-weight:400;margin:0;overflow-wrap:anywhere} p{overflow-wrap:anywhere} .tally{color:var(--soft)}
svg{display:block;width:100%;max-width:27rem;height:auto;font:14px ui-sans-serif,system-ui,sans-serif}
svg text{fill:var(--ink)} svg rect{fill:var(--bar)}
article{border-left:4px solid var(--line);padding:.2rem 1rem;margin:.8rem 0}
article.PASS{border-color:var(--PASS)} article.FAIL{border-color:var(--FAIL)}
article.UNCHECKED{border-color:var(--UNCHECKED)}
b{font-size:.85rem;letter-spacing:.03em;white-space:nowrap} b.PASS{color:var(--PASS)} b.FAIL{color:var(--FAIL)}
b.UNCHECKED{color:var(--UNCHECKED)}
dl{display:grid;grid-template-columns:5.5rem 1fr;gap:.1rem .8rem;margin:.3rem 0;font-size:.9rem} dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere;min-width:0}
@media print{article{break-inside:avoid}}
"""
SIGNS = {Verdict.PASS: "\u2713", Verdict.FAIL: "\u2715", Verdict.UNCHECKED: "?"}  # for who cannot tell the colours


def words(text: str) -> str:
    """Text for a page: no control characters, no markup."""
    return html.escape(printable(text))


def scores_of(report: Report) -> list[tuple[str, float]]:
    """(what it is, bits per byte) of every score there is."""
    named = (
        ("claimed", report.claimed_bpb),
        ("in the log", report.logged_bpb),
        ("on the best evidence", report.corrected_bpb),
    )
    return [(name, float(value)) for name, value in named if value is not None and 0 < value < 1e6]


def picture(scores: list[tuple[str, float]]) -> str:
    """Bars from zero, each with its number, as inline SVG; nothing without two scores."""
    if len(scores) < 2:
        return ""
    top = max(value for _, value in scores)
    said = "; ".join(f"{name} {value:.6f}" for name, value in scores)
    rows = []
    for place, (name, value) in enumerate(scores):
        wide, base = 150 * value / top, place * 26 + 16
        rows.append(
            f'<text x="0" y="{base}">{words(name)}</text>'
            f'<rect x="148" y="{base - 12}" width="{wide:.1f}" height="16"/>'
            f'<text x="{154 + wide:.1f}" y="{base}">{value:.6f}</text>'
        )
    alt = words(f"Bits per byte: {said}.")
    return f'<svg viewBox="0 0 370 {26 * len(scores)}" role="img" aria-label="{alt}">{"".join(rows)}</svg>'


def article(one: Finding) -> str:
    """One finding, its evidence below."""
    rows = "".join(f"<dt>{name}<dd>{words(value)}" for name, value in details(one))
    verdict = one.verdict.value
    head = f"<h3><b class={verdict}>{SIGNS[one.verdict]} {one.rule} {verdict}</b> {words(one.says)}</h3>"
    return f"<article class={verdict}>{head}{f'<dl>{rows}</dl>' if rows else ''}</article>"


def as_html(reports: list[Report]) -> str:
    """The page's text."""
    parts = [
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>",
        f"<title>Audit of bits per byte</title><style>{STYLE}</style></head><body><main>",
        "<h1>Audit of bits per byte</h1>",
    ]
    for report in reports:
        parts.append(f"<section><h2>{words(report.path)}</h2><p>{words(score_line(report))}</p>")
        parts.append(picture(scores_of(report)))
        held = f"; isolation: {words(report.isolation)}" if report.isolation else ""
        parts.append(f"<p class=tally>{tally(report)}{held}</p>")
        parts += [article(one) for one in sorted_findings(report)]
        parts.append("</section>")
    return "\n".join(parts) + "\n</main></body></html>\n"
