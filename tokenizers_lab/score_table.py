"""The n-gram score for people: a table in the order of the score, and one sentence."""

from typing import Any

from rich import box
from rich.table import Table

from .vocabulary_score import Scores

HEADS = ("vocabulary", "ids", "bits/byte", "unlimited", "against best", "95%", "n-grams", "embedding", "text back")


def order(found: Scores) -> list[int]:
    """Rows that restore the text first, best first; then the flattered ones; then those without room."""

    def key(i: int) -> tuple[bool, bool, float]:
        row = found.rows[i]
        return row.bpb is None, not row.restores(found.documents), row.bpb or 0.0

    return sorted(range(len(found.rows)), key=key)


def _cells(found: Scores, i: int) -> list[str]:
    row, change = found.rows[i], found.differences[i]
    back = "exact" if row.restores(found.documents) else f"{row.restored:,} of {found.documents:,}"
    against, interval = "", ""
    if change is not None and i != found.best:
        against = f"{change.change:+.2%}"
        interval = f"{change.low:+.2%} to {change.high:+.2%}"
    return [
        row.name,
        f"{row.size:,}",
        "no room" if row.bpb is None else f"{row.bpb:.4f}",
        f"{row.bpb_unlimited:.4f}",
        "best" if i == found.best else against,
        interval,
        f"{row.stored:,}",
        f"{row.embedding_bytes:,}",
        back,
    ]


def title(found: Scores) -> str:
    """What was scored on what."""
    return (
        f"{found.documents:,} documents, {found.bytes:,} raw bytes, under an order-4 n-gram model of "
        f"{found.train_bytes:,} bytes; {found.budget:,} bytes for n-grams less the embedding's share of 16,000,000 "
        f"(width {found.width}, {found.weight_bits} bits)"
    )


def table(found: Scores) -> Table:
    """For the terminal."""
    made = Table(title=title(found), title_justify="left", box=box.SIMPLE_HEAD)
    for index, head in enumerate(HEADS):
        made.add_column(head, justify="left" if index in (0, 8) else "right", no_wrap=True)
    for i in order(found):
        made.add_row(*_cells(found, i))
    return made


def markdown(found: Scores) -> str:
    """The same table in Markdown."""
    lines = ["| " + " | ".join(HEADS) + " |", "|" + "---|" * len(HEADS)]
    lines += ["| " + " | ".join(c.replace("|", "\\|") for c in _cells(found, i)) + " |" for i in order(found)]
    return f"{title(found)}\n\n" + "\n".join(lines)


def sentence(found: Scores) -> str:
    """The one thing to take home."""
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
        "budget": found.budget,
        "width": found.width,
        "weight_bits": found.weight_bits,
        "best": None if found.best is None else found.rows[found.best].name,
        "rows": rows,
    }
