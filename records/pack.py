"""Pack a record: the very bytes that are counted, in one folder, under the cap, and proved to give the score.

What is counted is `train_gpt.py` as it lies in the folder and the artifact beside it. `--packed` replaces the script by
a self-extracting form, keeps the readable text as `train_gpt_readable.py`, and counts the form that is written. The
packed file is opened again and compared before anything is believed.
"""

import base64
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import RecordError
from .folder import open_folder
from .new import ARTIFACTS
from .script_reader import Source, read_source
from .submission import CAP

READABLE = "train_gpt_readable.py"


@dataclass(frozen=True)
class Packed:
    """The folder written, and its counted bytes."""

    path: Path
    artifact: str
    bytes_code: int
    bytes_model: int

    @property
    def total(self) -> int:
        """Code and model."""
        return self.bytes_code + self.bytes_model


def self_extracting(text: str) -> str:
    """A script that runs `text`: lzma, base85, one exec. Raises RecordError when it would not open to the same text."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
    data = base64.b85encode(lzma.compress(text.encode(), lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=filters)).decode()
    script = f'import lzma,base64\nexec(compile(lzma.decompress(base64.b85decode("{data}")),__file__,"exec"))\n'
    if read_source("train_gpt.py", script, layers=1).inner != text:
        raise RecordError("the packed script does not open to the same text. Ship the plain one.")
    return script


def find_artifact(folder: Path, given: Path | None) -> Path:
    """The artifact: the one given, or the only known one in the folder. Raises RecordError."""
    if given is not None:
        if not given.is_file():
            raise RecordError(f"{given}: no such artifact.")
        return given
    there = [folder / name for name in ARTIFACTS if (folder / name).is_file()]
    if len(there) != 1:
        names = ", ".join(item.name for item in there) or "none"
        raise RecordError(f"{folder}: artifacts found: {names}; wanted one. Name it with --artifact.")
    return there[0]


def bundled(recipe: str) -> str:
    """The script that `pglab model bundle --recipe RECIPE` writes. Raises RecordError with the bundler's last word."""
    with tempfile.TemporaryDirectory(prefix="pglab-bundle-") as place:
        script = Path(place) / "train_gpt.py"
        words = [sys.executable, "-m", "pglab", "model", "bundle", "--recipe", recipe, "--out", str(script)]
        done = subprocess.run(words, capture_output=True, text=True, cwd=Path(__file__).resolve().parent.parent)
        if done.returncode or not script.is_file():
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise RecordError(f"the bundler wrote no script for --recipe {recipe}: {last}")
        return script.read_text("utf-8")


def script_text(folder: Path, recipe: str) -> str:
    """The folder's train_gpt.py, or the one bundled from a recipe when the folder has none. Raises RecordError."""
    place = folder / "train_gpt.py"
    there = place.is_file() and place.stat().st_size > 0
    if there and recipe:
        raise RecordError(
            f"{place} is there, and a record is never bundled again after its run. Leave --recipe out; whether the "
            f"modules still give it says: pglab model bundle --recipe {recipe} --out {place} --check"
        )
    if not there and not recipe:
        raise RecordError(
            f"{folder}: no train_gpt.py. `pglab record new` makes a folder from a run; --recipe bundles a script."
        )
    if not there:
        return bundled(recipe)
    try:
        return place.read_bytes().decode()  # with its own ends of lines: they are counted too
    except UnicodeDecodeError as error:
        raise RecordError(f"{place}: byte {error.start:,} is no UTF-8. Save the script as UTF-8 first.") from None


def pack_record(
    folder: Path, out: Path, artifact: Path | None = None, packed: bool = False, recipe: str = ""
) -> Packed:
    """Copy a record folder to `out` with its artifact and true sizes; returns what was written.

    `submission.json` gets the counted bytes; all other files are copied as they are. A folder without a script gets
    the one that the bundler makes of `recipe`. Raises RecordError when something is missing, when `out` is there, or
    when code and model reach 16,000,000 bytes; then nothing is written.
    """
    record = open_folder(folder)
    if out.exists():
        raise RecordError(f"{out} is already there. Give another --out.")
    text = script_text(folder, recipe)
    weights = find_artifact(folder, artifact)
    source = read_source("train_gpt.py", text)
    if source.error and not source.newer:
        raise RecordError(f"{folder / 'train_gpt.py'}: does not compile ({source.error}). Mend it first.")
    script = self_extracting(text) if packed else text
    code, model = len(script.encode()), weights.stat().st_size
    if code + model >= CAP:
        raise RecordError(
            f"{code:,} (train_gpt.py) + {model:,} ({weights.name}) = {code + model:,} bytes; "
            f"the cap is strictly below {CAP:,}. Try --packed, or a tighter codec: pglab codec sweep"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".pack-", dir=out.parent))
    try:
        for name in record.files:
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, aside / name)
        shutil.copyfile(weights, aside / weights.name)
        (aside / "train_gpt.py").write_bytes(script.encode())
        if packed:
            (aside / READABLE).write_bytes(text.encode())
        rewrite_sizes(aside, code, code + model)
        note_packing(aside, code, code + model, packed)
        for item in aside.rglob("*"):
            if item.is_file():
                with item.open("rb") as file:
                    os.fsync(file.fileno())
        aside.chmod(0o755)
        aside.replace(out)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return Packed(out, weights.name, code, model)


def rewrite_sizes(folder: Path, code: int, total: int) -> None:
    """Put the counted bytes into submission.json, every other field as it was."""
    place = folder / "submission.json"
    if not place.is_file():
        return
    try:
        value = json.loads(place.read_text("utf-8-sig"), parse_float=lambda digits: f"\0{digits}")
    except (ValueError, RecursionError) as error:
        raise RecordError(f"submission.json cannot be read ({error}).") from error
    if isinstance(value, dict):
        text = json.dumps({**value, "bytes_total": total, "bytes_code": code}, indent=2, ensure_ascii=False)
        text = re.sub(r'"\\u0000([-+.\deE]+)"', r"\1", text)  # 1.2240 keeps its last digit
        place.write_bytes(f"{text}\n".encode("utf-8", "replace"))


def note_packing(folder: Path, code: int, total: int, packed: bool) -> None:
    """Say in README.md what was packed after the run; its tables, made from the log, stay as they are."""
    place = folder / "README.md"
    if packed and place.is_file():
        told = (
            "\n## Packed\n\n`train_gpt.py` is the script that ran in a self-extracting form (lzma, base85), "
            f"{code:,} bytes; `{READABLE}` is its text. Code and model are {total:,} bytes, {CAP - total:,} left under "
            f"{CAP:,}. The log was written by the plain form and states its size.\n"
        )
        with place.open("ab") as file:
            file.write(told.encode())


def inspect(script: Path) -> dict[str, Any]:
    """What a script says of itself, read and never run: sizes, whether it was packed, imports, network calls."""
    from .rules_script import NETWORK_MODULES, network_call

    if not script.stat().st_size:
        raise RecordError(f"{script}: empty; wanted a record folder, or somebody's train_gpt.py.")

    if script.stat().st_size > 16 << 20:
        raise RecordError(f"{script}: {script.stat().st_size:,} bytes; larger than any submission may be.")
    text = script.read_bytes().decode("utf-8", "replace")
    source: Source = read_source(script.name, text)
    calls = [f"line {call.lineno}: {what}" for call in source.calls if (what := network_call(call))]
    calls += [f"line {line}: import {name}" for line, name in source.modules if name.split(".")[0] in NETWORK_MODULES]
    return {
        "path": str(script),
        "bytes": script.stat().st_size,
        "packed": source.inner is not None,
        "bytes_inside": len(source.body.encode()),
        "compiles": not source.error,
        "error": source.error,
        "newer": source.newer,
        "imports": sorted(source.imports) if source.tree is not None else None,
        "network": calls if source.tree is not None else None,
    }
