"""Documentation that cannot lie: README and pages name only commands that exist, and the tree is made from the files.

`pytest tests/test_docs.py --write-golden` writes the tree into README.md again.
"""

import ast
import html
import re
import subprocess
from pathlib import Path

import pytest

import pglab

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("tokenizers_lab", "compress", "model", "bpb_audit", "records")
PAGES = sorted(
    p
    for p in [*ROOT.glob("*.md"), *(q for room in ROOMS for q in (ROOT / room).glob("*.md"))]
    if p.name != "DECISIONS.md"
)
BEGIN, END = "<!-- tree: made by pytest tests/test_docs.py --write-golden -->\n", "<!-- end of tree -->"


def first_words(path: Path) -> str:
    """The first sentence of a module's docstring or a page's heading, on one line."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        text = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0].replace("\n", " ")
        words, *rest = re.split(r"(?<=[.:;])\s", text)
        while rest and len(words.rstrip(".:;")) <= 15:  # a code or a name alone says nothing
            words += " " + rest.pop(0)
        return words.rstrip(".:;")
    return next((line.lstrip("# ") for line in text.splitlines() if line.startswith("#")), "")


def tree() -> str:
    """The tracked source files and pages, one line a file; each room's lines fold away under the room's own."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    files = [ROOT / name for name in listed if name and (ROOT / name).is_file()]
    parts = [("at the top", "The one command", [p for p in files if p.parent == ROOT and p.suffix == ".py"], ROOT)]
    for room in ROOMS:
        homes = (ROOT / room, ROOT / room / "runs")  # a record folder's files are evidence, not source
        inside = [p for p in files if p.parent in homes and p.suffix in {".py", ".md"} and p.name != "__init__.py"]
        parts.append((f"{room}/", first_words(ROOT / room / "__init__.py"), inside, ROOT / room))
    made = []
    for name, words, inside, home in parts:
        lines = [f"{p.relative_to(home).as_posix():28}{first_words(p)}".rstrip() for p in inside]
        head = f"<details><summary><b>{name}</b> {html.escape(words, quote=False)}</summary>"
        made.append("\n".join([head, "", "```text", *lines, "```", "", "</details>"]))
    return "\n".join(made) + "\n"


def test_the_readme_has_the_tree_as_it_is(request: pytest.FixtureRequest) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip(reason="no git checkout: the tree is made from tracked files")
    place = ROOT / "README.md"
    text = place.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    old, tail = rest.split(END)
    if request.config.getoption("--write-golden"):
        place.write_text(head + BEGIN + tree() + END + tail, encoding="utf-8")
        return
    assert old == tree(), "files changed: run pytest tests/test_docs.py --write-golden"


def test_every_module_says_what_it_is_for() -> None:
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            assert len(first_words(path)) > 15, f"{path.relative_to(ROOT)} opens without a sentence"


def test_each_room_has_its_page() -> None:
    for room in ROOMS:
        assert list((ROOT / room).glob("*.md")), f"{room} has no page"


def shown_commands() -> list[tuple[str, str]]:
    """(page, command words) of every `pglab ...` in a code block or in back quotes of a page."""
    found = set()
    for page in PAGES:
        for line in re.findall(r"(?:^\$? ?|`|&& |bin/)pglab ((?:[a-z][a-z-]* ?){1,2})", page.read_text("utf-8"), re.M):
            found.add((page.relative_to(ROOT).as_posix(), line.strip()))
    return sorted(found)


def test_every_command_shown_exists(capsys: pytest.CaptureFixture[str]) -> None:
    shown = shown_commands()
    assert len(shown) > 10
    known = {"": set(pglab.COMMANDS) | {"audit", "bench"}}
    for page, words in shown:
        first, *rest = words.split()
        assert first in known[""], f"{page} shows `pglab {words}`"
        if not rest or first in {"audit", "tour", "doctor"}:
            continue
        if first not in known:
            assert pglab.run([first, "--help"]) == 0
            known[first] = set(re.findall(r"^│ ([a-z][a-z-]+) ", capsys.readouterr().out, re.M))
        assert not known[first] or rest[0] in known[first], (
            f"{page} shows `pglab {words}`; there are {sorted(known[first])}"
        )


def test_the_readmes_two_commands_stand_as_promised() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    setup = "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/"
    assert f"```sh\n{setup}pglab tour\n```" in text
    assert f"```sh\n{setup}pytest -q -n auto\n```" in text
