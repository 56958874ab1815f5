"""A folder -> what is there (never what should be there): claim, logs, scripts, tokenizers, other files.

A single log, script or submission.json is a submission too, with less in it. Nothing is executed and nothing outside
the folder is read; links that lead out of the folder are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from .claim_reader import Claim, read_claim
from .errors import AuditError
from .log_reader import Log, read_log
from .source_text import read_source
from .unpack import Source, unpacked

MAX_FILES = 5000
MOST_SEEN = 20 * MAX_FILES  # of entries looked at, hidden ones too
MOST_SCRIPTS = 60
LOG_HINTS = ("train", "log", "seed", "run", "eval", "ternary", "binary", "bpb", "score")
NOT_LOGS = ("requirements", "readme", "license", "vocab", "merges", "pip", "notes")


@dataclass(frozen=True)
class Submission:
    """What lies under `path`. `files` are relative paths, sorted; `problems` are sentences about unreadable parts."""

    path: Path
    files: tuple[Path, ...]
    claim: Claim | None = None
    problems: tuple[str, ...] = ()
    log_paths: tuple[Path, ...] = ()
    scripts: tuple[Path, ...] = field(default=())

    @cached_property
    def logs(self) -> tuple[Log, ...]:
        """Every log, read once. Raises AuditError when one cannot be read."""
        return tuple(read_log(self.at(place), place.as_posix()) for place in self.log_paths)

    @cached_property
    def programs(self) -> tuple[Source, ...]:
        """Every program: scripts, what they carry packed, dumps in logs; each text once. Nothing is executed."""
        texts = self.texts
        seen: dict[str, Source] = {}
        for name, text in texts.items():
            for one in unpacked(Source(name, text), texts):
                seen.setdefault("\n".join(one.text.split()), one)
        for log in self.logs:
            for dump in log.dumps:
                if "\n".join(dump.text.split()) in seen:  # as shipped: it was opened above
                    continue
                for one in unpacked(Source(log.name, "\n" * (dump.first - 1) + dump.text), {}):
                    seen.setdefault("\n".join(one.text.split()), one)
        return tuple(seen.values())

    @cached_property
    def texts(self) -> dict[str, str]:
        """The scripts by name. Raises AuditError when one cannot be read."""
        return {place.as_posix(): read_source(self.at(place)) for place in self.scripts[:MOST_SCRIPTS]}

    def at(self, place: Path) -> Path:
        """The real path of a relative one."""
        return self.path / place if self.path.is_dir() else self.path

    @cached_property
    def words(self) -> str:
        """Names and claims, in lower case: where a submission says which vocabulary it uses."""
        claim = self.claim.text if self.claim else ""
        return " ".join([self.path.name, claim, *(file.name for file in self.files)]).lower()


def is_log(place: Path) -> bool:
    """True when a file looks like a training log by its name."""
    name = place.name.lower()
    if place.suffix.lower() not in (".log", ".txt", ".out") or any(word in name for word in NOT_LOGS):
        return False
    return place.suffix.lower() != ".txt" or any(word in place.as_posix().lower() for word in LOG_HINTS)


def reads_like_a_log(path: Path) -> bool:
    """True for a text file of any name that prints losses of training or scores."""
    if path.suffix.lower() not in (".txt", ".out") or any(word in path.name.lower() for word in NOT_LOGS):
        return False
    try:
        with path.open("rb") as file:
            head = file.read(1 << 20)
    except OSError:
        return False
    return b"train_loss" in head or b"val_bpb" in head or b"val_loss" in head


def _files(path: Path) -> list[Path]:
    root = path.resolve()
    found: list[Path] = []
    for count, one in enumerate(path.rglob("*")):
        if count >= MOST_SEEN or len(found) > MAX_FILES:
            raise AuditError(f"{path}: more than {MAX_FILES:,} files; name one record folder, not a tree of them.")
        inside = one.resolve().is_relative_to(root)
        if inside and one.is_file() and not any(part.startswith(".") for part in one.relative_to(path).parts):
            found.append(one.relative_to(path))
    return sorted(found)


def read_submission(path: Path) -> Submission:
    """What is in a record folder, or in one file. Raises AuditError when there is nothing to audit."""
    if path.is_dir():
        files = _files(path)
    elif path.is_file():
        files = [Path(path.name)]
    else:
        raise AuditError(
            f"{path}: no such file or folder; name a record folder. Try: pglab audit records/<track>/<folder>"
        )
    logs = [one for one in files if is_log(one) or (path.is_dir() and reads_like_a_log(path / one))]
    scripts = [one for one in files if one.suffix == ".py"]
    jsons = [one for one in files if one.name == "submission.json"] or [
        one
        for one in files
        if one.suffix == ".json" and (path.is_file() or (len(one.parts) == 1 and one.name.startswith("submission")))
    ]
    if path.is_file() and not (logs or scripts or jsons):
        logs = files
    if not (logs or scripts or jsons):
        raise AuditError(f"{path}: no log, script or submission.json in it; name a record folder.")
    claim, problems = None, []
    if jsons:
        place = min(jsons, key=lambda one: len(one.parts))
        try:
            claim = read_claim(path / place if path.is_dir() else path)
        except AuditError as error:
            problems.append(str(error))
    scripts.sort(key=lambda one: (len(one.parts), one.name != "train_gpt.py", one.as_posix()))
    return Submission(path, tuple(files), claim, tuple(problems), tuple(logs), tuple(scripts))
