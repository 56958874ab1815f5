"""What many records have in common, counted: how the score is spelled, which keys there are, what fails how often.

The counts that the guides speak of are made here, so that they can be made again: spellings of the final score
(labels of scores after training, without those of weights before quantisation), top-level keys of every
`submission*.json`, records whose model and shipped code reach the cap, records of the ten-minute track that show fewer
than three seeds.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .check import check_folder
from .errors import RecordError
from .evidence import Case, before_quantisation
from .finding import FAIL
from .folder import find_folders, open_folder
from .progress import track
from .submission import LARGEST


@dataclass
class Survey:
    """Counts over records. `labels`, `keys`, `rules`: how many logs, files, folders each stands in."""

    folders: int = 0
    logs: int = 0
    json_files: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    before: Counter[str] = field(default_factory=Counter)  # labels of scores before quantisation
    keys: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    failed: dict[str, list[str]] = field(default_factory=dict)  # rule -> folders
    largest_log: int = 0


def survey(paths: list[Path]) -> Survey:
    """Count over every record folder at or under `paths`. Raises RecordError when there is none."""
    found = Survey()
    folders = [folder for path in paths for folder in find_folders(path)]
    for place in track(folders, "reading records"):
        if place.is_dir() and any(item.is_file() for item in place.rglob("*")):
            add(found, place)
    if not found.folders:
        raise RecordError("no record folder there. Give records/track_10min_16mb, or a folder of records.")
    return found


def add(found: Survey, place: Path) -> None:
    """Count one folder in."""
    report = check_folder(place, quick=True)
    case = Case(open_folder(place))
    found.folders += 1
    for name in case.folder.files:
        if re.fullmatch(r"submission[\w.-]*\.json", name):
            found.json_files += 1
            found.keys.update(keys_of(case.folder.path / name))
    for log in case.folder.logs:
        found.logs += 1
        found.largest_log = max(found.largest_log, log.bytes)
        for metric in {one.label: one for one in log.finals}.values():
            (found.before if before_quantisation(metric) else found.labels)[metric.label] += 1
    for rule in sorted({finding.rule for finding in report.findings if finding.verdict is FAIL}):
        found.rules[rule] += 1
        found.failed.setdefault(rule, []).append(case.folder.name)


def keys_of(place: Path) -> list[str]:
    """The top-level keys of a JSON object; none when it is no such file."""
    try:
        with place.open("rb") as file:
            value = json.loads(file.read(LARGEST).decode("utf-8-sig"))
    except (ValueError, OSError, RecursionError):
        return []
    return list(value) if isinstance(value, dict) else []
