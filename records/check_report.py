"""Check reports in the shape that every command writes its files in: one table of folders, one of findings."""

from pglab_report import Column, Report, Table

from .check import CheckReport
from .finding import FAIL, UNCHECKED, many, tally

ORDER = {FAIL: 0, UNCHECKED: 1}


def report_of(reports: list[CheckReport]) -> Report:
    """Folders with their counts, then every finding, the failed ones first."""
    folders = [
        {"folder": one.name, "track": one.track, "claimed": one.claimed_bpb, "logged": one.logged_bpb}
        | tally(one.findings)
        for one in reports
    ]
    findings = [
        {"folder": one.name, **item.as_json()}
        for one in reports
        for item in sorted(one.findings, key=lambda f: (ORDER.get(f.verdict, 2), f.rule))
    ]
    bad = sum(any(f.verdict is FAIL for f in one.findings) for one in reports)
    said = [f"{many(len(reports), 'folder')}: {bad} with a failed rule, {len(reports) - bad} without."]
    counts = [Column("PASS", "passed", "", ",d"), Column("FAIL", "failed", "", ",d")]
    counts += [Column("UNCHECKED", "unchecked", "", ",d")]
    scores = [Column(key, key, "bits per byte", ".8f") for key in ("claimed", "logged")]
    words = [Column(key) for key in ("says", "where", "found", "expected", "fix")]
    return Report(
        "Records checked by rule",
        said,
        [
            Table("folders", "Folders", [Column("folder"), Column("track"), *scores, *counts], folders),
            Table("findings", "Findings", [Column("folder"), Column("rule"), Column("verdict", verdict=True), *words],
                  findings),
        ],
        status=max((one.status for one in reports), default=1),
        data={"reports": [one.as_json() for one in reports]},
    )  # fmt: skip
