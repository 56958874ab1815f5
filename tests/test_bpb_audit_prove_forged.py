"""Proofs by somebody who wants a lower number: what each forged file, claim or scorer comes to, and what is said."""

import json
import os
import resource
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bpb_audit.prove_plan as plan
from bpb_audit.errors import AuditError
from bpb_audit.isolation import level
from bpb_audit.prove_cli import main
from bpb_audit.prove_command import Choice
from bpb_audit.prove_format import Header, ProofFile, Unit, write_header, write_unit
from bpb_audit.prove_frames import Scorer
from bpb_audit.prove_write import Wish, write
from tests.audit_makers import greedy, honest_sidecar, model_bytes, plain_pieces, write_set
from tests.prove_scorers import Fake, FakeChoice
from tests.test_bpb_audit_prove import TEXTS, checked, written

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def short_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SHORT_LANE", 40)
    monkeypatch.setattr(plan, "LONG_LANE", 64)


def folder_of(home: Path, texts: list[str], lossy: bool = False) -> Path:
    pieces = plain_pieces()
    encode = greedy(pieces)

    def ids(text: str) -> list[int]:
        return encode(" ".join(unicodedata.normalize("NFKC", text).split()) if lossy else text)

    rules = "nmt_nfkc" if lossy else "identity"
    sidecar = None if lossy else honest_sidecar
    folder = write_set(home / "set", texts, ids, model_bytes(pieces, rules=rules), sidecar=sidecar)
    (folder / "artifact").write_bytes(b"weights")
    return folder


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return folder_of(tmp_path, TEXTS)


def with_header(folder: Path, **more: Any) -> Header:
    """The proof there under a header that says something else, its checksums right."""
    whole = ProofFile(folder / "proof.pgp")
    units = []
    for number, place in enumerate(whole.places):
        lanes, residual = whole.parts(number)
        units.append(Unit(place.tokens, place.documents, tuple(lanes), residual))
    forged = replace(whole.header, **more)
    (folder / "proof.pgp").write_bytes(write_header(forged) + b"".join(map(write_unit, units)))
    return whole.header


def test_more_raw_bytes_than_there_are_do_not_lower_the_number(made: Path) -> None:
    written(made)
    honest = with_header(made, raw_bytes=5_000_000)
    for docs in (made / "docs.jsonl", None):
        report, wrong = checked(made, docs=docs)
        assert wrong == [f"{honest.raw_bytes:,} raw bytes were restored, the header says 5,000,000."]
        assert report.numbers()["bpb_proved"] == 8 * (made / "proof.pgp").stat().st_size / honest.raw_bytes


def test_what_is_the_writers_word_alone_is_called_unchecked(made: Path) -> None:
    written(made)
    with_header(made, nats=1.0, tail_nats=1.0)
    report, wrong = checked(made, docs=None)
    said = report.text()
    assert wrong == []
    assert "as evaluated, by its writer" in said
    assert "UNCHECKED bpb_raw" in said
    assert f"UNCHECKED whether this is the text you mean: compare sha256 {report.header.text.hex()}" in said
    assert "not in the file: artifact 7, vocabulary" in said
    assert "UNCHECKED what follows in" not in checked(made)[0].text()
    (made / "docs.jsonl").write_text((made / "docs.jsonl").read_text("utf-8") + '{"text": "left out"}\n', "utf-8")
    assert "UNCHECKED what follows in" in checked(made)[0].text()


@pytest.mark.parametrize("words", ["14", "0"])
def test_a_part_is_never_called_the_whole(words: str, tmp_path: Path) -> None:
    """A residual makes the documents before the one asked for be restored too: then the sha256 is held against them."""
    folder = folder_of(tmp_path, [*TEXTS[:14], "  out\u2026 of\n\nspace \ufb01ts "], lossy=True)
    written(folder, FakeChoice(folder / "artifact", most_rows=64))
    assert ProofFile(folder / "proof.pgp").header.units == 1
    with_header(folder, text=b"x" * 32)
    report, wrong = checked(folder, FakeChoice(folder / "artifact", most_rows=64), documents=words)
    if words == "14":
        assert "another sha256" in wrong[0]
    else:
        assert (wrong, report.numbers()["bpb_proved"]) == ([], None)
        assert "UNCHECKED the other 14 documents" in report.text()
        assert "bpb_proved" not in report.text()


def test_all_documents_named_are_the_whole(made: Path) -> None:
    written(made)
    with_header(made, text=b"x" * 32)
    assert "another sha256" in checked(made, documents="0:15")[1][0]
    with pytest.raises(AuditError, match="at once"):
        checked(made, documents="1", sample=2)


@pytest.mark.parametrize(
    "more",
    [
        {"population": 1 << 60},
        {"nats": float("inf")},
        {"nats": float("nan")},
        {"scored_tokens": 1 << 40},
        {"scored_raw": 1 << 40},
    ],
)
def test_numbers_that_cannot_be_are_refused_before_anything_is_made_of_them(made: Path, more: dict[str, Any]) -> None:
    written(made)
    with_header(made, **more)
    with pytest.raises(AuditError, match="impossible numbers"):
        checked(made)


def test_a_sample_of_one_has_no_interval_and_of_few_a_warning(made: Path) -> None:
    assert written(made, sample=1).low is None
    assert "too narrow for so few" in written(made, sample=5).text()
    report, _ = checked(made)
    assert "5 documents out of 15 restored" in report.text()
    assert "UNCHECKED 10 documents outside of the sample" in report.text()


class Alternating(FakeChoice):
    """Looks ahead in every second window, the same ones in all lanes."""

    def start(self, rows: int, vocab: int, _length: int | None = None) -> Any:
        made: Fake = super().start(rows, vocab)
        honest, calls = made.bulk, iter(range(1 << 30))

        def bulk(tokens: np.ndarray, lengths: np.ndarray) -> Iterator[np.ndarray]:
            made.model.mode = ("honest", "ahead")[next(calls) % 2]
            return honest(tokens, lengths)

        made.bulk = bulk  # type: ignore[method-assign]
        return made


def test_windows_are_drawn_lane_by_lane(made: Path) -> None:
    """One place for all lanes would be one draw, and miss this cheat half of the time."""
    for seed in range(8):
        with pytest.raises(AuditError, match="looks ahead"):
            written(made, Alternating(made / "artifact", context=5, most_rows=64), windows=7, seed=seed)


def test_a_part_verified_by_sample_is_not_taken_for_one_verified_whole(made: Path) -> None:
    written(made)
    want = (made / "proof.pgp").read_bytes()

    def tell(_: int) -> None:
        if len(list((made / ".proof.pgp.parts").glob("*.part"))) == 2:
            raise KeyboardInterrupt

    choice: Any = FakeChoice(made / "artifact")
    wish = Wish(choice, made / "docs.jsonl", made / "proof.pgp", made, workers=1)
    for windows, damaged in ((1, False), (0, True)):
        with pytest.raises(KeyboardInterrupt):
            write(replace(wish, windows=windows), tell)
        parts = sorted((made / ".proof.pgp.parts").glob("*.part"))
        assert len(parts) == 2
        if damaged:
            parts[0].write_bytes(parts[0].read_bytes()[:-40])
            parts[1].write_bytes(b"")
        again = FakeChoice(made / "artifact")
        assert written(made, again).tally.notes == []
        whole = FakeChoice(made / "artifact")
        written(made, whole, out=made / "other.pgp")
        assert sum(one.steps for one in again.started) == sum(one.steps for one in whole.started)
        assert (made / "proof.pgp").read_bytes() == want == (made / "other.pgp").read_bytes()


KILLED = """
import os, signal, sys
import bpb_audit.prove_plan as plan, bpb_audit.prove_write as prove
from bpb_audit.prove_cli import main
plan.SHORT_LANE, plan.LONG_LANE = 40, 64
calls = 0
def dying(place, data, mode=0o644):
    global calls
    calls += 1
    if calls == int(sys.argv[1]):
        (place.parent / f".{place.name}.half").write_bytes(data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return aside(place, data, mode)
aside, prove.write_aside = prove.write_aside, dying
sys.exit(main(sys.argv[2:]))
"""


def words_of(folder: Path, *more: object) -> list[str]:
    scorer = f"{sys.executable} {HERE / 'prove_scorers.py'} honest {{artifact}} {{rows}} {len(plain_pieces())} 16"
    words = ["write", folder / "artifact", "--docs", folder / "docs.jsonl", "--shards", folder, "--rows", 3]
    return [str(word) for word in (*words, "--out", folder / "proof.pgp", "--command", scorer, "--workers", 1, *more)]


def test_a_real_kill_in_the_middle_of_a_write_leaves_nothing_half(made: Path) -> None:
    assert main(words_of(made)) == 0
    want = (made / "proof.pgp").read_bytes()
    units = ProofFile(made / "proof.pgp").header.units
    (made / "proof.pgp").unlink()
    for at in (2, units):  # in the second part; in the proof itself, all parts but the first of this run being there
        done = subprocess.run([sys.executable, "-c", KILLED, str(at), *words_of(made)], cwd=HERE.parent, check=False)
        assert done.returncode == -signal.SIGKILL
        assert not (made / "proof.pgp").exists()
    assert main(words_of(made)) == 0
    assert (made / "proof.pgp").read_bytes() == want
    assert not (made / ".proof.pgp.parts").exists()


def test_a_full_disk_is_a_sentence_and_loses_no_finished_unit(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    main(words_of(made))
    size = (made / "proof.pgp").stat().st_size
    (made / "proof.pgp").write_bytes(b"the old one")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 20, before[1]))  # some parts fit, the whole does not
    try:
        assert main(words_of(made)) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "proof.pgp: File too large" in capsys.readouterr().err
    assert (made / "proof.pgp").read_bytes() == b"the old one"
    assert [*(made / ".proof.pgp.parts").glob("*.part")]
    assert main(words_of(made)) == 0
    assert (made / "proof.pgp").stat().st_size == size


def test_a_scorer_that_never_reads_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    hello = {"protocol": 1, "grid": 256, "vocab": 1000, "context": 0, "rows": 64, "bulk": True, "artifact": "00" * 32}
    hello |= {"name": "deaf", "path": "", "dtype": "", "device": "", "versions": {}}
    program = (
        "import struct, sys, time\n"
        f"said = b'H' + {json.dumps(hello).encode()!r}\n"
        "sys.stdout.buffer.write(struct.pack('<I', len(said)) + said)\nsys.stdout.flush()\ntime.sleep(9)"
    )
    monkeypatch.setattr("bpb_audit.prove_frames.CLOSING", 0.1)
    with Scorer([sys.executable, "-c", program]) as scorer:
        monkeypatch.setattr("bpb_audit.prove_frames.PATIENCE", 0.2)
        with pytest.raises(AuditError, match="read nothing"):
            next(scorer.bulk(np.zeros((64, 20_001), np.uint16), np.full(64, 20_000)))
    assert scorer.process.returncode == -signal.SIGKILL


def test_what_is_read_is_not_written_over(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docs, artifact = (made / "docs.jsonl").read_bytes(), (made / "artifact").read_bytes()
    for place in ("docs.jsonl", "artifact"):
        assert main(words_of(made, "--out", made / place)) == 2
        assert "which is read" in capsys.readouterr().err
    assert main(words_of(made)) == 0
    check = ["check", made / "proof.pgp", made / "artifact", "--vocab", made, *words_of(made)[-4:-2]]
    for place in ("proof.pgp", "docs.jsonl", "artifact"):
        words = [*check, "--docs", made / "docs.jsonl", "--out", made / place]
        assert main([str(word) for word in words]) == 2
        assert "which is read" in capsys.readouterr().err
    assert ((made / "docs.jsonl").read_bytes(), (made / "artifact").read_bytes()) == (docs, artifact)


def test_words_that_nobody_can_mean_are_a_sentence(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words_of(made)) == 0
    os.mkfifo(made / "pipe")  # as a device: a rename would put a file in its place
    check = ["check", str(made / "proof.pgp"), str(made / "artifact"), "--vocab", str(made)]
    for words, says in (
        (words_of(made, "--out", made / "pipe"), "device or a pipe"),
        (words_of(made, "--command", '"'), "no closing quotation"),
        ([*check, "--command", " "], "no program in it"),
        ([*check, "--out", str(made / "pipe")], "device or a pipe"),
        ([*check, "--out", str(made)], "is a folder"),
        ([*check, "--out", str(made / "no/where")], "make it first"),
        ([*check, "--docs", "a\0b"], "zero byte"),
        ([*check, "--documents", "9" * 5000], "no number or range"),
    ):
        capsys.readouterr()
        assert main(words) == 2
        said = capsys.readouterr().err
        assert says in said
        assert len(said) < 3000
    assert (made / "pipe").is_fifo()


def test_a_command_may_have_read_the_text_and_a_file_behind_walls_may_not(made: Path) -> None:
    assert "could read" in Choice(made / "artifact", command="x").unchecked()[0]
    assert Choice(made / "artifact").unchecked() == []
    file = made / "scorer.py"
    file.write_text("def start(): ...")
    choice = Choice(made / "artifact", scorer=file)
    assert choice.given() == {"artifact": 7, "scorer": 16}
    assert bool(choice.unchecked()) == (level() != "bubblewrap")


def test_a_strangers_file_runs_behind_a_wall_or_not_at_all(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (made / "scorer.py").write_text("def start(): ...")
    for held in ("none", "limits"):
        monkeypatch.setattr("bpb_audit.prove_command.level", lambda held=held: held)
        with pytest.raises(AuditError, match="not run here"):
            Choice(made / "artifact", scorer=made / "scorer.py").start(1, 300)


def test_the_status_is_the_verdicts_though_nobody_reads(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(words_of(made)) == 0
    with_header(made, text=b"x" * 32)
    inlet, outlet = os.pipe()
    os.close(inlet)
    words = ["check", made / "proof.pgp", made / "artifact", "--vocab", made, *words_of(made)[-4:-2]]
    done = subprocess.run(
        [sys.executable, "-m", "bpb_audit", "prove", *map(str, words)], stdout=outlet, cwd=HERE.parent, check=False
    )
    os.close(outlet)
    assert done.returncode == 1
