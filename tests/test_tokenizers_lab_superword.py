"""Superwords against a plain re-merge by rank, and broken files."""

import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tokenizers_lab.byte_level_file import byte_alphabet
from tokenizers_lab.errors import VocabError
from tokenizers_lab.speeches import python_topics
from tokenizers_lab.tokenizer import SPECIAL_NAMES
from tokenizers_lab.train_superword import SENTENCE, open_tokenizer, to_file, train

TEXT = [document.text for document in list(python_topics())[:25]]


@pytest.fixture(scope="session")
def file_bytes(small_lab: Path) -> bytes:
    return (small_lab / "vocab/superword/tokenizer.json").read_bytes()


def merged(merges: list[list[str]], word: str) -> list[str]:
    """BPE by the definition: the merge learnt first, at its leftmost place, until none fits."""
    rank = {tuple(pair): index for index, pair in reversed(list(enumerate(merges)))}
    tokens = list(word)
    while True:
        found = [(rank[pair], i) for i, pair in enumerate(pairwise(tokens)) if pair in rank]
        if not found:
            return tokens
        at = min(found)[1]
        tokens[at : at + 2] = [tokens[at] + tokens[at + 1]]


def test_merges_go_by_rank_within_sentences(file_bytes: bytes, hostile: tuple[str, ...]) -> None:
    model, alphabet = json.loads(file_bytes)["model"], byte_alphabet()
    tokenizer = open_tokenizer(file_bytes, "x")
    for text in [*hostile, TEXT[0][:500], "x" * 1300 + "." * 600]:
        wanted: list[int] = []
        for sentence in re.findall(SENTENCE, text):
            spelt = "".join(alphabet[byte] for byte in sentence.encode())
            wanted += [model["vocab"][token] for token in merged(model["merges"], spelt)]
        assert tokenizer.encode_batch([text]).ids.tolist() == wanted


def test_a_token_joins_words_and_none_joins_sentences() -> None:
    tokenizer = open_tokenizer(train(TEXT, 700), "x")
    tokens = [tokenizer.decode(np.array([i])) for i in range(4, tokenizer.size)]
    assert any(re.search(r"\w \w", token) for token in tokens), "the last quarter may cross a space"
    assert not any(re.search(r"[.!?] \w|\n\w", token) for token in tokens)


def test_three_quarters_of_the_ids_are_ordinary_bpe() -> None:
    from tokenizers_lab import train_bpe

    small, large = json.loads(train_bpe.train(TEXT, 525))["model"], json.loads(train(TEXT, 700))["model"]
    assert large["merges"][: len(small["merges"])] == small["merges"]


def test_training_gives_the_same_file_each_time() -> None:
    assert train(TEXT, 700) == train(iter(TEXT), 700)


def test_a_token_that_two_merges_spell_has_one_id() -> None:
    made = to_file([("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc")])
    tokenizer = open_tokenizer(made, "x")
    assert tokenizer.size == 260 + 3
    assert tokenizer.encode_batch(["abc"]).ids.tolist() == [262]


def test_special_names_in_the_training_text_are_text() -> None:
    names = [f"{name} of the {name}. " * 30 for name in SPECIAL_NAMES]
    tokenizer = open_tokenizer(train([*TEXT, *names], 700), "x")
    for text in names:
        encoded = tokenizer.encode_batch([text])
        assert encoded.ids.min() >= len(SPECIAL_NAMES)
        assert tokenizer.decode(encoded.ids) == text


@pytest.mark.parametrize(("size", "texts"), [(100, TEXT), (70_000, TEXT), (60_000, TEXT), (300, []), (300, ["", " "])])
def test_too_little_text_or_a_wrong_size_is_one_sentence(size: int, texts: list[str]) -> None:
    with pytest.raises(VocabError, match="--size"):
        train(texts, size)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("added_tokens"),
        lambda c: c["model"].update(merges=[["Ġ", "the"]]),
        lambda c: c["model"]["merges"].pop(3),
        lambda c: c["model"]["vocab"].update({"a": 10_000}),
        lambda c: c["model"].update(dropout=0.1),
        lambda c: c.update(normalizer={"type": "Lowercase"}),
        lambda c: c.update(pre_tokenizer=None),
    ],
)
def test_a_file_that_is_not_ours_is_one_sentence(file_bytes: bytes, change) -> None:
    content = json.loads(file_bytes)
    change(content)
    with pytest.raises(VocabError, match=r"there\.json: no byte-level vocabulary.*pglab vocab train superword"):
        open_tokenizer(json.dumps(content).encode(), "there.json")
