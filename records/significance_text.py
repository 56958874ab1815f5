"""Print a significance test for people: a table of three units, the verdict by the written one, and the doubts."""

from rich.console import Console
from rich.table import Table

from .significance import ALPHA, Sample, Test


def verdict(tests: list[Test], margin: float) -> tuple[bool, str]:
    """(shown, sentence) by the written unit, nats per byte."""
    written = tests[0]
    if written.p is None:
        return False, f"Not shown: {written.why}."
    shown = written.p < ALPHA
    words = f"A gain of more than {margin:g} {written.unit} is {'' if shown else 'not '}shown (p = {written.p:.4g})"
    if shown or written.gain is None:
        return shown, f"{words}."
    if written.gain <= margin:
        return False, f"{words}: the gain itself, {written.gain:.5f}, is not above it; more seeds will not help."
    if written.seeds_needed is None:
        return False, f"{words}; no number of seeds up to 1,000 would show it."
    more = max(0, written.seeds_needed - written.new[2])
    return False, f"{words}; about {more} more seed(s) would show it, four times in five."


def show(new: Sample, old: Sample, tests: list[Test], doubts: list[str], margin: float) -> None:
    """Print the comparison on stdout."""
    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 1, 0, 0))
    for head in ("unit", "new", "sd", "old", "sd", "gain", "t", "df", f"p(gain>{margin:g})"):
        table.add_column(head, justify="left" if head == "unit" else "right", no_wrap=True)
    for one in tests:
        cells = [one.unit]
        for mean, sd, runs in (one.new, one.old):
            cells += [f"{mean:.5f}" if runs else "–", f"{sd:.5f}" if sd is not None else "–"]
        cells += [f"{one.gain:+.5f}" if one.gain is not None else "–"]
        cells += [f"{one.t:.2f}" if one.t is not None else "–", f"{one.df:.1f}" if one.df is not None else "–"]
        table.add_row(*cells, f"{one.p:.4g}" if one.p is not None else one.why)
    for word, sample in (("new", new), ("old", old)):
        seeds = f", seeds {', '.join(sample.seeds)}" if sample.seeds else ""
        console.print(f"{word}  {sample.name}: {len(sample.bpb)} run(s){seeds}", soft_wrap=True)
    console.print(table)
    for doubt in doubts:
        console.print(f"mind: {doubt}", soft_wrap=True)
    console.print(f"\n{verdict(tests, margin)[1]}", soft_wrap=True)
