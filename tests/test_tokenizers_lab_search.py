"""The sweep: the front by its definition, folders not trained twice, and a picture that is one."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pglab
from tokenizers_lab.errors import VocabError
from tokenizers_lab.search import front, train_all
from tokenizers_lab.vocabulary_score import Score


def row(name: str, embedding: int, bpb: float, restored: int = 5) -> Score:
    return Score(name, 260, embedding, 0, 0, bpb, bpb, np.zeros(5), restored)


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6), st.booleans()), max_size=8))
def test_the_front_is_what_nobody_beats(points: list[tuple[int, int, bool]]) -> None:
    rows = [row(str(i), cost, float(bits), 5 if exact else 4) for i, (cost, bits, exact) in enumerate(points)]
    found = front(rows, 5)
    exact = [i for i, point in enumerate(points) if point[2]]
    values = {points[i][:2] for i in exact}
    wanted = {
        (cost, bits)
        for cost, bits in values
        if not any((c <= cost and b <= bits and (c, b) != (cost, bits)) for c, b in values)
    }
    assert {points[i][:2] for i in found} == wanted
    assert len(found) == len(wanted)


def test_a_search_trains_once_scores_and_draws(
    small_lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["vocab", "search", "--docs", small_lab / "corpus/docs.jsonl", "--out", tmp_path]
    words += ["--kinds", "bytes", "--kinds", "bpe", "--sizes", "300", "--sizes", "400", "--json"]
    assert pglab.run([str(word) for word in words]) == 0
    first = capsys.readouterr()
    assert [line for line in first.err.splitlines() if line] == [
        "training bytes260",
        "training bpe300",
        "training bpe400",
    ]
    found = json.loads(first.out)
    assert set(found["front"]) <= {"bytes260", "bpe300", "bpe400"}
    assert found["front"]
    assert ElementTree.parse(tmp_path / "front.svg").getroot().tag.endswith("svg")
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("tokenizer.json")}
    assert pglab.run([str(word) for word in words]) == 0
    again = capsys.readouterr()
    assert "training" not in again.err
    assert json.loads(again.out)["front"] == found["front"]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("tokenizer.json")} == times


def test_other_text_is_trained_anew(small_lab: Path, tmp_path: Path) -> None:
    said: list[str] = []
    train_all(["bpe"], [300], small_lab / "corpus/docs.jsonl", tmp_path, said.append)
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps({"text": "quite other words, again and again " * 50}) + "\n")
    train_all(["bpe"], [270], other, tmp_path, said.append)
    train_all(["bpe"], [270], small_lab / "corpus/docs.jsonl", tmp_path, said.append)
    assert said == ["training bpe300", "training bpe270", "training bpe270"]


@pytest.mark.parametrize(("kinds", "sizes"), [(["nope"], [300]), ([], [300]), (["bpe"], [])])
def test_what_cannot_be_searched(small_lab: Path, tmp_path: Path, kinds: list[str], sizes: list[int]) -> None:
    with pytest.raises(VocabError, match="wanted some of"):
        train_all(kinds, sizes, small_lab / "corpus/docs.jsonl", tmp_path / "s", print)
    assert not (tmp_path / "s").exists()


def test_a_search_wants_a_split(small_lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docs = tmp_path / "d.jsonl"
    docs.write_bytes((small_lab / "corpus/docs.jsonl").read_bytes())
    assert pglab.run(["vocab", "search", "--docs", str(docs), "--out", str(tmp_path / "s")]) == 2
    assert "pglab corpus write --docs" in capsys.readouterr().err
