"""How a stranger's function is held when it runs: the strongest level that a probe shows to work here.

    bubblewrap   own namespaces, no network, file system read-only (`bwrap --unshare-all`)
    namespaces   own user, network, IPC and process namespaces (`unshare`): no network, no signals to processes
                 outside. No mount namespace: files are those of the user who audits, and only what stands below
                 keeps them from being written
    limits       resource limits and refused system calls inside the process only: no wall that the kernel keeps, so
                 rules run no stranger's code at this level unless `--allow-limits-only` says so

Limits (CPU seconds, memory, no file writes, no processes, no sockets, wall clock, size of the answer) are put on at
every level. Where not even limits can be had, nothing is run.
"""

import json
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import lru_cache
from typing import Any

from .errors import AuditError

WALL_SECONDS = 30.0
MOST_ANSWER = 64 << 20
BWRAP: tuple[str, ...] = (
    "bwrap",
    "--unshare-all",
    "--die-with-parent",
    "--new-session",
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
)
BWRAP += ("--proc", "/proc", "--chdir", "/")
UNSHARE: tuple[str, ...] = ("unshare", "--user", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--map-root-user")
LEVELS: dict[str, tuple[str, ...]] = {"bubblewrap": BWRAP, "namespaces": UNSHARE, "limits": ()}
SAYS = {
    "bubblewrap": "bubblewrap (own namespaces, no network, read-only files), resource limits",
    "namespaces": "own user, network, IPC and process namespaces (no network; files not apart), resource limits",
    "limits": "resource limits and refused system calls only (neither bwrap nor unshare works here)",
    "none": "none: resource limits cannot be set here, so no code was run",
}


def works(prefix: tuple[str, ...]) -> bool:
    """True when a command behind this prefix really runs."""
    if prefix and not shutil.which(prefix[0]):
        return False
    try:
        done = subprocess.run(
            [*prefix, sys.executable, "-I", "-S", "-c", "import resource; print(7)"], capture_output=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0 and done.stdout.strip() == b"7"


@lru_cache(maxsize=1)
def level() -> str:
    """The strongest level that works here: bubblewrap, namespaces, limits or none. Probed once."""
    return next((name for name, prefix in LEVELS.items() if works(prefix)), "none")


def runner() -> str:
    """The text of the program inside the sandbox (also from a zipapp)."""
    data = pkgutil.get_data(__package__, "sandbox_runner.py")
    if data is None:
        raise AuditError("sandbox_runner.py is missing from this copy of the auditor; build or install it again.")
    return data.decode("utf-8")


def run_isolated(task: dict[str, Any], wall_seconds: float = WALL_SECONDS) -> dict[str, Any]:
    """Run one task in a fresh process; its answer. Raises AuditError when it gave none, or nothing may run here."""
    held = level()
    if held == "none":
        raise AuditError(f"a submission's code is not run: isolation is {SAYS['none']}.")
    environment = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PATH": os.environ.get("PATH", "")}
    command = [*LEVELS[held], sys.executable, "-I", "-c", runner()]
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as silent:
        asked.write(json.dumps(task).encode())
        asked.seek(0)
        process = subprocess.Popen(
            command,
            stdin=asked,
            stdout=subprocess.PIPE,
            stderr=silent,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
        answer = _read(process, wall_seconds)
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise AuditError("the submission's function ended without an answer (stopped by a limit).") from error
    if not isinstance(value, dict):
        raise AuditError("the submission's function gave something that is no answer.")
    return value


def _read(process: "subprocess.Popen[bytes]", wall_seconds: float) -> bytes:
    """The answer, at most MOST_ANSWER bytes and wall_seconds; the whole process group ends with it."""
    import selectors

    assert process.stdout is not None
    parts: list[bytes] = []
    size, until = 0, time.monotonic() + wall_seconds
    try:
        with selectors.DefaultSelector() as waiting:
            waiting.register(process.stdout, selectors.EVENT_READ)
            while size <= MOST_ANSWER:
                left = until - time.monotonic()
                if left <= 0 or not waiting.select(left):
                    break
                part = os.read(process.stdout.fileno(), 1 << 16)
                if not part:
                    break
                parts.append(part)
                size += len(part)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            process.kill()
        process.stdout.close()
        process.wait()
    return b"".join(parts) if size <= MOST_ANSWER else b""
