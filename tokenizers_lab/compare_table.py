"""The comparison for people: one table, then one sentence with the ratio that matters; Markdown for a page."""

from rich import box
from rich.table import Table

from .compare import Comparison, Row

# NFKC: equal up to NFKC and white space
LEVEL_WORDS = {"exact": "exact", "normalised": "NFKC", "lossy": "lossy"}
HEADS = (
    "vocabulary",
    "ids",
    "B/token",
    "text back",
    "embedding",
    "fallback",
    "unk",
    "MB/s",
)


def cells(row: Row) -> list[str]:
    """One row as text."""
    return [
        row.name,
        f"{row.size:,}",
        f"{row.bytes_per_token:.3f}",
        LEVEL_WORDS[row.lossless],
        f"{row.embedding_bytes:,}",
        f"{row.fallback_share:.2%}",
        f"{row.unknown:,}",
        f"{row.encode_mb_s:.1f}",
    ]


def title(found: Comparison) -> str:
    """What was measured on."""
    return (
        f"{found.documents:,} {found.split} documents, {found.bytes:,} raw bytes; "
        f"embedding {found.width} wide, {found.bits} bits"
    )


def table(found: Comparison) -> Table:
    """For the terminal."""
    made = Table(title=title(found), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for index, head in enumerate(HEADS):
        made.add_column(head, justify="left" if index in (0, 3) else "right", no_wrap=True)
    for row in found.rows:
        made.add_row(*cells(row))
    return made


def markdown(found: Comparison) -> str:
    """The same table in Markdown."""
    lines = ["| " + " | ".join(HEADS) + " |", "|" + "---|" * len(HEADS)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells(row)) + " |" for row in found.rows]
    return f"{title(found)}\n\n" + "\n".join(lines)


def sentence(found: Comparison) -> str:
    """The one thing to take home."""
    exact = [row for row in found.rows if row.lossless == "exact"]
    if not exact:
        return "None of these gives the text back exactly: their bytes per token are flattered by what they drop."
    best = max(exact, key=lambda row: row.bytes_per_token)
    flattered = [row for row in found.rows if row.lossless != "exact" and row.bytes_per_token > best.bytes_per_token]
    says = f"{best.name} packs most among those that give the text back: {best.bytes_per_token:.3f} bytes a token"
    others = [row for row in exact if row is not best]
    if others:
        least = min(others, key=lambda row: row.bytes_per_token)
        says += f", {best.bytes_per_token / least.bytes_per_token:.2f} times {least.name}"
    if flattered:
        says += f"; {' and '.join(row.name for row in flattered)} looks better only because it changes text"
    return says + "."
