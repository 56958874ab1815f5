"""Starting a run as a process of its own: the bundle in the run folder, under torchrun where there are several ranks.

What runs is always the very `train_gpt.py` that is counted and published, never the modules. This side writes the
bundle and the settings, starts it, hands on its lines, and passes a wish to stop. Nothing here imports torch.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from compress.aside import write_aside

from .bundle import write_bundle
from .config import RunConfig
from .errors import ModelError
from .lock import folder_lock

LEAST_DISK = 1 << 16  # bytes
REQUEST = "request.json"  # the settings of the run, for PGLAB_CONFIG
QUIET_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "4294967296"}  # fewer page faults


def child_environment(threads: int) -> dict[str, str]:
    """The environment of a training process: ours, our settings, and who started it."""
    own = {"PGLAB_CONFIG": REQUEST, "PGLAB_WATCH": str(os.getpid()), "OMP_NUM_THREADS": str(threads)}
    return {**QUIET_MEMORY, **os.environ, **own, "PYTHONUNBUFFERED": "1"}


def start_command(ranks: int) -> list[str]:
    """The command that runs train_gpt.py in the present folder as that many processes."""
    alone = [sys.executable, "train_gpt.py"]
    together = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    return alone if ranks == 1 else [*together, "train_gpt.py"]


def launch(config: RunConfig, recipe: Path, run: Path, ranks: int, say: Callable[[str], None]) -> int:
    """Train in `run` until it is finished (0) or was asked to leave (143); `say` gets each line it prints.

    A run that has a checkpoint goes on with the script it began with. Raises ModelError with the run's own last words
    when it fails.
    """
    for needed in (
        "torch",
        "safetensors",
        *(["triton"] if config.kernels == "triton" and config.device != "cpu" else []),
    ):  # said here in a sentence, not by the child in a traceback
        if find_spec(needed) is None:
            raise ModuleNotFoundError(f"No module named {needed!r}", name=needed)
    run.mkdir(parents=True, exist_ok=True)
    with folder_lock(run / ".command.lock", 0.0):
        script = run / "train_gpt.py"
        if not (script.exists() and (run / "checkpoint" / "state.safetensors").exists()):
            write_bundle(recipe, script, codec=config.codec, kernels=config.kernels)
        write_aside(run / REQUEST, (json.dumps(asdict(config), indent=1) + "\n").encode())
        with (run / "stderr.txt").open("wb") as errors:
            return follow(start_command(ranks), run, errors.fileno(), say)


def follow(command: list[str], run: Path, errors: int, say: Callable[[str], None]) -> int:
    """Run a command in a folder, hand its lines on, pass on signals, and judge how it ended."""
    child = subprocess.Popen(
        command, cwd=run, env=child_environment(1), stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1
    )
    asked = False

    def stop(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        child.terminate()

    in_main = threading.current_thread() is threading.main_thread()
    kinds = [signal.SIGTERM, signal.SIGINT] if in_main else []
    before = [(kind, signal.signal(kind, stop)) for kind in kinds]
    try:
        assert child.stdout is not None
        for line in child.stdout:
            say(line.rstrip("\n"))
        status = child.wait()
    except BaseException:
        child.terminate()
        child.wait()
        raise
    finally:
        for kind, handler in before:
            signal.signal(kind, handler)
    if asked:
        return 143
    if status:
        raise ModelError(last_words(run, status))
    return 0


def last_words(run: Path, status: int) -> str:
    """The sentence a failed run said, or where to look."""
    lines = (run / "stderr.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line.split("error: ", 1)[1] for line in lines if line.startswith("error: ")]
    if said:
        return said[-1]
    if shutil.disk_usage(run).free < LEAST_DISK:  # then it could not say so itself
        return f"{run}: no space is left on the disk. Make room and give the same command: the run goes on."
    last = next((f" ({line.strip():.160})" for line in reversed(lines) if line.strip()), "")
    return f"the run in {run} ended with status {status}{last}; see {run / 'stderr.txt'}. The same command goes on."
