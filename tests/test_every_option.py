"""A walk over the parsers: every option of every command, from the parser itself, given what it cannot mean.

`test_every_command.py` has a line of good words for each command. Here each option that such a line leaves out is added
to it with one wrong value: another each time, so that all kinds are met; PGLAB_EXAMPLES=50 meets every option with all.
"""

import argparse
import json
import os
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

import bpb_audit.cli
import bpb_audit.prove_cli
import pglab
from tests import test_every_command as table
from tests.test_every_command import LINES, bad_inputs, fill

good = table.good  # the fixture

SLOW = ("tour", "model train", "prove write", "vocab search", "codec fit")  # a good line of these is work
PATHS = ("absent", "folder", "empty", "noise.npz", "page.html", "a\0b", "no \udcff utf-8", "absent/deeper/x")
NUMBERS = ("many", "-1", "nan", "1e999", "", "0x10", "١", "9" * 40)
WORDS = ("", "\0", "\udcff", "no such word", "=", "-", "x" * 5000)


def commands() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """(words, options) of every command; an option's kind is path, number or word."""
    app = pglab.build_app()
    for name in app:
        if name.startswith("-") or name in ("audit", "prove"):
            continue
        verbs = [verb for verb in app[name] if not verb.startswith("-")]
        for words, inner in [(f"{name} {verb}", app[name][verb]) for verb in verbs] or [(name, app[name])]:
            arguments = inner.assemble_argument_collection()
            yield words, [(one.name, kind_of(one.hint)) for one in arguments if one.name.startswith("--")]
    yield "audit", list(own(bpb_audit.cli.parser()))
    for action in bpb_audit.prove_cli.parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, inner in action.choices.items():
                yield f"prove {verb}", list(own(inner))


def kind_of(hint: object) -> str:
    """The kind of a type: of a union or a container, the first that is one."""
    if hint in (Path, int, float, bool, str):
        return {Path: "path", int: "number", float: "number", bool: ""}.get(hint, "word")  # type: ignore[call-overload]
    inner = [kind_of(one) for one in typing.get_args(hint) if one not in (types.NoneType, ...)]
    return inner[0] if inner else "word"


def own(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """The options of a parser of the standard library."""
    for action in parser._actions:
        if action.option_strings and action.nargs != 0:
            kind = {int: "number", bpb_audit.cli.place: "path", bpb_audit.prove_cli.count: "number"}
            yield action.option_strings[-1], kind.get(action.type, "word")  # type: ignore[arg-type]


COMMANDS = dict(commands())
CASES = [
    (line, option, kind)
    for line in LINES
    for option, kind in COMMANDS.get(" ".join(line.split()[:2]), COMMANDS.get(line.split()[0], []))
    if kind and f" {option} " not in f"{line} " and not line.startswith(SLOW)
]


def test_the_walk_meets_every_command() -> None:
    assert len(COMMANDS) > 50
    benches = {words for words in COMMANDS if words.startswith("bench ")}
    assert {f"bench {name}" for name in pglab.BENCHES} == benches
    assert sum(len(options) for options in COMMANDS.values()) > 200
    assert {kind for _, _, kind in CASES} == {"path", "number", "word"}


@pytest.mark.parametrize("words", sorted(words for words in COMMANDS if words.startswith("bench ")))
def test_a_bench_has_help_and_knows_its_options(words: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert pglab.run([*words.split(), "--help"]) == 0
    assert pglab.run([*words.split(), "--no-such-option"]) == 2
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err


@pytest.mark.parametrize("number", range(4))
def test_a_wrong_value_is_a_sentence(
    number: int,
    good: dict[str, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A quarter of all options. What an option cannot mean is an error, a finding, or ignored beside the others."""
    given = {name: str(place) for name, place in good.items()}
    bad = {name: str(place) for name, place in bad_inputs(tmp_path).items()}
    monkeypatch.chdir(tmp_path)  # a word may be taken for a name of a file here
    whole = int(os.environ.get("PGLAB_EXAMPLES", "1")) > 1
    faults = []
    for at, (line, option, kind) in list(enumerate(CASES))[number::4]:
        values = {"path": PATHS, "number": NUMBERS, "word": WORDS}[kind]
        for value in values if whole else [values[(at // 4) % len(values)]]:
            words = [*fill(line, given, f"{tmp_path}/{at}-"), option, bad.get(value, value)]
            if kind == "path" and value not in bad and value[:1] in ("n", "a"):
                words[-1] = f"{tmp_path}/{value}"  # what is written lands there
            try:
                status = pglab.run(words)
            except BaseException as error:
                faults.append(f"{words}: {error!r}")
                continue
            out, err = capfd.readouterr()
            told = "Traceback" not in out + err and "a fault of the lab itself" not in err
            if not told or status not in (0, 1, 2) or (status == 2 and "rror" not in err):
                faults.append(f"{words}\n-> {status}\n{err[-600:]}")
    assert not faults, "\n\n".join(faults)


# small outputs and large ones, by the command's own printing and by a library's
LEAVING = ["record rules", "codec list --json", "runs list --store @run", "audit --explain all", "vocab --help"]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes as POSIX has them")
def test_a_reader_who_leaves_is_no_fault(good: dict[str, Path]) -> None:
    begun = []
    for line in LEAVING:
        words = fill(line, {name: str(place) for name, place in good.items()}, "")
        reader, writer = os.pipe()
        os.close(reader)  # gone before the first word
        begun.append((line, subprocess.Popen([sys.executable, "-m", "pglab", *words], stdout=writer, stderr=-1)))
        os.close(writer)
    for line, child in begun:
        err = child.communicate()[1].decode()
        assert child.returncode == 0, f"{line}: {err}"
        assert not err, f"{line}: {err}"


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors as POSIX has them")
def test_a_closed_output_and_a_narrow_window_are_no_fault(good: dict[str, Path]) -> None:
    env = {**os.environ, "COLUMNS": "40", "NO_COLOR": "1"}
    code = "import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, '-m', 'pglab', 'record', 'rules'])"
    closed = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    narrow = subprocess.run(
        [sys.executable, "-m", "pglab", "vocab", "compare", str(good["vocab"]), "--docs", str(good["docs"])],
        capture_output=True,
        env=env,
    )
    assert narrow.returncode == 0
    assert b"\x1b[" not in narrow.stdout + narrow.stderr  # no colour, and no progress off a terminal
    assert closed.communicate()[1] == b""
    assert closed.returncode == 0


def no_json(word: str) -> None:
    """NaN and Infinity, which Python reads and JSON does not know."""
    pytest.fail(f"{word} is no JSON")


def test_nothing_but_json_stands_on_stdout_with_json(
    good: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every line whose command offers --json, on good input: one document, strict, and nothing beside it."""
    given = {name: str(place) for name, place in good.items()}
    tried = 0
    for at, line in enumerate(LINES):
        options = dict(COMMANDS.get(" ".join(line.split()[:2]), COMMANDS.get(line.split()[0], [])))
        if "--json" not in options or line.startswith((*SLOW, "data download", "model")):
            continue
        status = pglab.run([*fill(line, given, f"{tmp_path}/{at}-"), "--json"])
        out, err = capfd.readouterr()
        if status == 2:
            assert not out, f"{line}: {out[:300]}"
            assert "rror" in err, line
            continue
        json.loads(out, parse_constant=no_json)
        tried += 1
    assert tried > 10
