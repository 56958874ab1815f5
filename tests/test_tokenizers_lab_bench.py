"""The bench: its peers do what ours does, and one small run of all of it."""

import json
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

import pglab
from tokenizers_lab import caseops
from tokenizers_lab.bench_caseops import by_character, counts

LETTERS = st.text(st.sampled_from("aZbB \n'1éÉ\ue001\ue002\ue003\ue004\u2581"), max_size=30)


@given(st.one_of(LETTERS, st.text(st.characters(exclude_categories=["Cs"]), max_size=40)))
def test_the_peer_writes_the_same_caseops(text: str) -> None:
    assert by_character(text) == caseops.encode(text)


def test_the_peer_counts_every_byte(small_lab: Path) -> None:
    engine = sentencepiece.SentencePieceProcessor(model_file=str(small_lab / "vocab/sp_bpe_caseops/tokenizer.model"))
    for text in ("The NASA iPhone", "plain words", "A\ue001B"):
        pieces = engine.encode(by_character(text), return_type=str)
        if not any(piece.startswith("<0x") for piece in pieces):
            assert sum(counts(pieces)) == len(text.encode("utf-8"))
    assert counts(["\ue001", "the", "\u2581", "\ue004\ue001", "é"]) == [0, 3, 1, 3, 2]


def test_it_runs_and_its_outputs_are_equal(small_lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["bench", "vocab", "--megabytes", "0.15", "--repeats", "1", "--size", "400", "--json"]
    line += ["--model", str(small_lab / "vocab/sp_bpe/tokenizer.model")]
    assert pglab.run(line) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["rows"]) == 14
    assert all(row["ratio"] > 0 for row in found["rows"])
    assert found["limit_mb_s"] > 0


@pytest.mark.parametrize("words", [["--megabytes", "0"], ["--repeats", "0"]])
def test_numbers_that_mean_nothing_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert pglab.run(["bench", "vocab", *words]) == 2
    assert "wanted more than 0" in capsys.readouterr().err
