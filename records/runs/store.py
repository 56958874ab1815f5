"""The store of stages: one folder a key, done when its `stage.json` says so, held by one process at a time.

runs/stages/train-3fa2b1c0d9e8a714/     what the stage's commands wrote, and stage.json, written last
runs/NAME-1a2b3c4d/                     one experiment: its TOML, run.json, report.html
runs/index.sqlite                       made from the JSON files, and made again whenever it is lost
"""

import json
import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pglab_lock import held

from .child import STOPPED, lab_command, run_and_let_leave, write_json
from .errors import RunError
from .stage import Command, Stage

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Done:
    """What a done stage's JSON says: seconds of work, bytes it left, and whether it was done now."""

    key: str
    seconds: float
    bytes: int
    fresh: bool


class Store:
    """The folder of stages under a store's root. Safe for any number of processes at once."""

    def __init__(self, root: Path) -> None:
        self.root, self.stages = root, root / "stages"

    def read(self, stage: Stage) -> Done | None:
        """The stage's record when it is done and its files are there in the sizes it left; else None."""
        home = self.stages / stage.folder
        try:
            said = json.loads((home / "stage.json").read_text(encoding="utf-8"))
            if said["key"] != stage.key or any((home / name).stat().st_size != n for name, n in said["files"].items()):
                return None
            return Done(stage.key, float(said["seconds"]), sum(said["files"].values()), False)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def run(self, stage: Stage, say: Say, log: Path | None = None) -> Done:
        """Do the stage unless it is done. log: file for what its commands say, instead of our stderr.

        Raises RunError when a command fails or leaves a file unmade. What an interrupted command saved stays, and the
        same command continues from it.
        """
        home = self.stages / stage.folder
        self.stages.mkdir(parents=True, exist_ok=True)
        told = f"{stage.name}: another process is at work on it; waiting."
        with held(self.stages / f".{stage.folder}.lock", lambda: say(told)) as lock:
            home.mkdir(exist_ok=True)
            if done := self.read(stage):
                return done
            if (home / "stage.json").exists():  # it was done, and its files are no longer what they were
                spoilt(home)
            begin = time.monotonic()
            for number, command in enumerate(stage.commands, 1):
                if number == len(stage.commands):
                    for alias, name in stage.copies:
                        shutil.copy(self.stages / stage.needs[alias].folder / name, home / name)
                self.run_command(stage, command, say, log, lock)
            missing = [name for name in stage.makes if not (home / name).is_file()]
            if missing:
                raise RunError(f"{stage.name}: ended well but left no {missing[0]} in {home}. Please report this.")
            seconds = time.monotonic() - begin
            files = {p.relative_to(home).as_posix(): p.stat().st_size for p in sorted(home.rglob("*"))
                     if p.is_file() and not p.name.startswith(".")}  # fmt: skip
            files.pop("stage.json", None)
            needs = {alias: other.folder for alias, other in stage.needs.items()}
            said = {"schema": 1, "name": stage.name, "verb": stage.verb, "key": stage.key, "needs": needs,
                    "commands": [" ".join(map(str, self.words(stage, c))) for c in stage.commands],
                    "seconds": round(seconds, 3), "size": stage.size, "asked_seconds": stage.seconds,
                    "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "files": files}  # fmt: skip
            write_json(home / "stage.json", said)
            return Done(stage.key, seconds, sum(files.values()), True)

    def words(self, stage: Stage, command: Command) -> list[str]:
        """The command's words with folders, files and sizes put in; paths are relative to the folder of stages."""

        def put(word: str) -> str:
            if not word.count("{"):
                return word
            word = word.replace("{out}", stage.folder).replace("{file}", str(stage.file))
            for alias, other in stage.needs.items():
                word = word.replace(f"{{{alias}}}", other.folder)
                if f"{{{alias}.size}}" in word:
                    word = word.replace(f"{{{alias}.size}}", str(self.spec(other)["size"]))
            return word

        return [put(word) for word in command.words]

    def spec(self, stage: Stage) -> Any:
        """The spec of a vocabulary's stage."""
        return json.loads((self.stages / stage.folder / "spec.json").read_text(encoding="utf-8"))

    def run_command(self, stage: Stage, command: Command, say: Say, log: Path | None, lock: tuple[int, ...]) -> None:
        """One command in the folder of stages; what it prints goes to `keeps`, by way of a file aside."""
        words, home = self.words(stage, command), self.stages / stage.folder
        say(f"$ {Command(tuple(words), command.keeps and f'{stage.folder}/{command.keeps}')}")
        aside = home / f".{command.keeps or 'said'}.new"
        with aside.open("wb") as out, log.open("ab") if log else nullcontext() as err:
            status = run_and_let_leave(lab_command(words), self.stages, out, err, lock)
        if status in STOPPED:
            raise RunError(f"{stage.name} was stopped. What is done is kept; the same command continues.")
        if status:
            raise RunError(failure(stage, words, status, log))
        if command.keeps:
            aside.replace(home / command.keeps)
        aside.unlink(missing_ok=True)


def spoilt(home: Path) -> None:
    """Empty the folder of a stage whose files were changed: its command might take them for finished work."""
    for place in home.iterdir():
        shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()


def failure(stage: Stage, words: list[str], status: int, log: Path | None) -> str:
    """A failed command in a sentence, with the last thing it said where that went to a file."""
    where = "its own words stand above"
    if log is not None:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        where = f"it said: {lines[-1].removeprefix('error: ')}" if lines else "it said nothing"
    return f"{stage.name}: `pglab {' '.join(words[:2])}` ended with exit status {status}; {where}"
