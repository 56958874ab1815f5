"""Whole proofs with scorers in this process: they restore, they resume, and a scorer that cheats gains nothing."""

import json
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bpb_audit.prove_plan as plan
from bpb_audit.errors import AuditError
from bpb_audit.prove_check import Asked, check, numbers_of
from bpb_audit.prove_format import ProofFile, Unit, write_header, write_unit
from bpb_audit.prove_plan import lay_out, restarts
from bpb_audit.prove_report import Report
from bpb_audit.prove_sample import choose, interval
from bpb_audit.prove_write import Wish, write
from tests.audit_makers import DOCS, greedy, honest_sidecar, model_bytes, plain_pieces, write_set
from tests.conftest import GOLDEN
from tests.prove_scorers import FakeChoice

TEXTS = [DOCS[0], DOCS[2], *(f"the end of line {i} and the text of it." for i in range(12)), DOCS[4]]


@pytest.fixture(autouse=True)
def short_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SHORT_LANE", 40)
    monkeypatch.setattr(plan, "LONG_LANE", 64)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder of shards, documents and an artifact, losslessly encoded."""
    pieces = plain_pieces()
    folder = write_set(
        tmp_path / "set", TEXTS, greedy(pieces), model_bytes(pieces, rules="identity"), sidecar=honest_sidecar
    )
    (folder / "artifact").write_bytes(b"weights")
    return folder


def written(folder: Path, choice: FakeChoice | None = None, **more: Any) -> Report:
    choice = choice or FakeChoice(folder / "artifact")
    wish = {"docs": folder / "docs.jsonl", "out": folder / "proof.pgp", "shards": folder, "workers": 1} | more
    return write(Wish(choice, **wish))  # type: ignore[arg-type]


def checked(folder: Path, choice: FakeChoice | None = None, **more: Any) -> tuple[Report, list[str]]:
    choice = choice or FakeChoice(folder / "artifact")
    asked = {"proof": folder / "proof.pgp", "vocab": folder, "docs": folder / "docs.jsonl", "workers": 1} | more
    return check(Asked(choice=choice, **asked))  # type: ignore[arg-type]


@pytest.mark.parametrize("by_document", [False, True])
@pytest.mark.parametrize("context", [0, 5, 16, 1000])
@pytest.mark.parametrize("bulk", [False, True])
def test_documents_come_back_however_they_are_cut(made: Path, by_document: bool, context: int, bulk: bool) -> None:
    choice = FakeChoice(made / "artifact", context=context, bulk=bulk and bool(context))
    before = written(made, choice, by_document=by_document, workers=2)
    after, wrong = checked(made, choice, out=made / "back.jsonl", workers=2)
    assert wrong == []
    assert after.whole
    assert (made / "back.jsonl").read_bytes() == (made / "docs.jsonl").read_bytes()
    assert after.tally.table_bits == pytest.approx(before.tally.table_bits)
    parts = before.split()
    assert sum(parts.values()) == pytest.approx(8 * (made / "proof.pgp").stat().st_size)
    assert sum(after.split().values()) == pytest.approx(sum(parts.values()))
    assert parts["residual"] == 0
    assert 0 <= parts["coder"] < 40 * before.tally.lanes
    if choice.bulk:
        assert abs(parts["precision"]) < 0.02 * parts["evaluated"]
        assert before.header.scored_tokens % context == 0 or by_document


def test_a_lossy_vocabulary_pays_for_what_it_loses(tmp_path: Path) -> None:
    pieces = plain_pieces()
    encode = greedy(pieces)
    texts = [*TEXTS, DOCS[1], DOCS[5], "  out\u2026 of\n\nspace \ufb01ts \u00bd "]

    def lossy(text: str) -> list[int]:
        return encode(" ".join(unicodedata.normalize("NFKC", text).split()))

    folder = write_set(tmp_path / "set", texts, lossy, model_bytes(pieces, rules="nmt_nfkc"))
    (folder / "artifact").write_bytes(b"weights")
    report = written(folder)
    assert 0 < report.split()["residual"] < 8 * 200
    after, wrong = checked(folder, out=folder / "back.jsonl")
    assert wrong == []
    assert [json.loads(line)["text"] for line in (folder / "back.jsonl").read_text("utf-8").splitlines()] == texts
    for number in (0, 13, 17):
        after, wrong = checked(folder, documents=str(number))
        assert wrong == []
        assert after.tally.targets <= report.tally.targets


@settings(max_examples=15)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), min_size=1, max_size=6))
def test_any_documents_come_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    if not "".join(texts):
        return
    folder = tmp_path_factory.mktemp("any") / "set"
    pieces = plain_pieces()
    write_set(folder, texts, greedy(pieces), model_bytes(pieces, rules="identity"))
    (folder / "artifact").write_bytes(b"weights")
    written(folder)
    assert checked(folder)[1] == []


def test_any_part_can_be_checked_alone(made: Path) -> None:
    whole = written(made)
    proof = ProofFile(made / "proof.pgp")
    assert proof.header.units > 1
    assert sum(len(place.lanes) for place in proof.places) > 4
    for words, count in (("0", 1), ("14", 1), ("3,7:9", 3), (":", 15), ("12:", 3)):
        report, wrong = checked(made, documents=words)
        assert wrong == []
        assert report.tally.documents == count
        assert report.tally.targets <= whole.tally.targets
    few, _ = checked(made, documents="5")
    assert few.tally.targets < whole.tally.targets / 2
    drawn, wrong = checked(made, sample=4, seed=9)
    assert (wrong, drawn.tally.documents) == ([], 4)
    for words in ("15", "x", "3:2", "-1", "1:99", ""):
        if words:
            with pytest.raises(AuditError, match="--documents"):
                numbers_of(words, 15)


def test_a_sample_can_be_drawn_again_and_says_how_far_off_it_may_be(made: Path) -> None:
    report = written(made, sample=5, seed=3)
    assert report.header.sampled
    assert report.low is not None
    assert report.high is not None
    assert report.low < 8 * report.tally.file_bytes / report.header.raw_bytes < report.high
    assert "5 of 15 documents proved (seed 3)" in report.text()
    assert checked(made)[1] == []
    first = int(choose(15, 5, 3)[0])
    assert checked(made, documents=str(first))[1] == []
    absent = next(n for n in range(15) if n not in choose(15, 5, 3))
    with pytest.raises(AuditError, match="not in this sample"):
        checked(made, documents=str(absent))


def test_an_interval_covers_the_whole_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    raw = rng.integers(50, 4000, 3000).astype(float)
    bits = raw * rng.normal(1.2, 0.3, 3000).clip(0.1)
    truth, hits = bits.sum() / raw.sum(), 0
    for seed in range(20):
        some = choose(3000, 100, seed)
        low, high = interval(bits[some], raw[some])
        hits += low <= truth <= high
    assert hits >= 17


def test_writing_goes_on_after_a_kill_and_makes_the_same_bytes(made: Path) -> None:
    written(made)
    want = (made / "proof.pgp").read_bytes()
    (made / "proof.pgp").unlink()
    stopped = FakeChoice(made / "artifact")

    def tell(_: int) -> None:
        if len(list((made / ".proof.pgp.parts").glob("*.part"))) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(Wish(stopped, made / "docs.jsonl", made / "proof.pgp", made, workers=1), tell)
    assert not (made / "proof.pgp").exists()
    again = FakeChoice(made / "artifact")
    written(made, again)
    assert (made / "proof.pgp").read_bytes() == want
    assert not (made / ".proof.pgp.parts").exists()
    fresh = FakeChoice(made / "artifact")
    (made / "proof.pgp").unlink()
    written(made, fresh)
    assert sum(one.steps for one in again.started) < sum(one.steps for one in fresh.started)


def test_a_pass_that_looks_ahead_gains_nothing(made: Path) -> None:
    honest = written(made)
    size = (made / "proof.pgp").stat().st_size
    cheat = written(made, FakeChoice(made / "artifact", "ahead"))
    assert cheat.tally.recoded == cheat.tally.lanes == honest.tally.lanes
    assert cheat.tally.table_bits == pytest.approx(honest.tally.table_bits)
    assert (made / "proof.pgp").stat().st_size == pytest.approx(size, abs=20)
    assert cheat.split()["precision"] > 0.9 * honest.tally.table_bits  # what it claimed, and what it is
    assert checked(made)[1] == []
    with pytest.raises(AuditError, match="looks ahead"):
        written(made, FakeChoice(made / "artifact", "ahead"), windows=4)
    assert "all equal" in written(made, windows=4).text()


def test_a_scorer_that_answers_differently_each_time_is_refused(made: Path) -> None:
    with pytest.raises(AuditError, match="does not give the same answer twice"):
        written(made, FakeChoice(made / "artifact", "random"))
    assert not (made / "proof.pgp").exists()
    written(made)
    _, wrong = checked(made, FakeChoice(made / "artifact", "random"))
    assert "does not decode with this scorer; the first document it touches is 0" in wrong[0]


def test_a_scorer_whose_rows_know_of_each_other_cannot_prove_a_part(made: Path) -> None:
    """It may be decoded in the very company it was coded in, where it knows no more than the past; never alone."""
    written(made, FakeChoice(made / "artifact", "rows"))
    assert checked(made, FakeChoice(made / "artifact", "rows"))[1] == []
    assert checked(made, FakeChoice(made / "artifact", "rows"), documents="5")[1] != []


def test_what_was_exchanged_is_named(made: Path, tmp_path: Path) -> None:
    written(made)
    docs = (made / "docs.jsonl").read_text("utf-8")
    (made / "docs.jsonl").write_text(docs.replace("the end of line 3", "the end of lime 3"), "utf-8")
    _, wrong = checked(made)
    assert wrong == [
        "document 5 differs: at byte 13, b'ne 3 and the text of' was restored for b'me 3 and the text of'."
    ]
    (made / "artifact").write_bytes(b"other weights")
    with pytest.raises(AuditError, match="another artifact"):
        checked(made)
    (made / "artifact").write_bytes(b"weights")
    other = tmp_path / "other.model"
    other.write_bytes(model_bytes(plain_pieces(["extra"])))
    with pytest.raises(AuditError, match="another vocabulary"):
        checked(made, vocab=other)
    with pytest.raises(AuditError, match="rows"):
        checked(made, FakeChoice(made / "artifact", most_rows=2))
    with pytest.raises(AuditError, match="context"):
        checked(made, FakeChoice(made / "artifact", context=8))


def test_a_forged_proof_whose_checksums_hold_does_not_hold(made: Path) -> None:
    """Lanes, residual and text altered by somebody who can compute a CRC: found by decoding, never by luck alone."""
    written(made)
    whole = ProofFile(made / "proof.pgp")
    units = []
    for number, place in enumerate(whole.places):
        lanes, residual = whole.parts(number)
        units.append(Unit(place.tokens, place.documents, tuple(lanes), residual))
    lane = bytearray(units[0].lanes[1])
    lane[len(lane) // 2] ^= 4
    first = units[0]
    cases = [
        (whole.header, replace(first, lanes=(first.lanes[0], bytes(lane), *first.lanes[2:])), "lane 1 of unit 0"),
        (
            whole.header,
            replace(first, lanes=(*first.lanes[:1], first.lanes[1] + b"\0\0\0\0", *first.lanes[2:])),
            "lane 1",
        ),
        (whole.header, replace(first, residual=b"forged residual"), "differs|residual|sha256"),
        (replace(whole.header, text=b"x" * 32), first, "another sha256"),
    ]
    for head, unit, says in cases:
        (made / "proof.pgp").write_bytes(write_header(head) + b"".join(map(write_unit, [unit, *units[1:]])))
        _, wrong = checked(made)
        assert any(word in " ".join(wrong) for word in says.split("|")), (says, wrong)
    back = Unit(first.tokens, first.documents, (*first.lanes[1:], first.lanes[0]), first.residual)
    (made / "proof.pgp").write_bytes(write_header(whole.header) + b"".join(map(write_unit, [back, *units[1:]])))
    assert checked(made)[1] != []


def test_what_cannot_be_proved_is_a_sentence(made: Path, tmp_path: Path) -> None:
    (made / "few.jsonl").write_text('{"text": "one"}\n')
    cases: list[tuple[dict[str, Any], str]] = [
        ({"docs": made / "few.jsonl"}, "1 documents .* the shards hold 15"),
        ({"shards": None}, "no tokens to prove"),
        ({"out": made}, "is a folder"),
        ({"vocab": made / "absent"}, "no tokenizer there"),
    ]
    for more, says in cases:
        with pytest.raises(AuditError, match=says):
            written(made, **more)
    with pytest.raises(AuditError, match="no such file"):
        written(made, FakeChoice(tmp_path / "absent"))


def test_the_smallest_proof_is_these_bytes(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Golden: a format or an arithmetic that changed would make another file."""
    pieces = plain_pieces()
    folder = write_set(tmp_path / "set", ["the \u2026cat"], lambda _: [301, 330, 331], model_bytes(pieces))
    (folder / "artifact").write_bytes(b"weights")
    written(folder)
    place, data = GOLDEN / "proof_smallest.pgp", (folder / "proof.pgp").read_bytes()
    if request.config.getoption("--write-golden"):
        place.write_bytes(data)
    assert data == place.read_bytes()
    assert checked(folder)[1] == []


@given(st.lists(st.integers(0, 3), min_size=2, max_size=60), st.integers(0, 7), st.booleans(), st.integers(1, 4))
def test_every_target_is_in_one_lane_and_one_window(ids: list[int], context: int, by_document: bool, rows: int) -> None:
    tokens = np.array([1, *ids], np.uint16)
    layout = lay_out(tokens, 1, context, by_document, rows)
    assert layout.starts[0] == 0
    assert layout.starts[-1] == len(tokens) - 1
    assert (np.diff(layout.starts) > 0).all()
    for a, b in zip(layout.starts[:-1], layout.starts[1:], strict=True):
        begins = restarts(tokens[a:b], 1, context, by_document)
        assert (begins[0], begins[-1]) == (0, b - a)
        assert (np.diff(begins) > 0).all()
        assert not context or (np.diff(begins) <= context).all()
        if by_document:
            assert tokens[a] == 1
            assert np.isin(np.flatnonzero(tokens[a:b] == 1), begins).all()
        elif context:
            assert a % context == 0
