"""What `pglab bench vocab` found, as a table with the goals of this room beside the ratios."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pglab_report import Column, Report, Table


@dataclass(frozen=True, slots=True)
class Measured:
    """One comparison: MB of raw UTF-8 per CPU-second, and how many times the peer's speed ours is.

    goal: the ratio wanted, 0 for none. start_ms, ms_per_mb: ours taken apart by a second, smaller run: what it costs
    whatever the size, and each megabyte; None where it was not.
    """

    what: str
    peer: str
    mb: float
    ours_mb_s: float
    peer_mb_s: float
    ratio: float
    goal: float = 0
    start_ms: float | None = None
    ms_per_mb: float | None = None

    @staticmethod
    def of(what: str, peer: str, mb: float, seconds: tuple[float, float], goal: float = 0) -> "Measured":
        """seconds: ours and the peer's, for `mb` megabytes."""
        ours, theirs = seconds
        return Measured(what, peer, mb, mb / ours, mb / theirs, theirs / ours, goal)


COLUMNS = (
    Column("what"),
    Column("peer", "against"),
    Column("ours_mb_s", "ours", "MB/s", ".1f"),
    Column("peer_mb_s", "peer", "MB/s", ".1f"),
    Column("ratio", "", "", "{ratio:.2f}x", align="right"),
    Column("wanted", "goal", align="right"),
    Column("start", "start", "ms", align="right"),
    Column("each", "ms/MB", align="right"),
)


def report_of(rows: Sequence[Measured], limit: float, fast: bool) -> Report:
    """The table; limit: MB per CPU-second of the work that any export has to do; fast: gigatoken was there."""
    shown = [
        asdict(row)
        | {
            "wanted": f"{row.goal:g}x" if row.goal else "",
            "start": "" if row.start_ms is None else f"{row.start_ms:.0f}",
            "each": "" if row.ms_per_mb is None else f"{row.ms_per_mb:.1f}",
        }
        for row in rows
    ]
    wanted = [row for row in rows if row.goal]
    missed = [row for row in wanted if row.ratio < row.goal]
    fastest = max((row for row in rows if row.what.startswith("export")), key=lambda row: row.ours_mb_s)
    says = [
        f"Outputs were equal in every row; {len(wanted) - len(missed)} of {len(wanted)} goals are reached"
        + (f", missed: {', '.join(f'{row.what} against {row.peer}' for row in missed)}." if missed else "."),
        f"Reading, parsing, hashing and writing alone run at {limit:.0f} MB/s; the fastest export is at "
        f"{fastest.ours_mb_s / limit:.0%} of that ({fastest.what}).",
    ]
    if not fast:
        says.append("Measured without the extra [fast]; the goal is then to be no slower than the public ways.")
    data = {"rows": [asdict(row) for row in rows], "limit_mb_s": limit, "fast": fast}
    return Report("MB of raw UTF-8 per CPU-second", says, [Table("rows", "", COLUMNS, shown)], data=data)
