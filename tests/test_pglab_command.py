"""The one command: quick help, exit statuses, every error one sentence, and what the doctor sees."""

import errno
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pglab
import pglab_doctor

ROOT = Path(__file__).resolve().parent.parent


class RoomError(ValueError):
    """Stands for a room's one error class."""

    sentence = True


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make the next command line end in `error`."""

    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(pglab, "build_app", lambda: broken)


def test_help_names_every_command() -> None:
    done = subprocess.run([sys.executable, "-P", "-m", "pglab", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    for name in [*pglab.COMMANDS, "audit", "bench"]:
        assert f" {name} " in done.stdout


@pytest.mark.parametrize(
    "words", [["frobnicate"], ["doctor", "--jsn"], ["doctor", "stray"], ["tour", "--seconds", "x"]]
)
def test_a_wrong_command_line_is_exit_2_without_a_traceback(
    words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert pglab.run(words) == pglab.COULD_NOT_RUN
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    assert "Error" in err


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RoomError("a.bin: 3 bytes, wanted 4. Try: pglab shards write"), "error: a.bin: 3 bytes, wanted 4."),
        (FileNotFoundError(errno.ENOENT, "x", "docs.jsonl"), "error: docs.jsonl: no such file or directory."),
        (OSError(errno.ENOSPC, "x", "out.bin"), "Free some room and run the same command again"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "Try: pip install -e '.[model]'"),
        (ModuleNotFoundError("No module named 'zstandard'", name="zstandard"), "zstandard, which is not installed"),
        (ModuleNotFoundError("No module named 'compress.x'", name="compress.x"), "a fault of the lab itself"),
        (MemoryError(), "not enough memory"),
        (ZeroDivisionError("division by zero"), "a fault of the lab itself (ZeroDivisionError: division by zero)"),
    ],
)
def test_every_error_is_one_sentence(
    error: BaseException, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PGLAB_DEBUG", raising=False)
    raising(monkeypatch, error)
    assert pglab.run([]) == pglab.COULD_NOT_RUN
    out, err = capsys.readouterr()
    assert says in err
    assert err.count("\n") == 1
    assert out == ""


def test_debug_lets_the_traceback_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGLAB_DEBUG", "1")
    raising(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        pglab.run([])


def test_interrupt_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    raising(monkeypatch, KeyboardInterrupt())
    assert pglab.run([]) == 130
    assert "continues" in capsys.readouterr().err


def test_the_exit_status_is_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    for result, status in [(0, 0), (1, 1), (None, 0), (True, 0), ("text", 0)]:
        monkeypatch.setattr(pglab, "build_app", lambda result=result: lambda *_, **__: result)
        assert pglab.run([]) == status


def test_every_command_has_its_room() -> None:
    for place, line in [*pglab.COMMANDS.values(), *pglab.BENCHES.values()]:
        module, name = place.split(":")
        source = (ROOT / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")
        assert f"def {name}(" in source or f"\n{name} = App(" in source, place
        assert line.endswith(".")


def test_doctor_reports_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    status = pglab_doctor.doctor(json=True)
    seen = json.loads(capsys.readouterr().out)
    assert seen["devices"]
    assert {row["package"] for row in seen["packages"]} == set(pglab_doctor.PACKAGES)
    assert status == int(bool(seen["wrong"]))


def test_doctor_knows_every_library_that_the_lab_may_need() -> None:
    said = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split(r"[>=<; ]", line)[0]: "" for line in said["dependencies"] if "win32" not in line}
    for extra, lines in said["optional-dependencies"].items():
        wanted |= {re.split(r"[>=<; ]", line)[0]: extra for line in lines if extra != "dev"}
    assert wanted == pglab_doctor.PACKAGES


def test_doctor_sees_a_file_that_stands_in_our_place(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("")
    wrong = pglab_doctor.name_collisions(ROOT, [str(tmp_path), str(ROOT)])
    assert [line for line in wrong if line.startswith("model: Python finds") and str(tmp_path) in line]
    assert not [line for line in wrong if line.startswith("compress: Python finds")]


def test_doctor_sees_a_package_that_claims_our_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        pglab_doctor, "packages_distributions", lambda: {"compress": ["parameter-golf-lab", "compress"]}
    )
    wrong = pglab_doctor.name_collisions(ROOT, [str(ROOT)])
    assert wrong == [line for line in wrong if "pip uninstall compress" in line] != []


def test_quiet_takes_a_terminal_for_a_pipe_and_gives_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []
    monkeypatch.setattr(pglab, "run_words", lambda words: seen.append(os.environ.get("TTY_COMPATIBLE")) or len(words))
    monkeypatch.delenv("TTY_COMPATIBLE", raising=False)
    assert pglab.run(["--quiet", "doctor"]) == 1  # the option before the first word is taken off
    assert pglab.run(["runs", "list", "--quiet"]) == 3
    assert pglab.run(["doctor"]) == 1
    assert seen == ["0", "0", None]
    assert "TTY_COMPATIBLE" not in os.environ


def test_a_terminal_of_an_old_code_page_is_no_traceback() -> None:
    env = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-m", "pglab", "codec", "list"], capture_output=True, env=env)
    assert done.returncode == 0
    assert b"brotli11" in done.stdout
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_the_words(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert pglab.run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "vocab" in script
    assert "sweep" in script


def test_an_unknown_shell_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("cyclopts.App.generate_completion", lambda *_, **__: (_ for _ in ()).throw(ValueError("what?")))
    assert pglab.run(["completion"]) == 2
    assert "Name the shell: pglab completion bash" in capsys.readouterr().err
