"""Scores of artifacts as a report: sums, and ratios named by their divisor."""

from collections.abc import Sequence
from typing import Any

from pglab_report import Column, Report, Table

COLUMNS = [
    Column("artifact"),
    Column("val_loss", "val loss", "", ".4f"),
    Column("bpb_raw", format=".4f"),
    Column("bpb_table", format=".4f"),
    Column("tokens", "targets", "", ",d"),
    Column("bytes_raw", "raw bytes", "", ",d"),
    Column("bytes_table", "table bytes", "", ",d"),
    Column("seconds", format=".1f"),
]


def score_report(scores: Sequence[dict[str, Any]], data: dict[str, Any]) -> Report:
    """The report of scores as `score.json` has them. data: the fields at the top of its JSON."""
    notes = ["val loss in nats per token; what is not known (no byte sidecar) is -."]
    title = "Scores of the weights as they were read back"
    return Report(title, [], [Table("scores", "", COLUMNS, scores)], [], notes, data=data)
