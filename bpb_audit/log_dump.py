"""Finds the script that a log holds, while the log is read: from where to where it stands, and its text.

Many logs open with the whole script that ran, closed by a line of 60 or more `=`. A number in dumped source is a
literal, not a result, so what was read there is forgotten, and the source itself is kept for the rules that compare
it. A dump that nothing closes ends at its last line that is plainly Python.
"""

import re
from collections import deque
from dataclasses import dataclass

SOURCE_CHARS = 4 << 20
SOURCES = 8
CLOSING = re.compile(r"^={60,}\s*$")
START_SIGNS = frozenset("if#@dace")
PYTHON_START = re.compile(
    r"^(?:import [\w.]+|from [\w.]+ import\b|#!/\S*python|#!/usr/bin/env|@\w|(?:async )?def \w+\(|class \w+[(:]|exec\()"
)
PYTHON_LINE = re.compile(
    r"^(?:[ \t]+\S|[\])}]|(?:import|from|def|class|if|elif|else|for|while|with|try|except|return|exec|async)\b|"
    r"[A-Za-z_][\w.\[\]]* ?[-+*/|]?= ?|#|@\w|\"\"\"|'''|$)"
)
PYTHON_SURE = re.compile(
    r"^(?:[ \t]+(?:return\b|self\.|if .*:$|for .* in |while .*:$|else:|try:|def \w+\(|raise |with )|import \w|"
    r"from [\w.]+ import|def \w+\(|class \w+[(:]|exec\(|if __name__)"
)


@dataclass(frozen=True, slots=True)
class Dump:
    """Source that a log holds: lines `first` to `last` (from 1, inclusive), `text` without the closing line."""

    first: int
    last: int
    text: str
    whole: bool = True


class DumpFinder:
    """The state of one pass. `gone` holds the (first, last) lines found to be source."""

    def __init__(self) -> None:
        self.dumps: list[Dump] = []
        self.gone: deque[tuple[int, int]] = deque(maxlen=4096)
        self.opened: int | None = None
        self.text: list[str] = []
        self.chars = self.likely = self.sure = self.seen = self.last_sure = 0
        self.lead: deque[str] = deque(maxlen=200)  # a docstring or comment that may open a script

    def feed(self, line: int, text: str) -> bool:
        """Take one line; True when it closed a dump."""
        if text[:1] == "=" and CLOSING.match(text):
            found = self.close(line - 1)
            self.lead.clear()
            return found
        if self.opened is None and text[:1] in START_SIGNS and PYTHON_START.match(text):
            self.opened = line - len(self.lead)
            self.text, self.chars = list(self.lead), 0
            self.likely = self.seen = len(self.lead)
            self.sure, self.last_sure = 0, line
        if self.opened is not None:
            if self.chars < SOURCE_CHARS:
                self.text.append(text)
                self.chars += len(text)
            self.seen += 1
            self.likely += bool(PYTHON_LINE.match(text))
            if PYTHON_SURE.match(text):
                self.sure, self.last_sure = self.sure + 1, line
        elif self.lead or text.startswith(("#", '"', "'")):
            self.lead.append(text)
        return False

    def close(self, last: int) -> bool:
        """A line of `=` came: what stood since the opening was source, when it looks like source."""
        found = self.opened is not None and self.sure > 0 and self.likely >= 0.5 * self.seen
        if found and self.opened is not None:
            self.keep(self.opened, last)
        self.opened, self.text = None, []
        return found

    def keep(self, first: int, last: int) -> None:
        """Lines `first` to `last` were source."""
        self.gone.append((first, last))
        if len(self.dumps) < SOURCES:
            body = self.text[: last - first + 1]
            self.dumps.append(Dump(first, last, "\n".join(body), self.chars < SOURCE_CHARS))

    def finish(self) -> None:
        """At the end of the file an open dump ends at its last line that is plainly Python."""
        if self.opened is not None and self.sure > 20:
            self.keep(self.opened, self.last_sure)
