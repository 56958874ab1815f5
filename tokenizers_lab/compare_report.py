"""The comparison as a report: one table, one picture, and the sentence with the ratio that matters."""

from typing import Any

from pglab_report import Column, Plot, Report, Series, Table

from . import score_report
from .compare import Comparison
from .vocabulary_score import Scores

LEVEL_WORDS = {"exact": "exact", "normalised": "NFKC", "lossy": "lossy"}  # NFKC: equal up to NFKC and white space
COLUMNS: tuple[Column, ...] = (
    Column("name", "vocabulary"),
    Column("size", "ids", "", ",d"),
    Column("bytes_per_token", "B/token", "", ".3f"),
    Column("back", "text back"),
    Column("embedding_bytes", "embedding", "", ",d"),
    Column("fallback_share", "fallback", "", ".2%"),
    Column("unknown", "unk", "", ",d"),
    Column("encode_mb_s", "MB/s", "", ".1f"),
)
SCORED = ("bpb", "change", "low", "high")  # columns of the score that a comparison takes over


def title(found: Comparison) -> str:
    """What was measured on."""
    return (
        f"{found.documents:,} {'validation ' * (found.split == 'validation')}documents, {found.bytes:,} raw bytes; "
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


def report_of(found: Comparison, scores: Scores | None = None) -> Report:
    """All of it; the JSON keeps the comparison's own keys. scores: of the same folders in the same order."""
    data: dict[str, Any] = found.to_json()
    shown = [row | {"back": LEVEL_WORDS[row["lossless"]]} for row in data["rows"]]
    columns, says = COLUMNS, [sentence(found)]
    if scores is not None:
        added = [score_report.row_of(scores, i) for i in range(len(shown))]
        shown = [row | {key: new[key] for key in SCORED if key in new} for row, new in zip(shown, added, strict=True)]
        columns = (*COLUMNS, *(column for column in score_report.COLUMNS if column.key in SCORED))
        says.append(score_report.sentence(scores))
        data["score"] = score_report.to_json(scores)
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
    return Report(title(found), says, [Table("vocabularies", "", columns, shown)], [packing], data=data)
