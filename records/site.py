"""A static site of the records: one leaderboard, one page a record. Files only; it works from a disk or any server.

Every page is made by a template and needs nothing from outside. The leaderboard can be sorted and filtered by a few
lines of script on the page itself; without script it is the same table, ranked. The site is written aside and renamed.
"""

import os
import re
import shutil
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from .errors import RecordError
from .evidence import Case
from .finding import FAIL, UNCHECKED, tally
from .page import HOME, render
from .progress import track
from .rank import Row, rank
from .report_plots import over_time, training_curve
from .report_training import smooth
from .rules_size import last_total
from .submission import CAP

MARK = "pglab-record-site"  # a file of this name says that the folder may be written anew


def write_site(paths: list[Path], out: Path) -> tuple[int, int]:
    """Write the site of all records under `paths` to `out`; returns (pages, bytes).

    Raises RecordError when there are no records, or when `out` holds something that is no site of ours.
    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / MARK).is_file())):
        raise RecordError(f"{out}: is there and was not written as a site. Give another --out, or remove it.")
    found = rank(paths)
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".site-", dir=out.parent))
    old = aside.with_name(f"{aside.name}-old")
    try:
        names = page_names([row for row, _, _ in found])
        css = (HOME / "report.css").read_text("utf-8")
        rows = [row for row, _, _ in found]
        pages = {"index.html": index(rows, names, css)}
        for row, report, case in track(found, "writing pages"):
            pages[names[row.path]] = record_page(row, report.findings, case, css)
        for name, text in {**pages, MARK: "A site written by `pglab record site`.\n"}.items():
            with (aside / name).open("w", encoding="utf-8", errors="replace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        aside.chmod(0o755)
        if out.exists():
            out.replace(old)
        aside.replace(out)
    except BaseException:
        if old.exists():
            old.replace(out)
        shutil.rmtree(aside, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)
    return len(pages), sum(item.stat().st_size for item in out.iterdir())


def page_names(rows: list[Row]) -> dict[str, str]:
    """path of a record -> file name of its page; plain letters only, and no two the same."""
    names: dict[str, str] = {}
    for row in rows:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", row.folder).strip("._") or "record"
        name, count = f"{plain}.html", 1
        while name.lower() in {n.lower() for n in names.values()} or name == "index.html":
            count += 1
            name = f"{plain}-{count}.html"
        names[row.path] = name
    return names


def index(rows: list[Row], names: dict[str, str], css: str) -> str:
    """The leaderboard's page."""
    points = [(row, days) for row in rows if row.score and (days := day_of(row)) is not None]
    drawn = [(days, row.score or 0.0, row.folder, row.track == "10min") for row, days in points]
    return render(
        "site_index.html.jinja",
        css=css,
        script=(HOME / "site.js").read_text("utf-8"),
        rows=rows,
        names=names,
        picture=over_time(drawn) if len(drawn) > 1 else "",
        cap=CAP,
    )


def day_of(row: Row) -> float | None:
    """The record's day as a number for the axis (matplotlib counts from 1970-01-01), or None."""
    try:
        return float((date.fromisoformat(row.date) - date(1970, 1, 1)).days)
    except ValueError:
        return None


def record_page(row: Row, findings: list[Any], case: Case, css: str) -> str:
    """One record's page: runs, sizes, curve, findings."""
    order = {FAIL: 0, UNCHECKED: 1}
    curve = ""
    for run in case.supporting or case.runs:
        log = run.log
        train = smooth([(float(point.step), point.loss) for point in log.curve])
        held = [(float(m.step), m.val_loss) for m in run.validations if m.step is not None and m.val_loss is not None]
        if train or held:
            curve = training_curve(train, held, "step")
            break
    runs = []
    for run in case.runs:
        total, score = last_total(run), run.score
        runs.append(
            {
                "name": run.name,
                "seed": run.seed,
                "score": f"{score.val_bpb:.{score.digits}f}" if score else "–",
                "label": score.label if score else "",
                "bytes": f"{int(total.value):,}" if total else "–",
                "train": f"{run.train_times[-1].seconds:,.0f} s" if run.train_times else "–",
                "eval": f"{run.eval_times[-1].seconds:,.0f} s" if run.eval_times else "–",
            }
        )
    return render(
        "site_record.html.jinja",
        css=css,
        row=row,
        blurb=case.claims.text("blurb") if case.claims else "",
        runs=runs,
        curve=curve,
        findings=sorted(findings, key=lambda f: (order.get(f.verdict, 2), f.rule)),
        counts=tally(findings),
        files=sorted(case.folder.files.items()),
    )
