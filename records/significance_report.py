"""A significance test in the shape that every command writes its results in: three units, the written one decides."""

from typing import Any

from pglab_report import Column, Report, Table

from .finding import many
from .significance import ALPHA, Sample, Test, as_json


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
    return False, f"{words}; about {many(more, 'more seed')} would show it, four times in five."


def report_of(new: Sample, old: Sample, tests: list[Test], doubts: list[str], margin: float) -> Report:
    """The verdict, then the tests; what could mislead stands in the notes."""
    shown, sentence = verdict(tests, margin)
    rows: list[dict[str, Any]] = []
    for one in tests:
        row: dict[str, Any] = {"unit": one.unit, "gain": one.gain, "t": one.t, "df": one.df, "p": one.p, "why": one.why}
        for word, (mean, sd, runs) in (("new", one.new), ("old", one.old)):
            row |= {word: mean if runs else None, f"{word}_sd": sd, f"{word}_runs": runs}
        rows.append(row)
    columns = [Column("unit"), Column("new", "", "", ".5f"), Column("new_sd", "sd", "", ".5f")]
    columns += [Column("old", "", "", ".5f"), Column("old_sd", "sd", "", ".5f"), Column("gain", "", "", "+.5f")]
    columns += [Column("t", "", "", ".2f"), Column("df", "", "", ".1f"), Column("p", f"p(gain>{margin:g})", "", ".4g")]
    columns += [Column("why", "not tested"), Column("new_runs", hidden=True), Column("old_runs", hidden=True)]
    if not any(row["why"] for row in rows):
        columns = [column for column in columns if column.key != "why"]
    sides = {
        name: {"name": s.name, "val_bpb": s.bpb, "val_loss": s.loss, "seeds": s.seeds}
        for name, s in (("new", new), ("old", old))
    }
    data = {**sides, "margin": margin, "shown": shown, "says": sentence, "doubts": doubts, "alpha": ALPHA}
    told = [side(word, sample) for word, sample in (("new", new), ("old", old))]
    return Report(
        "Is the gain more than chance?",
        [sentence],
        [Table("tests", "One-sided tests", columns, rows, best=(0,))],
        notes=[*told, *(f"mind: {doubt}" for doubt in doubts)],
        status=0 if shown else 1,
        data={**data, "tests": [as_json(one) for one in tests]},
    )


def side(word: str, sample: Sample) -> str:
    """`new x: 3 runs, seeds 1, 2, 3`."""
    seeds = f", seeds {', '.join(sample.seeds)}" if sample.seeds else ""
    return f"{word} {sample.name}: {many(len(sample.bpb), 'run')}{seeds}"
