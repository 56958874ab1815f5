"""Which process scores: our GPT by default, a stranger's Python file behind the adapter, or any command.

Nothing of a scorer runs in the prover. A Python file is held as strictly as works here (isolation.py): under bubblewrap
it sees Python, itself and the artifact, no other file and no network, so it cannot read the text that it is to
predict. A command is the caller's own and runs as it is; `{artifact}`, `{rows}` and `{length}` in it are filled in.
"""

import os
import pkgutil
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import AuditError
from .isolation import LEVELS, SAYS, level
from .prove_frames import Scorer


@dataclass(frozen=True, slots=True)
class Choice:
    """A scorer as chosen on the command line. length 0, dtype "", device "": the scorer's own."""

    artifact: Path
    scorer: Path | None = None  # a Python file with start() and next_distribution()
    command: str = ""
    path: str = "kv"
    length: int = 0
    dtype: str = ""
    device: str = ""

    def given(self) -> dict[str, int]:
        """Bytes of the artifact, and of the file that scores."""
        files = {"artifact": self.artifact} | ({"scorer": self.scorer} if self.scorer else {})
        return {name: place.stat().st_size for name, place in files.items()}

    def unchecked(self) -> list[str]:
        """What the walls around the scorer leave open, a sentence each."""
        if self.scorer is None and not self.command:
            return []
        if self.scorer is not None and not self.command and level() == "bubblewrap":
            return []
        name = "the --command" if self.command else f"{self.scorer}, held by {SAYS[level()]},"
        return [f"whether the scorer knew the text: {name} could read this machine's files while it scored."]

    def start(self, rows: int, vocab: int, length: int | None = None) -> Scorer:
        """Start it with S rows. Raises AuditError."""
        length = self.length if length is None else length
        environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
        if self.command:
            filled = {"artifact": str(self.artifact), "rows": str(rows), "length": str(length)}
            words = []
            for word in self._given_words():
                for name, value in filled.items():
                    word = word.replace("{" + name + "}", value)
                words.append(word)
            return Scorer(words, environment)
        if self.scorer is not None:
            return self._adapter(rows, vocab)
        words = [sys.executable, "-m", "model.scorer", str(self.artifact), "--rows", str(rows), "--path", self.path]
        for name, given in (("--length", length), ("--dtype", self.dtype), ("--device", self.device)):
            words += [name, str(given)] if given else []
        return Scorer(words, environment)

    def _given_words(self) -> list[str]:
        try:
            words = shlex.split(self.command)
        except ValueError as error:
            raise AuditError(
                f"--command {self.command}: {str(error).lower()}; wanted words as a shell has them."
            ) from None
        if not words or "\0" in self.command:
            raise AuditError(f"--command {self.command!r}: no program in it; wanted words as a shell has them.")
        return words

    def _adapter(self, rows: int, vocab: int) -> Scorer:
        assert self.scorer is not None
        if not self.scorer.is_file():
            raise AuditError(f"{self.scorer}: no such file; wanted a Python file with start() and next_distribution().")
        held = level()
        if held in ("none", "limits"):
            raise AuditError(
                f"a stranger's scorer is not run here: {SAYS[held]}. Install bubblewrap; a scorer that you trust may "
                "run by --command."
            )
        source = pkgutil.get_data(__package__, "prove_adapter.py")
        if source is None:
            raise AuditError("prove_adapter.py is missing from this copy of the auditor; build or install it again.")
        given = [str(self.scorer.absolute()), str(self.artifact.absolute()), str(rows), str(vocab)]
        small = {name: os.environ.get(name, "") for name in ("PATH", "LANG")}
        small |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        wall = bare_wall([Path(given[0]), self.artifact.absolute()]) if held == "bubblewrap" else LEVELS[held]
        return Scorer([*wall, sys.executable, "-I", "-c", source.decode("utf-8"), *given], small)


def bare_wall(shown: list[Path]) -> list[str]:
    """bubblewrap's words for a file system with Python and these files in it, and nothing else."""
    words = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--tmpfs", "/tmp"]
    packages = Path(np.__file__).parents[1]
    folders = ["/usr", "/lib", "/lib64", "/bin", "/etc/alternatives", sys.base_prefix, sys.prefix, str(packages)]
    for place in dict.fromkeys([*folders, *map(str, shown)]):
        words += ["--ro-bind-try", place, place]
    return [*words, "--dev", "/dev", "--proc", "/proc", "--chdir", "/"]
