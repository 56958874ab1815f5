"""How far work is, as one line on a terminal: how much of how much, the rate, the time left. Silent anywhere else.

The line is drawn on standard error, at most twice a second and not in the first half second, and wiped at the end.
`TTY_COMPATIBLE=0`, which `pglab --quiet` sets, takes a terminal for a pipe.
"""

import os
import shutil
import sys
import time
from threading import Lock

EVERY = 0.5  # seconds between two drawings


def watched() -> bool:
    """Whether somebody sees standard error."""
    return sys.stderr.isatty() and os.environ.get("TTY_COMPATIBLE") != "0"


def spelled(seconds: float) -> str:
    """48 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


class Progress:
    """Counts what is done; safe to call from several threads. says: what goes on. unit: of what is counted."""

    def __init__(self, says: str, unit: str, total: int = 0) -> None:
        self.says, self.unit, self.total = says, unit, total
        self.done, self.begun = 0, time.monotonic()
        self.drawn, self.width = self.begun, 0
        self.lock, self.on = Lock(), watched()

    def expect(self, total: int) -> None:
        """So much there is to do, and it begins now."""
        with self.lock:
            self.total, self.done, self.begun = total, 0, time.monotonic()

    def __call__(self, count: int) -> None:
        """So much more is done."""
        with self.lock:
            self.done += count
            now = time.monotonic()
            if self.on and now > self.drawn + EVERY:
                self.drawn = now
                self._draw(self.line(now - self.begun))

    def line(self, seconds: float) -> str:
        """What is said after so many seconds of work."""
        rate = self.done / max(seconds, 1e-9)
        of = f" of {self.total:,}" if self.done <= self.total else ""
        left = f", {spelled((self.total - self.done) / rate)} left" if of and rate else ""
        pace = f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
        return f"{self.says}: {self.done:,}{of} {self.unit}, {pace} a second{left}"

    def wipe(self) -> None:
        """The line away."""
        with self.lock:
            if self.width:
                self._draw("")

    def _draw(self, line: str) -> None:
        line = line[: max(shutil.get_terminal_size().columns - 1, 10)]  # a line that wraps could not be wiped
        print("\r" + line.ljust(self.width), end="\r", file=sys.stderr, flush=True)
        self.width = len(line)
