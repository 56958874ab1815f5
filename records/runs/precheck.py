"""What could fail only after hours is tried in the first seconds: every codec recipe, every model's settings.

The rooms judge, by their own commands: a codec recipe packs eight weights, and a training is asked for with a folder of
shards that is not there, which it reports only when its settings are good.
"""

import io
import subprocess
import tempfile
import zipfile
from pathlib import Path

from .child import lab_command
from .errors import RunError
from .plan import Plan
from .stage import Stage
from .store import Store

NO_SHARDS = "no-shards-here"
# an .npy file of eight float32 zeros as a (2, 4) array: magic, version 1.0, length of the header, header, data
HEADER = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }".ljust(117) + b"\n"
EIGHT = b"\x93NUMPY\x01\x00" + len(HEADER).to_bytes(2, "little") + HEADER + bytes(32)


def check_late(plan: Plan, store: Store) -> None:
    """Try what the plan's late stages would be told. Raises RunError with the room's own sentence."""
    tried: set[tuple[str, ...]] = set()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for stage in plan.stages:
            if stage.verb not in ("pack", "train") or store.read(stage):
                continue
            words = pack_words(stage, folder) if stage.verb == "pack" else train_words(stage, folder)
            if words in tried:
                continue
            tried.add(words)
            done = subprocess.run(lab_command(words), cwd=folder, capture_output=True, text=True, errors="replace")
            if done.returncode and NO_SHARDS not in done.stderr:
                says = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
                raise RunError(f"{stage.name} would fail: {says[0].removeprefix('error: ')}")


def pack_words(stage: Stage, folder: Path) -> tuple[str, ...]:
    """The words that pack a tiny checkpoint by the stage's recipe."""
    source, buffer = folder / "tiny.npz", io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("w.npy", EIGHT)
    source.write_bytes(buffer.getvalue())
    words = stage.commands[0].words
    return ("codec", "pack", source.name, "tiny.pgc", "--recipe", words[words.index("--recipe") + 1])


def train_words(stage: Stage, folder: Path) -> tuple[str, ...]:
    """The stage's words with shards that are not there; the seed and the vocabulary's size change nothing."""
    words = [word.replace("{file}", str(stage.file)) for word in stage.commands[0].words]
    words[words.index("--shards") + 1] = NO_SHARDS
    words[words.index("--out") + 1] = "out"
    kept: list[str] = []
    for flag, word in zip(["", *words], words, strict=False):
        if flag == "--set" and (word.startswith("seed=") or "{" in word):
            kept.pop()
        else:
            kept.append(word)
    return tuple(kept)
