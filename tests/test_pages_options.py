"""Every option that a page shows with a command exists: pages are held to COMMANDS.md, made from the parsers."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(p for p in [ROOT / "README.md", *ROOT.glob("*/*.md")] if p.name != "COMMANDS.md")


def sections() -> dict[str, str]:
    """Words of a command -> its section in COMMANDS.md."""
    parts = re.split(r"^#+ pglab ", (ROOT / "COMMANDS.md").read_text("utf-8"), flags=re.M)[1:]
    return {part.split("\n", 1)[0].strip(): part for part in parts}


def shown(text: str) -> list[list[str]]:
    """The words of every `pglab ...` that stands on a line of its own or in back quotes."""
    joined = re.sub(r"\\\n\s*", " ", text)
    found = re.findall(r"(?:^\$ |^ {4}|`|&& |bin/)pglab ((?:[^`\n|>#&;]|\n(?=\s+--))+)", joined, re.M)
    lines = []
    for line in found:
        try:
            lines.append(shlex.split(line))
        except ValueError:  # a sentence's own quotes
            lines.append(line.split())
    return lines


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_option_shown_exists(page: Path) -> None:
    known = sections()
    for words in shown(page.read_text("utf-8")):
        place = next((name for name in (" ".join(words[:2]), words[0]) if name in known), None)
        if place is None:
            continue  # test_docs.py holds the commands themselves
        for word in words:
            if option := re.match(r"--[a-z][a-z-]*", word):
                there = f"`{option[0]}" in known[place] or re.search(rf"`[^`]*{option[0]}\b", known[place])
                assert there or option[0] == "--help", f"{page.name} shows `pglab {' '.join(words)}`"


def test_a_wrong_option_would_be_seen() -> None:
    known = sections()
    assert "`--docs" in known["vocab compare"]
    assert "--dox" not in known["vocab compare"]
    assert shown("$ pglab vocab compare a \\\n  --docs x\n")[0] == ["vocab", "compare", "a", "--docs", "x"]
