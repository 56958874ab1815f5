"""The words of a report's HTML page: its template, its rules of style, its colours by light and by dark."""

COLOUR_RULES = (
    ":root { color-scheme: light dark; --paper: #fdfdfb; --raised: #f4f4ef; --ink: #1d1f21; --soft: #5d6166; "
    "--line: #dcdcd4; --one: #2f6690; --two: #b4531f; --three: #9a3b4e; --four: #2e7048; --five: #6b4fa0; "
    "--six: #7d5a00; --pass: #22663a; --fail: #a3242f; --unchecked: #7d5a00; } "
    "@media (prefers-color-scheme: dark) { :root { --paper: #15171a; --raised: #1e2125; --ink: #e7e6e1; "
    "--soft: #a3a7ab; --line: #34383d; --one: #8fb4d6; --two: #f0a06a; --three: #e08a9b; --four: #84cf9b; "
    "--five: #b9a3ea; --six: #e3bd62; --pass: #84cf9b; --fail: #ff9a9a; --unchecked: #e3bd62; } }"
)

CSS = """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 68rem; padding: 2.5rem 1.25rem 4rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.6 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial,
    sans-serif;
}
.house { margin: 0; color: var(--soft); font-size: .8rem; letter-spacing: .08em; text-transform: uppercase; }
h1 {
  margin: .1em 0 .6em; font-size: 1.8rem; font-weight: 650; line-height: 1.2; letter-spacing: -.015em;
  overflow-wrap: anywhere;
}
h2 { margin: 0 0 .4em; font-size: 1.15rem; font-weight: 650; overflow-wrap: anywhere; }
section { margin-top: 2.2rem; padding-top: 1.2rem; border-top: 1px solid var(--line); }
p { margin: .5em 0; overflow-wrap: anywhere; }
.lead { max-width: 44rem; font-size: 1.05rem; }
.aloud { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
figure { margin: 1rem 0; }
svg.plot { display: block; width: 100%; height: auto; overflow: visible; }
svg.plot text { font-family: inherit; }
.narrow { display: none; }
.scroll { position: relative; margin: .6rem 0; overflow-x: auto; }
:focus-visible { outline: 2px solid var(--one); outline-offset: 2px; }
table {
  width: 100%; border-collapse: collapse; font-size: .9rem; line-height: 1.45;
  font-variant-numeric: tabular-nums;
}
th, td { padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; }
.unit { font-size: .85em; }
tbody th { font-weight: 500; min-width: 8rem; overflow-wrap: anywhere; }
.n { text-align: right; white-space: nowrap; }
.s { white-space: nowrap; }
tbody th.n { min-width: 0; }
.best th, .best td { font-weight: 650; background: var(--raised); }
.verdict { white-space: nowrap; font-size: .8rem; font-weight: 650; }
.pass { color: var(--pass); } .fail { color: var(--fail); } .unchecked { color: var(--unchecked); }
.verdict.pass::before {
  content: "✓ "; } .verdict.fail::before { content: "✕ "; } .verdict.unchecked::before { content: "? ";
}
pre {
  margin: .4rem 0; padding: .65rem .9rem; border-radius: .4rem; background: var(--raised); overflow-x: auto;
  font-size: .9rem;
}
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
footer {
  margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft);
  font-size: .85rem;
}
@media (max-width: 40rem) {
  body { padding: 1.5rem 1rem 3rem; }
  h1 { font-size: 1.4rem; }
  .wide { display: none; } .narrow { display: block; }
  tbody th.s { white-space: normal; }
}
@media print { .narrow { display: none; } section { break-inside: avoid; } }
"""
TEMPLATE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ report.title|plain }} – Parameter Golf Lab</title>
<style>
{{ css|safe }}
</style>
</head>
<body>
<header>
<p class="house">Parameter Golf Lab</p>
<h1>{{ report.title|plain }}</h1>
{% for sentence in report.sentences %}
<p class="lead">{{ sentence|plain }}</p>
{% endfor %}
</header>
<main>
{% for title, picture in pictures %}
<section aria-labelledby="plot-{{ loop.index }}">
<h2 id="plot-{{ loop.index }}">{{ title|plain }}</h2>
<figure>{{ picture|safe }}</figure>
</section>
{% endfor %}
{% for table in report.tables if table.rows %}
<section aria-labelledby="table-{{ loop.index }}">
<h2 id="table-{{ loop.index }}">{{ (table.title or table.name)|plain }}</h2>
<div class="scroll" role="region" tabindex="0" aria-labelledby="table-{{ loop.index }}">
<table>
<caption class="aloud">{{ (table.title or table.name)|plain }}</caption>
<thead><tr>
{% for column in table.shown %}
<th scope="col"{% if column.right %} class="n"{% endif %}>{{ (column.heading or column.key)|plain }}
{%- if column.unit %}<br><span class="unit">{{ column.unit|plain }}</span>{% endif %}</th>
{% endfor %}
</tr></thead>
<tbody>
{% for row in table.cells() %}
<tr{% if loop.index0 in table.best %} class="best"{% endif %}>
{% for cell in row %}
{% set column = table.shown[loop.index0] %}
{% set kind = ' class="n"'|safe if column.right else ' class="s"'|safe if cell|length < 40 else "" %}
{% if loop.first %}<th scope="row"{{ kind }}>{{ cell }}</th>
{% elif column.verdict %}<td><span class="verdict {{ cell|lower }}">{{ cell }}</span></td>
{% else %}<td{{ kind }}>{{ cell }}</td>
{% endif %}
{% endfor %}
</tr>
{% endfor %}
</tbody>
</table>
</div>
</section>
{% endfor %}
</main>
<footer>
{% for note in report.notes %}
<p>{{ note|plain }}</p>
{% endfor %}
{% if command %}
<p>Made by</p>
<pre tabindex="0"><code>{{ command|plain }}</code></pre>
{% endif %}
<p>Nothing on this page comes from outside it: no scripts, no fonts, no trackers.</p>
</footer>
</body>
</html>
"""
