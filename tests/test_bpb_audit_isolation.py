"""A stranger's function at each level of isolation: what it must not do, tried for real, and how that is told."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import bpb_audit.isolation as isolation
from bpb_audit.errors import AuditError
from bpb_audit.isolation import LEVELS, SAYS, level, run_isolated, works

HONEST = "return [1, 2, 3]"


@pytest.fixture(params=LEVELS)
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Each level in turn, as if it were the strongest; skipped where it does not work."""
    name: str = request.param
    if not works(LEVELS[name]):
        pytest.skip(reason=f"{' '.join(LEVELS[name][:2])} does not work here")
    monkeypatch.setattr(isolation, "LEVELS", {name: LEVELS[name]})
    level.cache_clear()
    yield name
    level.cache_clear()


def task(body: str) -> dict[str, object]:
    code = "def table(sp, vocab_size):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    return {"code": code, "function": "table", "roles": ["sp", "size"], "pieces": [["a", 1]], "size": 1}


def test_an_honest_function_answers(held: str) -> None:
    assert run_isolated(task(HONEST)) == {"arrays": [{"kind": "i", "values": [1, 2, 3]}]}


def test_no_file_is_written(held: str, tmp_path: Path) -> None:
    kept, new = tmp_path / "kept", tmp_path / "new"
    kept.write_bytes(b"mine")
    for body in (
        f"open({str(new)!r}, 'w').write('x')",
        f"open({str(kept)!r}, 'r+').write('x')",
        f"import pathlib; pathlib.Path({str(new)!r}).write_text('x')",
        f"import os; os.open({str(new)!r}, os.O_CREAT | os.O_WRONLY)",
        f"import os; os.unlink({str(kept)!r})",
        f"import os; os.rename({str(kept)!r}, {str(new)!r})",
        f"import numpy as np; np.save({str(new)!r}, np.zeros(3))",
    ):
        answer = run_isolated(task(f"{body}\n{HONEST}"))
        assert "refuses" in answer.get("error", ""), (body, answer)
    assert kept.read_bytes() == b"mine"
    assert not new.exists()


def test_no_socket_is_opened(held: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        answer = run_isolated(task(f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)\n{HONEST}"))
        assert "refuses import _socket" in answer["error"]
        with pytest.raises(TimeoutError):
            server.accept()


def test_no_process_is_started(held: str, tmp_path: Path) -> None:
    for body in (
        "import os; os.fork()",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
        "import os; os.execv('/bin/true', ['true'])",
        "import os; os.kill(os.getppid(), 9)",
        "import _posixsubprocess",  # starts processes without telling anybody
        "import ctypes; ctypes.CDLL(None).fork()",
    ):
        answer = run_isolated(task(f"{body}\n{HONEST}"))
        assert "refuses" in answer["error"], (body, answer)


def test_memory_has_an_end(held: str) -> None:
    answer = run_isolated(task(f"x = bytearray(8 << 30)\n{HONEST}"))
    assert answer["error"].startswith("MemoryError")


def test_a_loop_has_an_end_and_leaves_nothing_behind(held: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = f"bpb_audit_loop_{os.getpid()}_{held}"
    program = isolation.runner()
    monkeypatch.setattr(isolation, "runner", lambda: f"# {mark}\n{program}")
    begun = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(run_isolated, task("while True: pass"), wall_seconds=1.5)
        assert until(lambda: running(mark)), "the loop never ran"
        with pytest.raises(AuditError, match="without an answer"):
            asked.result()
    assert time.monotonic() - begun < 6
    assert until(lambda: not running(mark)), "it runs on"


def running(mark: str) -> bool:
    """Whether a process has `mark` in its command line."""
    return mark in subprocess.run(["ps", "-e", "-o", "args="], capture_output=True, text=True, timeout=10).stdout


def until(holds: Callable[[], bool], seconds: float = 3.0) -> bool:
    """Whether `holds` comes true within `seconds`."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_an_endless_answer_has_an_end(held: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "MOST_ANSWER", 1000)
    with pytest.raises(AuditError, match="without an answer"):
        run_isolated(task("return [7] * 100_000"))


def kernel(name: str, code: str) -> subprocess.CompletedProcess[str]:
    """Plain Python behind a level's prefix, without the runner's own refusals: what the kernel alone holds back."""
    return subprocess.run(
        [*LEVELS[name], sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=20
    )


@pytest.mark.parametrize("name", ["bubblewrap", "namespaces"])
def test_the_kernel_alone_keeps_the_network_away(name: str) -> None:
    if not works(LEVELS[name]):
        pytest.skip(reason=f"{LEVELS[name][0]} does not work here")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = kernel(name, f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)")
    assert done.returncode != 0
    assert "Error" in done.stderr


def test_bubblewrap_alone_keeps_files_and_processes_away(tmp_path: Path) -> None:
    if not works(LEVELS["bubblewrap"]):
        pytest.skip(reason="bwrap does not work here")
    done = kernel("bubblewrap", f"open({str(tmp_path / 'new')!r}, 'w')")
    assert "Read-only file system" in done.stderr
    assert list(tmp_path.iterdir()) == []
    done = kernel("bubblewrap", f"import os; os.kill({os.getpid()}, 0)")
    assert "ProcessLookupError" in done.stderr


def test_the_report_names_the_level_and_the_refusal(held: str, tmp_path: Path) -> None:
    from bpb_audit.audit import audit
    from bpb_audit.evidence import Evidence
    from bpb_audit.finding import Verdict
    from tests.audit_submissions import Run, write

    record = write(tmp_path / "record", [Run()])
    if held == "limits":
        refused = audit(Evidence(record), ("PG301",))
        assert not refused.isolation
        assert ["--allow-limits-only" in one.fix for one in refused.findings] == [True]
        assert refused.count(Verdict.UNCHECKED) == 1
    honest = audit(Evidence(record, allow_limits_only=True), ("PG301",))
    assert honest.isolation == SAYS[held]
    script = record / "train_gpt.py"
    text = script.read_text(encoding="utf-8")
    target = tmp_path / "written"
    head = text.index("def build_tables(")
    body = text.index("\n", text.index(":\n", head)) + 1
    script.write_text(text[:body] + f"    open({str(target)!r}, 'w').write('x')\n" + text[body:], encoding="utf-8")
    hostile = audit(Evidence(record, allow_limits_only=True), ("PG301",))
    assert not target.exists()
    [told] = [one for one in hostile.findings if "refuses open" in json.dumps(one.says)]
    assert told.verdict is Verdict.UNCHECKED
