"""The sweep: the front by its definition, folders not trained twice, and a picture that is one."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pglab
from tokenizers_lab import search
from tokenizers_lab.builders import cut_vocabulary
from tokenizers_lab.errors import VocabError
from tokenizers_lab.score_report import to_json
from tokenizers_lab.search import front, sweep, train_all
from tokenizers_lab.spec import read_spec
from tokenizers_lab.vocabulary_score import Score, Terms


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
    assert [line for line in first.err.splitlines() if line.startswith("training")] == [
        "training bytes260",
        "training bpe300",
        "training bpe400",
    ]
    found = json.loads(first.out)
    assert set(found["front"]) <= {"bytes260", "bpe300", "bpe400"}
    assert found["front"]
    assert ElementTree.parse(tmp_path / "front.svg").getroot().tag.endswith("svg")
    assert json.loads((tmp_path / "report.json").read_text())["front"] == found["front"]
    assert "<svg" in (tmp_path / "report.html").read_text()
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


@pytest.mark.parametrize("kind", ["bpe", "bpe_case"])
def test_a_nested_kind_is_trained_once_and_cut_to_the_same_files(small_lab: Path, tmp_path: Path, kind: str) -> None:
    docs, trained = small_lab / "corpus/docs.jsonl", []
    real = search.train_vocabulary
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            search, "train_vocabulary", lambda *words, **more: (trained.append(words[2]), real(*words, **more))[1]
        )
        train_all([kind], [300, 260, 420], docs, tmp_path, lambda line: None)
    assert trained == [420]
    for size in (260, 300):
        real(kind, docs, size, tmp_path / f"own{size}")
        for name in ("tokenizer.json", "token_table.npz"):
            assert (tmp_path / f"own{size}" / name).read_bytes() == (tmp_path / f"{kind}{size}" / name).read_bytes()
        assert read_spec(tmp_path / f"own{size}").sha256 == read_spec(tmp_path / f"{kind}{size}").sha256


def test_a_kind_that_is_not_nested_is_not_cut(small_lab: Path, tmp_path: Path) -> None:
    for folder, size in (("unigram", 300), ("bpe", 10), ("bpe", 60_000)):
        with pytest.raises(VocabError, match=r"--size|cannot be cut"):
            cut_vocabulary(small_lab / "vocab" / folder, size, tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_an_executor_finds_the_same(small_lab: Path, tmp_path: Path) -> None:
    docs, words = small_lab / "corpus/docs.jsonl", (["bytes", "bpe", "wordpiece"], [300, 400])
    with ThreadPoolExecutor(2) as executor:
        there = sweep(*words, docs, tmp_path / "a", Terms(), print, executor)
    here = sweep(*words, docs, tmp_path / "b", Terms(), print)
    assert to_json(there) == to_json(here)


@pytest.mark.parametrize(("kinds", "sizes"), [(["nope"], [300]), ([], [300]), (["bpe"], []), (["bpe"], [100])])
def test_what_cannot_be_searched(small_lab: Path, tmp_path: Path, kinds: list[str], sizes: list[int]) -> None:
    with pytest.raises(VocabError, match=r"wanted some of|--sizes 100"):
        train_all(kinds, sizes, small_lab / "corpus/docs.jsonl", tmp_path / "s", print)
    assert not (tmp_path / "s").exists()


def test_a_search_wants_a_split(small_lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docs = tmp_path / "d.jsonl"
    docs.write_bytes((small_lab / "corpus/docs.jsonl").read_bytes())
    assert pglab.run(["vocab", "search", "--docs", str(docs), "--out", str(tmp_path / "s")]) == 2
    assert "pglab corpus write --docs" in capsys.readouterr().err
