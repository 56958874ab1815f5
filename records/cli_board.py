"""`pglab record rank`, `significance`, `survey`, `site`: many records beside one another; the work is elsewhere."""

import json as json_module
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from pglab_report import Ways

NONE = Ways()


def significance(new: str, old: str, /, *, margin: float = 0.005, ways: Ways = NONE) -> int:
    """Test that NEW beats OLD by more than the margin, in three units; the written one, nats per byte, decides.

    Parameters
    ----------
    new
        A record folder, or bits per byte: one number, or several runs as 1.2244,1.2250,1.2240.
    old
        The record to beat, in the same forms.
    margin
        The gain asked for, in each unit.
    """
    from pglab_report import show

    from .samples import sample_of
    from .significance import compare
    from .significance_report import report_of

    (a, doubts_a), (b, doubts_b) = sample_of(new), sample_of(old)
    doubts = [f"new: {d}" for d in doubts_a] + [f"old: {d}" for d in doubts_b]
    return show(report_of(a, b, compare(a, b, margin), doubts, margin), ways)


def rank(*paths: Path, track: Literal["10min", "non-record", "all"] = "all", ways: Ways = NONE) -> int:
    """The leaderboard from folders: claimed, recomputed mean and best run side by side; unsupported rows are marked.

    Parameters
    ----------
    paths
        Record folders, or folders that hold them.
    track
        Only this track.
    """
    from pglab_report import show

    from .rank import rank as ranked
    from .rank_report import report_of

    rows = [row for row, _, _ in ranked(list(paths) or [Path()], "" if track == "all" else track)]
    return show(report_of(rows), ways)


def survey(*paths: Path, ways: Ways = NONE) -> int:
    """What many records have in common: spellings of the score, keys, sizes over the cap, few runs, failed rules.

    Parameters
    ----------
    paths
        Record folders, or folders that hold them.
    """
    from pglab_report import show

    from .survey import survey as surveyed
    from .survey_report import report_of

    return show(report_of(surveyed(list(paths) or [Path()])), ways)


def site(*paths: Path, out: Path, json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """A static site of the leaderboard: sortable table, scores over time, a page a record; works offline.

    Parameters
    ----------
    paths
        Record folders, or folders that hold them.
    out
        Folder of the site; made anew, when it is missing, empty, or a site written before.
    json
        Print one JSON document.
    """
    from .site import write_site

    pages, size = write_site(list(paths) or [Path()], out)
    if json:
        print(json_module.dumps({"path": str(out / "index.html"), "pages": pages, "bytes": size}))
    else:
        print(f"{out / 'index.html'}  {pages} pages, {size:,} bytes")
    return 0
