"""A record folder as it lies on disk: what is there, never what should be.

Public folders hold their log as `train.log`, `train_seed42.log`, `logs/train0.txt`, `ternary_log_7.txt`; their script
as `train_gpt.py`, `train_gpt_v5.py`, `train_jepa_ssm.py`; their JSON as `submission_binary.json`. The challenge names
four files. So roles are found by what a file is like, and the rules judge its name.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bpb_audit.errors import AuditError
from bpb_audit.log_reader import Log, read_log

from .errors import RecordError
from .submission import Claims, read_claims

MAX_FILES = 5000
MOST_SEEN = 20 * MAX_FILES  # of entries looked at, those of .git too
NOT_LOGS = re.compile(r"requirement|readme|license|results?\.md|vocab", re.IGNORECASE)
LOG_SUFFIXES = {".log", ".txt"}
ARTIFACT_SUFFIXES = {".ptz", ".pgc", ".pt", ".bin", ".safetensors", ".npz", ".br", ".zst", ".xz", ".lzma"}


@dataclass
class RecordFolder:
    """One folder. `files` maps a path inside it (posix) to its size in bytes; links are listed, never followed."""

    path: Path
    files: dict[str, int]
    links: list[str] = field(default_factory=list)
    sources: dict[str, Any] = field(default_factory=dict, repr=False)  # scripts read so far (script_reader.py)
    needed: dict[str, list[str]] = field(default_factory=dict, repr=False)  # local files a script needs, by script

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.resolve().name

    @property
    def track(self) -> str:
        """`10min`, `non-record` or `` (unknown), from the folder above, submission.json, or what the README says."""
        above = self.path.resolve().parent.name
        says = self.claims.text("track").lower() if self.claims else ""
        for text in (above, says):
            if "non_record" in text or "non-record" in text or "unlimited" in text:
                return "non-record"
            if "10min" in text:
                return "10min"
        page = self.text(self.readme)[:4000] if self.readme else ""
        return "non-record" if re.search(r"\bnon-record\b|unlimited[- ]compute", page, re.IGNORECASE) else ""

    @cached_property
    def script(self) -> str | None:
        """The training script: train_gpt.py, or else the one other top-level train*.py that is largest."""
        if self.files.get("train_gpt.py"):
            return "train_gpt.py"
        others = [
            n for n in self.files if n.endswith(".py") and "/" not in n and n.startswith("train") and self.files[n]
        ]
        return max(others, key=lambda n: (self.files[n], n), default=None)

    @cached_property
    def json_name(self) -> str | None:
        """submission.json, or else the one top-level submission*.json."""
        if "submission.json" in self.files:
            return "submission.json"
        others = sorted(n for n in self.files if re.fullmatch(r"submission[\w.-]*\.json", n))
        return others[0] if others else None

    @cached_property
    def readme(self) -> str | None:
        """README.md in any spelling of its case."""
        return next((n for n in sorted(self.files) if n.lower() == "readme.md"), None)

    @cached_property
    def claims(self) -> Claims | None:
        """What submission.json claims; None when there is none or it is not a JSON object (see `json_error`)."""
        return self._claims[0]

    @cached_property
    def json_error(self) -> str:
        """Why submission.json could not be read, or an empty text."""
        return self._claims[1]

    @cached_property
    def _claims(self) -> tuple[Claims | None, str]:
        if self.json_name is None:
            return None, ""
        try:
            return read_claims(self.path / self.json_name), ""
        except RecordError as error:
            return None, str(error)

    @cached_property
    def logs(self) -> list[Log]:
        """Every log of the folder, by name; a text file without a single step or score is not a log."""
        found = []
        for name in sorted(self.files):
            suffix = Path(name).suffix.lower()
            if suffix not in LOG_SUFFIXES or NOT_LOGS.search(Path(name).name) or not self.files[name]:
                continue
            try:
                log = read_log(self.path / name, name)
            except AuditError as error:
                raise RecordError(str(error)) from error
            if log.metrics or log.curve or suffix == ".log":
                found.append(log)
        return found

    @cached_property
    def artifacts(self) -> list[str]:
        """Files that look like packed weights."""
        return sorted(n for n in self.files if Path(n).suffix.lower() in ARTIFACT_SUFFIXES)

    def text(self, name: str) -> str:
        """A file's text, UTF-8 with replacement; at most 8 MB of it."""
        with (self.path / name).open("rb") as file:
            return file.read(8 << 20).decode("utf-8", "replace")

    def raw(self, name: str) -> bytes:
        """A file's bytes; at most 64 MB of them."""
        with (self.path / name).open("rb") as file:
            return file.read(64 << 20)


def open_folder(path: Path) -> RecordFolder:
    """List a record folder. Raises RecordError when `path` is no folder, or holds far more files than a record."""
    if not path.exists():
        raise RecordError(
            f"{path}: no such folder. Give a record folder, for example records/track_10min_16mb/2026-03-17_Name."
        )
    if not path.is_dir():
        raise RecordError(
            f"{path}: a file, wanted the record folder that holds it. Try: pglab record check {path.parent}"
        )
    files: dict[str, int] = {}
    links: list[str] = []
    for count, item in enumerate(path.rglob("*")):
        inside = item.relative_to(path)
        if count >= MOST_SEEN or len(files) > MAX_FILES:
            raise RecordError(
                f"{path}: more than {MAX_FILES:,} files; a record folder has a few. Give the folder of one record."
            )
        if any(part in ("__pycache__", ".git") for part in inside.parts):
            continue
        if item.is_symlink():
            links.append(inside.as_posix())
        elif item.is_file():
            files[inside.as_posix()] = item.stat().st_size
    return RecordFolder(path, dict(sorted(files.items())), sorted(links))


def find_folders(path: Path) -> list[Path]:
    """The record folders at or under `path`: itself, or those in track folders below it or in its `records/`."""
    if not path.is_dir():
        return [path]
    dated = re.compile(r"^\d{4}-\d{2}-\d{2}_")
    if dated.match(path.resolve().name) or any((path / n).is_file() for n in ("submission.json", "train_gpt.py")):
        return [path]
    tracks = [path] if path.resolve().name.startswith("track_") else sorted(path.glob("track_*/"))
    tracks = tracks or sorted(path.glob("records/track_*/"))  # the root of a repository
    below = [
        item for track in tracks for item in sorted(track.iterdir()) if item.is_dir() and not item.name.startswith("_")
    ]
    if not tracks:
        below = [item for item in sorted(path.iterdir()) if item.is_dir() and dated.match(item.name)]
    return below or [path]
