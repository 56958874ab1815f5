"""The lock file: one holder at a time, with `flock` and with the library, also when the file is removed meanwhile."""

import subprocess
import sys
import threading
from pathlib import Path

import filelock  # noqa: F401  (imported while there is flock, which it needs on this system)
import pytest

from pglab_lock import held


@pytest.fixture(params=["flock", "library"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """As POSIX has it, and as a system without `fcntl` has it."""
    if request.param == "library":
        monkeypatch.setitem(sys.modules, "fcntl", None)
    elif sys.platform == "win32":
        pytest.skip("no flock here")
    return str(request.param)


class Held(Exception):
    """Somebody has it."""


def refuse() -> None:
    raise Held


def test_a_second_holder_is_told_and_may_leave(way: str, tmp_path: Path) -> None:
    with held(tmp_path / "lock", refuse) as inherited:
        assert len(inherited) == (way == "flock")
        with pytest.raises(Held), held(tmp_path / "lock", refuse):
            pass
    with held(tmp_path / "lock", refuse):
        pass


def test_a_second_holder_waits(way: str, tmp_path: Path) -> None:
    waits, entered = threading.Event(), threading.Event()

    def second() -> None:
        with held(tmp_path / "lock", waits.set):
            entered.set()

    with held(tmp_path / "lock", refuse):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(10)
        assert not entered.is_set()
    thread.join(10)
    assert entered.is_set()


@pytest.mark.skipif(sys.platform == "win32", reason="what is open cannot be removed there")
def test_a_lock_that_was_removed_while_somebody_waited_is_taken_anew(tmp_path: Path) -> None:
    waits, entered, leave = threading.Event(), threading.Event(), threading.Event()

    def second() -> None:
        with held(tmp_path / "lock", waits.set):
            entered.set()
            leave.wait(10)

    with held(tmp_path / "lock", refuse):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(10)
        (tmp_path / "lock").unlink()
    assert entered.wait(10)
    with pytest.raises(Held), held(tmp_path / "lock", refuse):  # not another file of the same name
        pass
    leave.set()
    thread.join(10)


@pytest.mark.skipif(sys.platform == "win32", reason="no flock here")
def test_a_child_that_inherits_it_keeps_it(tmp_path: Path) -> None:
    with held(tmp_path / "lock", refuse) as inherited:
        child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, pass_fds=inherited)
    with pytest.raises(Held), held(tmp_path / "lock", refuse):
        pass
    child.communicate(b"\n")
    with held(tmp_path / "lock", refuse):
        pass
