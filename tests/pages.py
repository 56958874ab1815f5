"""Pages of documentation as programs: their blocks are run in order in a folder, and must print what the page shows.

A `console` block holds commands, each behind `$ `, and after each what it prints on stdout. Before a block may stand

    <!-- numbers vary -->   the numbers may be others (a clock, a random start), all else must be the same
    <!-- some lines -->     the lines shown must be among those printed, in their order
    <!-- exit 1 -->         the status of the block's last command
    <!-- not run -->        it wants what a test has not (eight GPUs, the network); its commands must exist
    <!-- in: FOLDER -->     the block is run in this folder
    <!-- file: NAME -->     the block is no console: its text is written to the file NAME
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"((?:^<!-- [^\n]* -->\n)*)^```([a-z]*)\n(.*?)^```$", re.M | re.S)
NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
KEY = re.compile(r"(?<![\w.])[0-9a-f]{8,64}\b")  # a hash, and not the digits behind a point


@dataclass(frozen=True)
class Step:
    """A command of a page, what the page shows after it, and the marks of its block."""

    command: str
    shown: str
    marks: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """A block of a page: its place in the text, its marks, its kind and its text."""

    begin: int
    end: int
    marks: tuple[str, ...]
    kind: str
    text: str

    def steps(self) -> list[Step]:
        """The commands of a console block."""
        found = []
        for part in re.split(r"^\$ ", self.text, flags=re.M)[1:]:
            lines = part.split("\n")
            command = [lines.pop(0)]
            while command[-1].endswith("\\"):
                command.append(lines.pop(0))
            found.append(Step("\n".join(command), "\n".join(lines).strip("\n"), self.marks))
        return found


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    found = []
    for match in BLOCK.finditer(text):
        marks = tuple(re.findall(r"<!-- (.*?) -->", match[1]))
        found.append(Block(match.start(3), match.end(3), marks, match[2], match[3]))
    return found


def plain(text: str, marks: tuple[str, ...]) -> list[str]:
    """Lines for comparing: trailing space gone; with numbers that vary, a number is # and a gap is one space."""
    lines = [line.rstrip() for line in text.strip("\n").split("\n")]
    if "numbers vary" in marks:
        lines = [KEY.sub("#", line) for line in lines]
        lines = [re.sub(r"─+", "─", re.sub(r" +", " ", NUMBER.sub("#", line))).strip() for line in lines]
    return lines


def agree(shown: str, printed: str, marks: tuple[str, ...]) -> bool:
    """Whether a command printed what the page shows."""
    wanted, found = plain(shown, marks), plain(printed, marks)
    if "some lines" in marks:
        rest = iter(found)
        return all(line in rest for line in wanted)
    return wanted == found


def fresh(step: Step, printed: str) -> str:
    """What the page is to show after a command: all that was printed, or of some lines those that it shows now."""
    lines = plain(printed, ())
    if "some lines" not in step.marks or not step.shown:
        return "\n".join(lines).strip("\n")
    kept, at = [], 0
    for wanted in plain(step.shown, step.marks):
        here = next((n for n in range(at, len(lines)) if plain(lines[n], step.marks) == [wanted]), None)
        if here is not None:
            kept, at = [*kept, lines[here]], here + 1
    return "\n".join(kept or lines)


def run_page(page: Path, folder: Path, write: bool = False, instead: Mapping[str, str] | None = None) -> None:
    """Run every block of `page` in `folder`. write: put what was printed into the page instead of comparing.

    instead: commands that are run in the place of others, quicker ones. Raises AssertionError with the command, what
    was shown and what was printed.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    env = {**os.environ, "PATH": path, "COLUMNS": "120", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    text = page.read_text(encoding="utf-8")
    new = text
    for block in blocks(text):
        name = next((mark.removeprefix("file: ") for mark in block.marks if mark.startswith("file: ")), "")
        if name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(block.text, encoding="utf-8")
        if block.kind != "console" or "not run" in block.marks or name:
            continue
        steps = block.steps()
        place = next((mark.removeprefix("in: ") for mark in block.marks if mark.startswith("in: ")), "")
        last = next((int(mark.removeprefix("exit ")) for mark in block.marks if mark.startswith("exit ")), 0)
        made = ""
        for number, step in enumerate(steps, 1):
            run = (instead or {}).get(step.command, step.command)
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", run], cwd=folder / place, env=env,
                                  capture_output=True, text=True, stdin=subprocess.DEVNULL)  # fmt: skip
            told = f"{page.name}: $ {step.command}\n-> {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            assert done.returncode == (last if number == len(steps) else 0), told
            same = agree(step.shown, done.stdout, block.marks)
            assert same or write, f"{told}\nthe page shows:\n{step.shown}"
            printed = fresh(step, done.stdout)
            made += f"$ {step.command}\n" + (f"{printed}\n" if printed else "")
        new = new.replace(block.text, made, 1)
    if write and new != text:
        page.write_text(new, encoding="utf-8")
