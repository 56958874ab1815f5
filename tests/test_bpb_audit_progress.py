"""The auditor's line of progress: rate and time left for who watches, nothing for a pipe or `--quiet`."""

import io
import sys

import pytest

from bpb_audit import progress
from bpb_audit.progress import Progress, spelled
from records.progress import track


class Screen(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


def watch(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """From now on standard error is a terminal."""
    made = Screen()
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setattr(progress, "EVERY", -1.0)  # every call draws
    monkeypatch.delenv("TTY_COMPATIBLE", raising=False)
    return made


def test_a_line_says_how_much_how_fast_and_how_long() -> None:
    tell = Progress("recounting", "tokens", 62_000_000)
    tell.done = 31_000_000
    assert tell.line(20) == "recounting: 31,000,000 of 62,000,000 tokens, 1,550,000 a second, 20 s left"
    tell.done = 63_000_000  # more than was expected: no total, no time left
    assert tell.line(20) == "recounting: 63,000,000 tokens, 3,150,000 a second"
    assert Progress("auditing", "rules", 28).line(0.1) == "auditing: 0 of 28 rules, 0.0 a second"


@pytest.mark.parametrize(("seconds", "said"), [(12.4, "12 s"), (700, "12 min"), (12_000, "3 h 20 min")])
def test_time_is_said_for_people(seconds: float, said: str) -> None:
    assert spelled(seconds) == said


def test_the_line_is_drawn_in_one_place_and_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = watch(monkeypatch)
    monkeypatch.setenv("COLUMNS", "40")
    assert list(track(["a", "b", "c"], "checking")) == ["a", "b", "c"]
    said = screen.getvalue()
    assert "checking: 2 of 3 records" in said
    assert "\n" not in said
    assert max(map(len, said.split("\r"))) < 40
    assert said.endswith("\r")
    assert not said.rstrip("\r").split("\r")[-1].strip()


@pytest.mark.parametrize("how", ["pipe", "quiet"])
def test_nobody_who_does_not_watch_sees_it(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = watch(monkeypatch)
    if how == "pipe":
        monkeypatch.setattr(Screen, "isatty", lambda self: False)
    else:
        monkeypatch.setenv("TTY_COMPATIBLE", "0")  # as `pglab --quiet` sets it
    assert list(track([1, 2], "checking")) == [1, 2]
    assert not screen.getvalue()
