"""The comparison as a report: one table, one picture, and the sentence with the ratio that matters."""

from typing import Any

from pglab_report import Column, Plot, Report, Series, Table

from .compare import Comparison

LEVEL_WORDS = {"exact": "exact", "normalised": "NFKC", "lossy": "lossy"}  # NFKC: equal up to NFKC and white space
COLUMNS = (
    Column("name", "vocabulary"),
    Column("size", "ids", "", ",d"),
    Column("bytes_per_token", "B/token", "", ".3f"),
    Column("back", "text back"),
    Column("embedding_bytes", "embedding", "", ",d"),
    Column("fallback_share", "fallback", "", ".2%"),
    Column("unknown", "unk", "", ",d"),
    Column("encode_mb_s", "MB/s", "", ".1f"),
)


def title(found: Comparison) -> str:
    """What was measured on."""
    return (
        f"{found.documents:,} {found.split} documents, {found.bytes:,} raw bytes; "
        f"embedding {found.width} wide, {found.bits} bits"
    )


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


def report_of(found: Comparison) -> Report:
    """All of it; the JSON keeps the comparison's own keys."""
    data: dict[str, Any] = found.to_json()
    shown = [row | {"back": LEVEL_WORDS[row["lossless"]]} for row in data["rows"]]
    packing = Plot(
        "packing",
        "What an embedding buys",
        "embedding, bytes",
        "raw bytes a token",
        [
            Series(
                words,
                [row["embedding_bytes"] for row in shown if row["back"] == back],
                [row["bytes_per_token"] for row in shown if row["back"] == back],
                style="dots",
                names=[row["name"] for row in shown if row["back"] == back],
            )
            for back, words in (("exact", "gives the text back"), ("NFKC", "changes text"), ("lossy", "loses text"))
            if any(row["back"] == back for row in shown)
        ],
        x_log=True,
    )
    return Report(title(found), [sentence(found)], [Table("vocabularies", "", COLUMNS, shown)], [packing], data=data)
