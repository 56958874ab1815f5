"""Make a record folder from a run: `YYYY-MM-DD_Name/` with its four files, every number taken from the log by value.

The folder is written aside and renamed when it is whole, so there is never half a record. The script and the log are
copied byte for byte: a record is evidence, and evidence is not edited.
"""

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from bpb_audit.log_lines import Metric
from bpb_audit.log_reader import read_log

from .errors import RecordError
from .evidence import Run, runs_of
from .page import render
from .submission import CAP, Submission, make_submission, read_date

TRACKS = {"10min": "track_10min_16mb", "non-record": "track_non_record_16mb"}
ARTIFACTS = ("final_model.pgc", "final_model.int8.ptz", "final_model.ptz")
CURVE_ROWS = 12


@dataclass(frozen=True)
class RunFolder:
    """A run as training left it: `run` the last run of its log, `score` that run's last word."""

    path: Path
    run: Run
    score: Metric
    config: dict[str, Any]
    sums: dict[str, Any] | None
    artifact: Path | None
    bytes_code: int
    bytes_total: int


def read_json(path: Path) -> Any:
    """A JSON file's value; None when the file is absent. Raises RecordError when it is there and broken."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(f"{path}: not readable JSON ({error}). Write it again, or remove it.") from error


def open_run(path: Path, artifact: Path | None = None) -> RunFolder:
    """Read a run folder. Raises RecordError when the script, the log or a score after quantisation is missing."""
    for name in ("train_gpt.py", "train.log"):
        if not (path / name).is_file() or not (path / name).stat().st_size:
            raise RecordError(
                f"{path}: no {name}; a record needs the script that ran and its log. Point --run at a finished run."
            )
    runs = [run for run in runs_of(read_log(path / "train.log")) if run.score]
    if not runs or (score := runs[-1].score) is None:
        raise RecordError(
            f"{path / 'train.log'}: no score after quantisation (a line such as "
            "`final_int8_zlib_roundtrip_exact val_loss:.. val_bpb:..`). Let the run finish first."
        )
    sums = read_json(path / "score.json")
    config = read_json(path / "config.json")
    chosen = artifact or choose_artifact(path, runs[-1], sums)
    if artifact is not None and not artifact.is_file():
        raise RecordError(f"{artifact}: no such artifact. Leave --artifact out to take the one of the run.")
    code = (path / "train_gpt.py").stat().st_size
    if chosen is not None:
        total = code + chosen.stat().st_size
    else:
        logged = [int(one.value) for one in runs[-1].sizes if one.name.startswith("Total submission size ")]
        if not logged:
            raise RecordError(f"{path}: no artifact file and no total in the log. Give the file with --artifact.")
        total = logged[-1]
    return RunFolder(
        path,
        runs[-1],
        score,
        config if isinstance(config, dict) else {},
        sums if isinstance(sums, dict) else None,
        chosen,
        code,
        total,
    )


def choose_artifact(path: Path, run: Run, sums: Any) -> Path | None:
    """The compressed model that was scored: the one score.json names, or whose size the log prints last."""
    named = sums.get("artifact") if isinstance(sums, dict) else None
    there = [path / name for name in ARTIFACTS if (path / name).is_file()]
    if isinstance(named, str) and (path / Path(named).name).is_file():
        there.insert(0, path / Path(named).name)
    logged = [int(one.value) for one in run.sizes if one.name.startswith("Serialized model")]
    by_size = [(logged.index(item.stat().st_size), item) for item in there if item.stat().st_size in logged]
    return max(by_size, key=lambda pair: pair[0])[1] if by_size else (there[0] if there else None)


def why_not_ten_minutes(run: RunFolder) -> str:
    """Why this run cannot stand in the ten-minute track, or an empty text."""
    log = run.run.log
    reasons = []
    longest = max((one.seconds for one in log.train_times), default=0.0)
    if longest > 601:
        reasons.append(f"it trained for {longest:,.0f} s")
    world = int(log.worlds[-1].value) if log.worlds else 8
    if world != 8:
        reasons.append(f"it ran in {world} process{'es' if world != 1 else ''}, not on 8 GPUs")
    device = str(run.config.get("device", ""))
    if device.startswith("cpu"):
        reasons.append("it ran on a CPU")
    return " and ".join(reasons)


def folder_name(name: str, day: date) -> str:
    """`2026-11-21_Name`. Raises RecordError for a name that is no plain word."""
    short = re.sub(r"\s+", "_", name.strip())
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", short):
        raise RecordError(
            f"{name!r} is no folder name; wanted letters, digits and . _ + - (at most 100), for example LowerLR."
        )
    return f"{day.isoformat()}_{short}"


def new_record(
    name: str,
    track: str,
    run: Path,
    out: Path,
    *,
    author: str = "",
    github_id: str = "",
    day: str = "",
    blurb: str = "",
    artifact: Path | None = None,
    with_artifact: bool = False,
) -> Path:
    """Write the folder; returns its path. Raises RecordError, and then leaves nothing behind."""
    if track not in TRACKS:
        raise RecordError(f"no track {track!r}; there are {' and '.join(TRACKS)}.")
    when = read_date(day) if day else datetime.now(UTC).date()
    if when is None:
        raise RecordError(f"--date {day!r} is not ISO 8601; wanted for example 2026-03-18.")
    target = out / folder_name(name, when)
    if target.exists():
        raise RecordError(f"{target} is already there, and a record is never overwritten. Choose another name.")
    source = open_run(run, artifact)
    reason = why_not_ten_minutes(source)
    if track == "10min" and reason:
        raise RecordError(f"{run}: not a run for the ten-minute track, for {reason}. Use --track non-record.")
    if source.bytes_total >= CAP:
        raise RecordError(
            f"{run}: {source.bytes_total:,} bytes, the cap is strictly below {CAP:,}. "
            "Compare codecs with: pglab codec sweep"
        )
    words = blurb or default_blurb(source)
    entry = make_submission(
        author=author or "unknown",
        github_id=github_id or "unknown",
        name=name,
        blurb=words,
        date=day or when.isoformat(),
        val_loss=source.score.val_loss if source.score.val_loss is not None else loss_of(source),
        val_bpb=source.score.val_bpb,
        bytes_total=source.bytes_total,
        bytes_code=source.bytes_code,
    )
    out.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".new-", dir=out))
    try:
        fill(aside, source, entry, reason, track, with_artifact)
        aside.chmod(0o755)
        aside.replace(target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return target


def loss_of(source: RunFolder) -> float:
    """The loss that belongs to the claimed score, in nats per token."""
    same = [m for m in source.run.finals if m.val_loss is not None and abs(m.val_bpb - source.score.val_bpb) < 1e-4]
    if not same or same[-1].val_loss is None:
        raise RecordError(f"{source.path / 'train.log'}: the final score has no val_loss. Let the run print both.")
    return same[-1].val_loss


def default_blurb(source: RunFolder) -> str:
    """One plain sentence on what the run was."""
    shape = ", ".join(
        f"{source.config[key]} {word}"
        for key, word in (("num_layers", "layers"), ("model_dim", "wide"), ("vocab_size", "tokens in the vocabulary"))
        if key in source.config
    )
    return f"The standard GPT{f' ({shape})' if shape else ''}, trained and packed with the Parameter Golf Lab."


def fill(aside: Path, source: RunFolder, entry: Submission, reason: str, track: str, with_artifact: bool) -> None:
    """Write all files of the folder into `aside`."""
    for name in ("train_gpt.py", "train.log"):
        shutil.copyfile(source.path / name, aside / name)
    kept = ""
    if with_artifact and source.artifact is not None:
        kept = source.artifact.name
        shutil.copyfile(source.artifact, aside / kept)
    (aside / "submission.json").write_text(entry.text(), "utf-8")
    (aside / "README.md").write_text(readme(source, entry, reason if track == "non-record" else "", kept), "utf-8")
    for item in aside.iterdir():
        with item.open("rb") as file:
            os.fsync(file.fileno())


def readme(source: RunFolder, entry: Submission, reason: str, artifact_file: str) -> str:
    """The README's text, with its tables made from the log."""
    from .new_tables import command, config_rows, curve_rows, run_rows, score_rows

    sums = source.sums
    whole = sums and all(isinstance(sums.get(k), int | float) for k in ("nats", "tokens", "bytes_raw", "bpb_raw"))
    return render(
        "readme.md.jinja",
        name=entry.name,
        blurb=entry.blurb,
        bpb=entry.val_bpb,
        label=source.score.label,
        bytes_total=entry.bytes_total,
        bytes_code=entry.bytes_code,
        bytes_left=CAP - entry.bytes_total,
        unlimited=f"{reason[0].upper()}{reason[1:]}." if reason else "",
        scores=score_rows(source),
        score=sums if whole else None,
        artifact=source.artifact.name if source.artifact else "as logged",
        artifact_file=artifact_file,
        run_rows=run_rows(source),
        curve=curve_rows(source, CURVE_ROWS),
        config=config_rows(source.config),
        command=command(source),
    )
