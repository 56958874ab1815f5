"""Byte-level BPE with any split: nothing lost, nothing merged across words, files that are made again to the byte."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenizers_lab import text_cut, train_bpe, train_bpe_split
from tokenizers_lab.builders import cut_vocabulary, open_vocabulary, train_vocabulary
from tokenizers_lab.byte_counts import byte_lengths
from tokenizers_lab.errors import VocabError
from tokenizers_lab.train_bpe_split import CUTTABLE, SPLITS, open_tokenizer

TEXTS = ["It's 1984 and 1985, not 2024;\n\n  the cats' hats sat   on 19 mats.", "naïve “cats” 12345 \t\n"] * 9
SIZE = 285
OWN = r"[aeiou]+"  # leaves out more than it finds


@pytest.fixture(scope="module", params=[*SPLITS, OWN])
def made(request):
    return request.param, open_tokenizer(train_bpe_split.train(TEXTS, SIZE, request.param), "here")


def test_nothing_is_lost(made, hostile):
    tokenizer = made[1]

    @given(st.lists(st.text(max_size=30), min_size=1, max_size=3))
    def holds(texts):
        encoded = tokenizer.encode_batch(texts)
        byte_lengths(tokenizer, encoded, texts)
        assert [tokenizer.decode(encoded.document(i)) for i in range(len(texts))] == texts

    holds()
    byte_lengths(tokenizer, tokenizer.encode_batch(hostile), hostile)


def test_a_long_text_may_be_cut_where_it_is(made):
    pattern, tokenizer = SPLITS.get(made[0], made[0]), made[1]
    whole = "the cats sat 12 on 345 mats, é “x” \n on it's hats " * 3
    parts = list(text_cut.cut(whole, 5))
    joined = [i for part in parts for i in tokenizer.encode_batch([part]).ids.tolist()]
    assert len(parts) > 9
    if pattern in CUTTABLE:
        assert joined == tokenizer.encode_batch([whole]).ids.tolist()


def test_splits_hold_in_the_tokens():
    digits = open_tokenizer(train_bpe_split.train(TEXTS, SIZE, "digits"), "here")
    tokens = [digits.decode([i]) for i in digits.encode_batch(["1984 12345"]).ids.tolist()]
    assert tokens == [*"1984", " ", *"12345"]
    assert not any(re.search(r"\S ", digits.decode([i])) for i in range(SIZE))
    none = open_tokenizer(train_bpe_split.train(TEXTS, SIZE, "none"), "here")
    assert any(re.search(r"\S ", none.decode([i])) for i in range(SIZE))


def test_the_split_of_gpt2_learns_what_bpe_learns():
    same = json.loads(train_bpe_split.train(TEXTS, SIZE, "gpt2"))["model"]
    assert same == json.loads(train_bpe.train(TEXTS, SIZE))["model"]


def test_the_spec_names_the_split_and_cutting_keeps_it(small_lab: Path, tmp_path: Path) -> None:
    docs = small_lab / "corpus/docs.jsonl"
    spec = train_vocabulary("bpe_split", docs, 400, tmp_path / "a", split=OWN)
    assert spec.options["split"] == OWN
    small = cut_vocabulary(tmp_path / "a", 300, tmp_path / "b")
    again = train_vocabulary("bpe_split", docs, 300, tmp_path / "c", split=OWN)
    assert small.sha256 == again.sha256
    assert open_vocabulary(tmp_path / "b")[1].encode_batch(["the"]).ids.tolist()


@pytest.mark.parametrize(("kind", "split", "says"), [("bpe_split", "(", "regular expression"), ("bpe", "none", "own")])
def test_a_split_that_cannot_be_is_one_sentence(small_lab: Path, tmp_path: Path, kind, split, says) -> None:
    with pytest.raises(VocabError, match=says):
        train_vocabulary(kind, small_lab / "corpus/docs.jsonl", 400, tmp_path / "x", split=split)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("change", [("[aeiou]+", "[aeio]+("), ("Isolated", "Removed"), ('"model"', '"mode"')])
def test_a_changed_file_is_refused(change) -> None:
    data = train_bpe_split.train(TEXTS, 265, OWN).replace(change[0].encode(), change[1].encode())
    with pytest.raises(VocabError, match="no byte-level vocabulary"):
        open_tokenizer(data, "here")
