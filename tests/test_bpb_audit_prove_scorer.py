"""Scorers as processes: frames that are right and frames that are not, a stranger's Python file, and the commands."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bpb_audit.prove_plan as plan
from bpb_audit.errors import AuditError
from bpb_audit.isolation import level
from bpb_audit.prove_cli import main
from bpb_audit.prove_command import Choice
from bpb_audit.prove_frames import Scorer, read_hello
from bpb_audit.zipapp_build import build
from tests.audit_makers import greedy, model_bytes, plain_pieces, write_set

HERE = Path(__file__).parent
TEXTS = ["the cat sat on the mat and the end.", "a second line", "the text of it, the end and on"]
STREAM = """
import numpy as np
TABLE = np.random.default_rng(5).normal(size=(VOCAB, VOCAB))
class Stream:
    def __init__(self):
        self.seen = np.zeros(VOCAB)
    def next_distribution(self, token):
        self.seen[token] += 1  # learns from what it was given, as test-time training does
        return TABLE[token] + np.log(self.seen + 0.1) + SHIFT
def start():
    return Stream()
"""


@pytest.fixture(autouse=True)
def short_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SHORT_LANE", 30)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    pieces = plain_pieces()
    folder = write_set(tmp_path / "set", TEXTS, greedy(pieces), model_bytes(pieces, rules="identity"))
    (folder / "artifact").write_bytes(b"weights")
    return folder


def vocab() -> int:
    return len(plain_pieces())


def command(mode: str = "honest") -> str:
    return f"{sys.executable} {HERE / 'prove_scorers.py'} {mode} {{artifact}} {{rows}} {vocab()} 16"


def stranger(folder: Path, shift: float = 0.0, more: str = "") -> Path:
    place = folder / "scorer.py"
    place.write_text(f"VOCAB, SHIFT = {vocab()}, {shift}\n{STREAM}\n{more}")
    return place


def prove(folder: Path, *words: object) -> int:
    files = ["--docs", folder / "docs.jsonl", "--shards", folder, "--out", folder / "proof.pgp"]
    return main([str(word) for word in ("write", folder / "artifact", *files, *words)])


def check(folder: Path, *words: object) -> int:
    return main([str(w) for w in ("check", folder / "proof.pgp", folder / "artifact", "--vocab", folder, *words)])


def test_a_process_proves_as_well(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prove(made, "--command", command(), "--rows", 2, "--workers", 1) == 0
    assert "bpb_proved" in capsys.readouterr().out
    assert check(made, "--command", command(), "--docs", made / "docs.jsonl", "--json") == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["bpb_proved"] == pytest.approx(8 * (made / "proof.pgp").stat().st_size / numbers["raw_bytes"])
    assert (numbers["wrong"], numbers["done"]["documents"]) == ([], 3)
    assert main(["info", str(made / "proof.pgp")]) == 0
    assert "3 documents" in capsys.readouterr().out
    assert main(["info", str(made / "proof.pgp"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["documents"] == 3
    (made / "docs.jsonl").write_text((made / "docs.jsonl").read_text().replace("cat", "cut"))
    assert check(made, "--command", command(), "--docs", made / "docs.jsonl") == 1
    assert "FAIL document 0 differs: at byte 5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("rude", "no greeting|answered a frame"),
        ("short", "answered a frame"),
        ("dies", "its end with status 3. Its last words: out of luck"),
        ("sorry", "the scorer says: no such luck: try tomorrow."),
    ],
)
def test_a_scorer_that_breaks_the_protocol_is_a_sentence(
    mode: str, says: str, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prove(made, "--command", command(mode), "--workers", 1) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert any(one in err for one in says.split("|")), err
    assert not (made / "proof.pgp").exists()


def test_a_scorer_that_is_not_there_is_a_sentence(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, says in (
        (["--command", str(made / "absent")], "does not start"),
        (["--command", f"{sys.executable} -c 1"], "answered its end with status 0"),
        (["--scorer", str(made / "absent.py")], "no such file"),
    ):
        assert prove(made, *words) == 2
        assert says in capsys.readouterr().err


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"\xff", b'{"protocol": 1}', b"[" * 5000])
def test_whatever_a_scorer_says_first_is_a_greeting_or_the_one_error(body: bytes) -> None:
    with pytest.raises(AuditError, match="no greeting"):
        read_hello(body)


def test_a_silent_scorer_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bpb_audit.prove_frames.PATIENCE", 0.2)
    with pytest.raises(AuditError, match="nothing for"):
        Scorer([sys.executable, "-c", "import time; time.sleep(1)"])


def test_a_strangers_file_is_proved_and_gains_nothing_by_not_normalising(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = []
    for shift in (0.0, 5.0):
        place = stranger(made, shift)
        assert prove(made, "--scorer", place, "--json") == 0
        sizes.append(json.loads(capsys.readouterr().out)["bits"])
        assert check(made, "--scorer", place) == 0
        capsys.readouterr()
    assert sizes[0] == sizes[1]


def test_one_stream_of_functions_is_enough(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    functions = "stream = Stream()\ndef start():\n    global stream\n    stream = Stream()\n"
    functions += "def next_distribution(token):\n    return stream.next_distribution(token)\n"
    place = stranger(made, more=functions)
    assert prove(made, "--scorer", place) == 0
    assert check(made, "--scorer", place) == 0
    assert "lanes" not in capsys.readouterr().err


def test_a_strangers_file_that_fails_is_a_sentence(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more, says in (
        ("raise ValueError('no luck')", "ValueError: no luck"),
        ("del start", "KeyError: 'start'"),
        ("SHIFT = float('nan')", f"gave ({vocab()},) numbers"),
        ("VOCAB = 5\nTABLE = TABLE[:, :5]", "gave (5,) numbers"),
    ):
        assert prove(made, "--scorer", stranger(made, more=more)) == 2
        err = capsys.readouterr().err
        assert says in err, err


@pytest.mark.skipif(level() != "bubblewrap", reason="bwrap does not work here")
def test_a_strangers_file_sees_neither_the_text_nor_the_network(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    peek = (
        f"import pathlib\nassert pathlib.Path(ARTIFACT).read_bytes() == b'weights'\nopen({str(made / 'docs.jsonl')!r})"
    )
    assert prove(made, "--scorer", stranger(made, more=peek)) == 2
    assert "FileNotFoundError" in capsys.readouterr().err
    dial = "import socket\nsocket.create_connection(('192.0.2.1', 80), 2)"
    assert prove(made, "--scorer", stranger(made, more=dial)) == 2
    assert "unreachable" in capsys.readouterr().err
    writing = f"open({str(made / 'new')!r}, 'w').write('x')"
    prove(made, "--scorer", stranger(made, more=writing))
    assert not (made / "new").exists()


def test_an_honest_command_has_the_rows_and_words_it_was_given(made: Path) -> None:
    choice = Choice(made / "artifact", command=command())
    with choice.start(3, vocab()) as scorer:
        hello: Any = scorer.hello
        assert (hello.rows, hello.vocab, hello.context) == (3, vocab(), 16)
        tokens, flags = np.array([1, 5, 9], np.uint16), np.array([2, 0, 2], np.uint8)
        distances = scorer.step(tokens, flags)
        assert distances.shape == (3, vocab())
        assert distances.min(axis=1).tolist() == [0, 0, 0]


def test_the_zipapp_checks_a_proof_alone(made: Path, tmp_path: Path) -> None:
    assert prove(made, "--command", command(), "--workers", 1) == 0
    build(tmp_path / "bpb-audit.pyz")
    words = ["prove", "check", made / "proof.pgp", made / "artifact", "--vocab", made, "--command", command()]
    done = subprocess.run(
        [sys.executable, "-I", tmp_path / "bpb-audit.pyz", *words], capture_output=True, text=True, cwd="/", check=False
    )
    assert done.returncode == 0, done.stderr
    assert "bpb_proved" in done.stdout


def test_words_that_mean_nothing_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["prove"], ["write"], ["write", "x", "--docs", "", "--out", "y"], ["write", "--rows", "-1"]):
        assert main(words) == 2
        assert "error" in capsys.readouterr().err
