"""The leaderboard in the shape that every command writes its results in."""

from datetime import date

from pglab_report import Column, Plot, Report, Series, Table

from .rank import DOUBTED, SUPPORTED, UNSUPPORTED, Row, as_json
from .significance import LN2

WORDS = {SUPPORTED: "supported", DOUBTED: "doubted", UNSUPPORTED: "no log"}


def report_of(rows: list[Row]) -> Report:
    """Rows as they were ranked, and the scores over time."""
    score = [Column(key, head, "bits per byte", ".5f") for key, head in (("mean", "mean"), ("best", "best run"))]
    columns = [
        Column("rank", "#", "", "d"),
        *score,
        Column("claimed", "claimed", "bits per byte", ".5f"),
        Column("sd", "sd", "bits per byte", ".5f"),
        Column("runs", "runs", "", "d"),
        Column("bytes", "artifact", "bytes", ",d"),
        Column("date"),
        Column("author"),
        Column("folder", "record"),
        Column("state", "logs"),
        Column("failed", "failed rules"),
        Column("track", hidden=True),
        Column("score", hidden=True),
        Column("seeds", hidden=True),
        Column("path", hidden=True),
        Column("name", hidden=True),
    ]
    told = as_json(rows)
    flat = [{**row, "failed": " ".join(row["failed"]), "seeds": " ".join(row["seeds"])} for row in told]
    doubted = sum(row.state != SUPPORTED for row in rows)
    says = [f"{len(rows)} records, {len(rows) - doubted} with logs that support the claim, {doubted} without."]
    best = next((row for row in rows if row.state == SUPPORTED and row.score is not None), None)
    if best is not None and best.score is not None:
        says.append(
            f"Best by its logs: {best.folder}, {best.score:.5f} bits per byte, {best.score * LN2:.5f} nats per byte."
        )
    return Report(
        "Records by the scores of their logs",
        says,
        [Table("records", "Records, best first", columns, flat)],
        plots(rows),
        notes=["Ranked by the mean over runs where the logs support the claim, else by the claim, marked."],
        data={"rows": told},
    )


def plots(rows: list[Row]) -> list[Plot]:
    """Bits per byte by day, one series a state of the logs."""
    series = []
    for state in WORDS:
        points = [(day, row.score) for row in rows if row.state == state and (day := day_of(row)) and row.score]
        if points:
            xs, ys = zip(*sorted(points), strict=True)
            series.append(Series(WORDS[state], xs, ys, style="dots"))
    return [Plot("time", "Scores over time", "days since 2026-01-01", "bits per byte", series)] if series else []


def day_of(row: Row) -> float | None:
    """Days since 2026-01-01, or None."""
    try:
        return float((date.fromisoformat(row.date) - date(2026, 1, 1)).days)
    except ValueError:
        return None
