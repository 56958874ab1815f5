"""COMMANDS.md is what the parsers say: every command and option, generated, never typed.

`pytest tests/test_commands_page.py --write-golden` writes the page again.
"""

import argparse
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import bpb_audit.cli
import bpb_audit.prove_cli
import pglab

PAGE = Path(__file__).resolve().parent.parent / "COMMANDS.md"
HEAD = """\
# The commands

Every command with its options, made from the parsers by `pytest tests/test_commands_page.py --write-golden`.

Exit status everywhere: 0 good, 1 findings (something failed, or could not be checked), 2 could not run. Results go to
stdout, talk and progress to stderr; progress is drawn only on a terminal, and `pglab --quiet ...` silences it there.
`NO_COLOR` is obeyed. Commands that compare write their result to files as well: `--out FILE` with .txt, .json, .csv,
.md, .html or .svg, as often as you like. Nothing is fetched from the network but by `pglab data download`. Your shell
completes all of this after `pglab completion --install`.
"""
OWN_PARSERS = {"audit": bpb_audit.cli.parser, "prove": bpb_audit.prove_cli.parser}  # they also run alone


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The options of a parser of the standard library, one line each, in the order of its help."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction | argparse._HelpAction):
            continue
        names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{action.metavar or action.dest}`"
        takes = "" if not action.option_strings or action.nargs == 0 else f" `{action.metavar or action.dest.upper()}`"
        if action.choices and not action.metavar:
            takes = f" `{'|'.join(map(str, action.choices))}`"
        yield f"* {names}{takes}: {action.help}" + (" **[required]**" if action.required else "")


def own(word: str, level: int) -> str:
    """The section of a command that has a parser of its own."""
    parser = OWN_PARSERS[word]()
    lines = list(options(parser))
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            said = {choice.dest: choice.help for choice in action._choices_actions}
            for verb, inner in action.choices.items():
                lines += ["", f"{'#' * (level + 1)} pglab {word} {verb}", "", f"{said[verb]}.", "", *options(inner)]
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    text = pglab.build_app().generate_docs(output_format="markdown", recursive=True)
    head, *sections = re.split(r"^(?=## pglab )", text, flags=re.M)
    contents = head[head.index("## Table of Contents") : head.index("**Commands**")].replace("Table of ", "")
    made = [HEAD, contents]
    for section in sections:
        word = section.split()[2]
        if word in OWN_PARSERS:
            says = next(line for line in section.splitlines()[1:] if line and not line.startswith(("```", "pglab")))
            section = f"## pglab {word}\n\n{says}\n\n{own(word, 2)}\n"
        made.append(section)
    lines = [re.sub(r" \*\[default: (False|None)\]\*$", "", line.rstrip()) for line in "\n".join(made).splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def test_the_page_is_what_the_parsers_say(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["pglab"])  # from which cyclopts takes the program's name
    if version("cyclopts") != "5.4.0":
        pytest.skip(reason="the page is made by cyclopts 5.4.0, as pyproject.toml has it for development")
    made = page()
    if request.config.getoption("--write-golden"):
        PAGE.write_text(made, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == made, "commands changed: run this test with --write-golden"


def test_every_command_and_option_has_words() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("* `"):
            words = re.sub(r"\*?\[[^\]]*\]\*?|`[^`]*`|\*\*|\*Choices:.*", "", line).strip("* ,:")
            assert len(words) > 5, f"no words for {line}"
    for name in [*pglab.COMMANDS, "audit", "bench"]:
        assert f"\n## pglab {name}\n" in text
