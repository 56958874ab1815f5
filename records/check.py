"""Judge record folders: run every rule over each, and tell the result as text or JSON.

The JSON of one folder is the auditor's form, `{"path", "findings", "claimed_bpb", "corrected_bpb", "basis"}`, with two
more keys: `track` and `counts`. Several folders give a list of these.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .evidence import Case
from .finding import FAIL, PASS, Finding, many, tally, worst
from .folder import find_folders, open_folder
from .progress import track
from .rules import load_rules


@dataclass(frozen=True)
class CheckReport:
    """All findings on one folder. `logged_bpb` is the mean of the runs the claim rests on, from the logs."""

    path: str
    track: str
    findings: list[Finding]
    claimed_bpb: float | None
    logged_bpb: float | None
    basis: str

    @property
    def name(self) -> str:
        """The folder's own name."""
        return Path(self.path).resolve().name

    @property
    def status(self) -> int:
        """Exit status: 0 when everything passed, 1 otherwise."""
        return 0 if worst(self.findings) == PASS else 1

    def as_json(self) -> dict[str, Any]:
        """The auditor's form, with `track` and `counts`."""
        return {
            "path": self.path,
            "track": self.track,
            "findings": [finding.as_json() for finding in self.findings],
            "claimed_bpb": self.claimed_bpb,
            "corrected_bpb": self.logged_bpb
            if any(f.verdict is FAIL and f.rule.startswith("RC30") for f in self.findings)
            else None,
            "basis": self.basis,
            "counts": tally(self.findings),
        }


@contextmanager
def _no_collection() -> Iterator[None]:
    """Syntax trees are millions of small objects without cycles, and each pass of the collector walks them all."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # what is alive now is old: no pass over it when the collector wakes
        gc.unfreeze()
        if was_on:
            gc.enable()


def check_folder(
    path: Path, audit: dict[str, Any] | None = None, pull_base: str = "", quick: bool = False
) -> CheckReport:
    """Run every rule over one folder; `quick` leaves the auditor out (RC701 is then not among the findings).

    Raises RecordError when `path` is no folder at all.
    """
    case = Case(open_folder(path), audit or {}, pull_base)
    asked = [
        one for code, one in load_rules().items() if (code != "RC108" or pull_base) and not (quick and code == "RC701")
    ]
    with _no_collection():
        findings = [finding for one in asked for finding in one.run(case)]
    claims = case.claims
    scores = case.claimed_scores
    logged = sum(scores) / len(scores) if scores else None
    return CheckReport(
        str(path),
        case.track,
        findings,
        float(claims.val_bpb) if claims and claims.val_bpb else None,
        logged,
        f"mean of {many(len(scores), 'run')} in the logs" if scores else "",
    )


def check_paths(
    paths: list[Path], audit: dict[str, Any] | None = None, pull_base: str = "", quick: bool = False
) -> list[CheckReport]:
    """Check every record folder at or under each path, in order."""
    folders = [folder for path in paths for folder in find_folders(path)]
    return [check_folder(folder, audit, pull_base, quick) for folder in track(folders, "checking")]
