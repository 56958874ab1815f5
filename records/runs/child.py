"""Commands of the lab as processes of their own: what they say, how they are stopped, what they may still save."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

STOPPED = (130, 143, -2, -15)  # exit statuses of a command that an interrupt or a request to end has stopped
LEAVE = 30  # seconds an interrupted command has to save its work


def lab_command(words: tuple[str, ...] | list[str]) -> list[str]:
    """The command line of `pglab WORDS`, by this interpreter."""
    return [sys.executable, "-P", "-m", "pglab", *words]


LIVING: set[subprocess.Popen[bytes]] = set()  # children at work, of all threads


def run_and_let_leave(argv: list[str], folder: Path, out: Any, err: Any = None, keep: tuple[int, ...] = ()) -> int:
    """Run a child in `folder`; returns its exit status. An interrupt reaches it too, and it gets time to save its work.

    out, err: where its stdout and stderr go. keep: file descriptors it inherits (a lock, so that it stays locked while
    the child lives, whatever becomes of us).
    """
    child = subprocess.Popen(argv, cwd=folder, stdout=out, stderr=err, pass_fds=keep)
    LIVING.add(child)
    try:
        return child.wait()
    except BaseException:
        end(child)
        raise
    finally:
        LIVING.discard(child)


def end(child: "subprocess.Popen[bytes]") -> None:
    """Wait for a child that was asked to leave; kill it when it does not."""
    try:
        child.wait(LEAVE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def end_all(ask: bool) -> None:
    """End the children of all threads. ask: they have not heard of it, as they do of an interrupt at the terminal."""
    children = list(LIVING)
    for child in children:
        if ask:
            child.terminate()
    for child in children:
        end(child)


def write_json(place: Path, value: object) -> None:
    """Write aside, make durable, rename: a reader finds the old file or the new one, never half of one."""
    aside = place.with_name(f".{place.name}.{os.getpid()}.{threading.get_native_id()}.new")
    try:
        with aside.open("w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        aside.replace(place)
    finally:
        aside.unlink(missing_ok=True)
