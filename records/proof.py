"""The proof of a record: the folder alone, in a process of its own, gives its score again.

The folder is copied to a temporary place. A new Python starts there in isolated mode, with an empty environment; the
lab's packages are refused at import, and so is every connection to a network. It loads the copied train_gpt.py without
running its main part, decodes the artifact with the script's own code, and scores the given shards. Nothing of the lab
helps it: if the script needs a file that is not in the folder, the proof fails.

A script is code, and whose code it is cannot be told from its text. So it runs only behind bubblewrap: no network,
every file read-only but its own copy, the lab's folders hidden, bounded time. Where bubblewrap does not work nothing is
run, unless the user says that the script is to be trusted. What it proves is that the folder is whole and decodes; the
score is the script's own word, and the bytes are the auditor's to recount.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bpb_audit.progress import Progress

from .errors import RecordError
from .script_reader import read_source

LAB = ("model", "compress", "tokenizers_lab", "bpb_audit", "records", "pglab", "pglab_tour", "pglab_doctor")
OURS = ("# ---- model/", "def read_artifact(", "def score_file(", "def layered_config(")
SECONDS = 1800

# runs inside the copy; `-I` leaves out the working folder, the environment and user packages
DRIVER = r"""
import importlib.util, json, os, pathlib, sys, types
lab, artifact, root = json.loads(sys.argv[1])
sys.path[:] = [p for p in sys.path if pathlib.Path(p or ".").resolve() != pathlib.Path(root)]
class Refuse:
    def find_spec(self, name, path=None, target=None):
        head = name.split(".")[0]
        if head in lab or head.startswith("pglab"):
            raise ModuleNotFoundError("the lab is not importable here: " + name)
sys.meta_path.insert(0, Refuse())
def no_network(event, args):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "urllib.Request"):
        raise PermissionError("no network here: " + event)
sys.addaudithook(no_network)
spec = importlib.util.spec_from_file_location("train_gpt", "train_gpt.py")
script = importlib.util.module_from_spec(spec)
sys.modules["train_gpt"] = script
spec.loader.exec_module(script)
config = script.layered_config(script.RECIPE, os.environ)
text = script.read_validation(config)
ranks = script.open_ranks(config, {})
model = script.GPT(config).to(ranks.device)
if hasattr(model, "compute_dtype") and hasattr(ranks, "dtype"):
    model.compute_dtype = ranks.dtype  # scored as the run scored it
log = types.SimpleNamespace(line=lambda *words, **more: None)
done, total = [0], 1  # the tokens that went in, for the progress of who waits
if hasattr(text, "tokens"):
    total = len(text.tokens)
if hasattr(model, "tok_emb"):
    def count(module, given):
        done[0] += given[0].numel()
        pathlib.Path("../done").write_text(f"{min(done[0], total)} {total}")
    model.tok_emb.register_forward_pre_hook(count)
told = script.score_file(pathlib.Path(artifact), "proof", model, config, text, ranks, log)
if isinstance(told, tuple):  # a script bundled before 2026-11-21 gives sums and seconds
    sums, seconds = told
    names = ("nats", "tokens", "bytes_raw", "bytes_table", "val_loss", "bpb_raw", "bpb_table")
    told = {name: getattr(sums, name) for name in names} | {"seconds": seconds}
print("PROOF " + json.dumps({**told, "python": sys.version.split()[0], "device": str(ranks.device)}))
"""


@dataclass(frozen=True)
class Proof:
    """What the lone folder scored: `score` the sums and ratios, `isolation` how it was held."""

    score: dict[str, Any]
    isolation: str


def is_ours(script: Path) -> bool:
    """True when the script, opened if packed, has what the proof calls. It says nothing of who wrote it."""
    body = read_source(script.name, script.read_text("utf-8", "replace")).body
    return all(mark in body for mark in OURS)


def sandbox(place: Path, root: Path) -> list[str]:
    """Words that start a command behind bubblewrap: only `place` writable, the lab's folders under `root` hidden."""
    words = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/"]
    words += ["--dev", "/dev", "--proc", "/proc"]
    for name in LAB:
        if (root / name).is_dir():
            words += ["--tmpfs", str(root / name)]
    return [*words, "--bind", str(place), str(place)]


def sandbox_works() -> bool:
    """True when bubblewrap is installed and may make its namespaces here."""
    words = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"]
    return bool(shutil.which("bwrap")) and subprocess.run(words, capture_output=True, timeout=10).returncode == 0


def short(place: Path) -> str:
    """The first bytes of a regular file that a stranger may have put there: no link, no pipe. Raises OSError."""
    file = os.open(place, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        return os.read(file, 40).decode("ascii", "replace")
    finally:
        os.close(file)


def scored(words: list[str], alone: Path, environment: dict[str, str]) -> tuple[int, str, str]:
    """Run the driver in the copy `alone`: (exit status, stdout, stderr). Raises RecordError when it takes too long."""
    tell, seen = Progress("scoring the folder alone", "tokens"), 0
    child = subprocess.Popen(
        words, cwd=alone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    )
    end = time.monotonic() + SECONDS
    try:
        while True:
            try:
                out, err = child.communicate(timeout=0.5)
                return child.returncode, out, err
            except subprocess.TimeoutExpired:
                if time.monotonic() > end:
                    raise RecordError(f"the lone folder did not score within {SECONDS} s. Use fewer shards.") from None
            with suppress(OSError, ValueError):  # not written yet, or half written
                now, total = map(int, short(alone.parent / "done").split())
                if not seen:
                    tell.expect(total)
                tell(max(now - seen, 0))
                seen = max(now, seen)
    finally:
        tell.wipe()
        if child.poll() is None:
            child.kill()
            child.communicate()


def prove(folder: Path, artifact: str, shards: Path, config: Path | None = None, trusted: bool = False) -> Proof:
    """Score `shards` with the copied folder alone; `artifact` is the file's name in it.

    trusted: run it without bubblewrap where that does not work. Raises RecordError when nothing may hold the script,
    when it lacks the functions a bundle has, when it fails, or when it takes longer than half an hour; the message
    carries the script's own last line.
    """
    if not is_ours(folder / "train_gpt.py"):
        raise RecordError(
            f"{folder / 'train_gpt.py'}: not a bundle as `pglab model bundle` makes it, so it is not run. "
            "Its sizes and its code were read; run it yourself, in a place you can lose."
        )
    root = Path(__file__).resolve().parent.parent
    held = sandbox_works()
    if not held and not trusted:
        raise RecordError(
            f"{folder / 'train_gpt.py'} is not run: bubblewrap does not work here, and nothing else would hold a "
            "script. Install it (apt-get install bubblewrap), or pass --trust for a script that you wrote."
        )
    with tempfile.TemporaryDirectory(prefix="pglab-proof-") as place:
        alone = Path(place) / "record"
        shutil.copytree(folder, alone)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": place,
            "TMPDIR": place,
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
            "DATA_PATH": str(shards.resolve()),
        }
        if config is not None:
            environment["PGLAB_CONFIG"] = str(config.resolve())
        prefix = sandbox(Path(place), root) if held else []
        words = json.dumps([LAB, artifact, str(root)])
        status, out, err = scored([*prefix, sys.executable, "-I", "-c", DRIVER, words], alone, environment)
    found = [line for line in out.splitlines() if line.startswith("PROOF ")]
    if status or not found:
        last = (err.strip().splitlines() or ["it said nothing"])[-1]
        raise RecordError(f"the folder alone cannot score: {last.rstrip('.')}. What it needs must be in the folder.")
    how = "bubblewrap: no network, read-only files, the lab hidden" if held else "trusted, not held: no bubblewrap"
    return Proof(json.loads(found[-1][6:]), f"{how}; isolated Python")
