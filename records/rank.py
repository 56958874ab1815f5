"""The leaderboard, recomputed: what is claimed, what the logs say, and the best single run, side by side.

Ranked is by the mean over runs where the logs support the claim, else by the claim, with a mark: a row that no log
supports keeps its place and its doubt. Nothing is taken from a leaderboard; all from the folders.
"""

import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .check import CheckReport, check_folder
from .errors import RecordError
from .evidence import Case
from .finding import FAIL, PASS
from .folder import find_folders, open_folder
from .progress import track
from .rules_size import last_total
from .samples import sample_of_case, scores_of
from .submission import read_date

SUPPORTED, DOUBTED, UNSUPPORTED = "supported", "doubted", "no log"


@dataclass(frozen=True)
class Row:
    """One record. `mean`, `best` bits per byte over `runs` logged runs; `bytes` the largest logged total."""

    folder: str
    path: str
    track: str
    name: str
    author: str
    date: str
    claimed: float | None
    mean: float | None
    best: float | None
    sd: float | None
    runs: int
    seeds: tuple[str, ...]
    bytes: int | None
    state: str
    failed: tuple[str, ...]

    @property
    def score(self) -> float | None:
        """What it is ranked by: the mean of its logs when they support the claim, else the claim."""
        return self.mean if self.state == SUPPORTED and self.mean is not None else self.claimed or self.mean


def row_of(path: Path) -> tuple[Row, CheckReport, Case]:
    """One folder's row, its findings, and the evidence behind them."""
    case = Case(open_folder(path))
    report = check_folder(path, quick=True)  # the auditor takes seconds a folder; `record check` asks it
    by_rule: dict[str, set[str]] = {}
    for finding in report.findings:
        by_rule.setdefault(finding.rule, set()).add(finding.verdict)
    values: tuple[float, ...] = ()
    behind = [run for run, _ in scores_of(case)]
    seeds: tuple[str, ...] = ()
    try:
        sample, doubts = sample_of_case(case)
        if not any("no log prints" in doubt for doubt in doubts):
            values, seeds = sample.bpb, sample.seeds
    except RecordError:
        pass
    claims = case.claims
    seen = by_rule.get("RC301", set())
    state = UNSUPPORTED
    if seen == {PASS} and by_rule.get("RC303") == {PASS}:
        state = SUPPORTED
    elif FAIL in seen or values or case.runs:
        state = DOUBTED
    totals = [int(total.value) for run in behind or case.supporting or case.runs if (total := last_total(run))]
    claimed_day = read_date(claims.date) if claims and claims.date else None
    row = Row(
        folder=case.folder.name,
        path=str(path),
        track=case.track,
        name=(claims.text("name") or claims.text("run_name")) if claims else "",
        author=(claims.text("author") or claims.text("github_id")) if claims else "",
        date=claimed_day.isoformat() if claimed_day else case.folder.name[:10],
        claimed=float(claims.val_bpb) if claims and claims.val_bpb else None,
        mean=statistics.fmean(values) if values else None,
        best=min(values) if values else None,
        sd=statistics.stdev(values) if len(values) > 1 else None,
        runs=len(values),
        seeds=seeds,
        bytes=max(totals) if totals else (claims.bytes_total if claims else None),
        state=state,
        failed=tuple(sorted({f.rule for f in report.findings if f.verdict is FAIL})),
    )
    return row, report, case


def rank(paths: list[Path], only: str = "") -> list[tuple[Row, CheckReport, Case]]:
    """All records under `paths`, best first, those without a score last. Raises RecordError when there are none."""
    folders = [folder for path in paths for folder in find_folders(path)]
    found = [row_of(folder) for folder in track(folders, "reading records")]
    found = [item for item in found if not only or item[0].track == only]
    if not found:
        raise RecordError("no record folder there. Give records/track_10min_16mb, or a folder of one record.")
    return sorted(found, key=lambda item: (item[0].score is None, item[0].score or 0.0, item[0].date, item[0].folder))


def as_json(rows: list[Row]) -> list[dict[str, Any]]:
    """The leaderboard as plain dicts, with the rank and the score it was ranked by."""
    return [{"rank": i, "score": row.score, **asdict(row)} for i, row in enumerate(rows, 1)]


def number(value: float | None, places: int = 5) -> str:
    """`1.06108`, or a dash."""
    return "–" if value is None else f"{value:.{places}f}"
