"""The n-gram score as a report: a table in the order of the score, and one sentence; of a search also the front."""

from collections.abc import Sequence
from typing import Any

from pglab_report import Column, Plot, Report, Series, Table

from .vocabulary_score import Score, Scores

COLUMNS = (
    Column("name", "vocabulary"),
    Column("size", "ids", "", ",d"),
    Column("bpb", "bits/byte", "", ".4f"),
    Column("bpb_unlimited", "unlimited", "", ".4f"),
    Column("change", "against best", "", "+.2%"),
    Column("low", "95%", "", "{low:+.2%} to {high:+.2%}"),
    Column("high", hidden=True),
    Column("ngrams", "n-grams", "", ",d"),
    Column("embedding_bytes", "embedding", "", ",d"),
    Column("back", "text back"),
)


def order(found: Scores) -> list[int]:
    """Rows that restore the text first, best first; then the flattered ones; then those without room."""

    def key(i: int) -> tuple[bool, bool, float]:
        row = found.rows[i]
        return row.bpb is None, not row.restores(found.documents), row.bpb or 0.0

    return sorted(range(len(found.rows)), key=key)


def row_of(found: Scores, i: int) -> dict[str, Any]:
    """What the columns show of row `i`."""
    row, change = found.rows[i], found.differences[i]
    against = {} if change is None or i == found.best else {"low": change.low, "high": change.high}
    share: float | str | None = change.change if change is not None else None
    return {
        "name": row.name,
        "size": row.size,
        "bpb": "no room" if row.bpb is None else row.bpb,
        "bpb_unlimited": row.bpb_unlimited,
        "change": "best" if i == found.best else share,
        "ngrams": row.stored,
        "embedding_bytes": row.embedding_bytes,
        "back": "exact" if row.restores(found.documents) else f"{row.restored:,} of {found.documents:,}",
        **against,
    }


def title(found: Scores) -> str:
    """What was scored on what."""
    return (
        f"{found.documents:,} documents, {found.bytes:,} raw bytes, under an order-4 n-gram model of "
        f"{found.train_bytes:,} bytes; {found.terms.budget:,} bytes for n-grams less the embedding's share of "
        f"{found.terms.artifact:,} (width {found.terms.width}, {found.terms.weight_bits} bits)"
    )


def sentence(found: Scores) -> str:
    """The one thing to take home."""
    if all(row.bpb is None for row in found.rows):
        return (
            "The embedding leaves no room for a model in the artifact. Try a narrower --width or a larger --artifact."
        )
    if found.best is None:
        return (
            "None of these restores the text exactly, so none can be named best: bits for what they drop are missing."
        )
    best = found.rows[found.best]
    ranked = [i for i in order(found) if i != found.best and found.differences[i] is not None]
    rivals = [i for i in ranked if found.rows[i].restores(found.documents)]
    says = f"{best.name} is best at {best.bpb:.4f} bits per byte"
    if rivals:
        change = found.differences[rivals[0]]
        assert change is not None
        sure = "and the interval leaves out zero" if change.certain else "but the interval holds zero: not told apart"
        says += f"; next is {found.rows[rivals[0]].name}, {change.change:+.2%}, {sure}"
    flattered = [found.rows[i].name for i in ranked if i not in rivals]
    if flattered:
        says += f"; not comparable, as text is lost: {', '.join(flattered)}"
    return says + "."


def picture(found: Scores, best: Sequence[int]) -> Plot:
    """Embedding bytes against bits per byte, the front (`best`, indices of rows) as a line."""

    def series(label: str, rows: Sequence[Score], line: bool = False) -> list[Series]:
        x, y = [row.embedding_bytes for row in rows], [row.bpb_unlimited for row in rows]
        return [Series(label, x, y, style="both" if line else "dots", names=[row.name for row in rows])] if rows else []

    rest = [row for i, row in enumerate(found.rows) if i not in best]
    good = [row for row in rest if row.restores(found.documents)]
    return Plot(
        "front",
        "Pareto front of vocabularies",
        f"embedding, bytes (width {found.terms.width}, {found.terms.weight_bits} bits)",
        "bits per raw byte, order-4 n-gram model",
        [
            *series("the front", [found.rows[i] for i in best], line=True),
            *series("behind it", good),
            *series("loses text", [row for row in rest if not row.restores(found.documents)]),
        ],
        x_log=True,
    )


def report_of(found: Scores, front: Sequence[int] | None = None) -> Report:
    """All of it. front: indices of rows, for a search."""
    table = Table("scores", "", COLUMNS, [row_of(found, i) for i in order(found)], best=(0,) * (found.best is not None))
    says, data = [sentence(found)], to_json(found)
    if front is not None:
        names = [found.rows[i].name for i in front]
        says.append(f"On the front of embedding bytes against bits: {', '.join(names) or 'none'}.")
        data["front"] = names
    return Report(title(found), says, [table], [picture(found, front or ())], data=data)


def to_json(found: Scores) -> dict[str, Any]:
    """One JSON object; rows in the order of the call."""
    rows = []
    for row, change in zip(found.rows, found.differences, strict=True):
        interval = None if change is None else {"change": change.change, "low": change.low, "high": change.high}
        rows.append(
            {
                "name": row.name,
                "size": row.size,
                "bpb": row.bpb,
                "bpb_unlimited": row.bpb_unlimited,
                "against_best": interval,
                "ngrams": row.stored,
                "room_bytes": row.room,
                "embedding_bytes": row.embedding_bytes,
                "documents_restored": row.restored,
            }
        )
    return {
        "documents": found.documents,
        "bytes": found.bytes,
        "train_documents": found.train_documents,
        "train_bytes": found.train_bytes,
        "budget": found.terms.budget,
        "artifact": found.terms.artifact,
        "width": found.terms.width,
        "weight_bits": found.terms.weight_bits,
        "best": None if found.best is None else found.rows[found.best].name,
        "rows": rows,
    }
