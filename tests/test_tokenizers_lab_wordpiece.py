"""Byte-level WordPiece against a plain greedy encoder, and broken files."""

import json
from pathlib import Path

import pytest

from tests.test_tokenizers_lab_byte_level import words_of
from tokenizers_lab.byte_level_file import byte_alphabet
from tokenizers_lab.errors import VocabError
from tokenizers_lab.train_wordpiece import LONGEST_WORD, open_tokenizer, to_file


@pytest.fixture(scope="session")
def file_bytes(small_lab: Path) -> bytes:
    return (small_lab / "vocab/wordpiece/tokenizer.json").read_bytes()


def greedy(vocab: dict[str, int], word: str) -> list[int]:
    """The longest token at each place, by the definition."""
    ids, at = [], 0
    while at < len(word):
        end = next(end for end in range(len(word), at, -1) if word[at:end] in vocab)
        ids.append(vocab[word[at:end]])
        at = end
    return ids


def test_the_longest_token_is_taken_at_each_place(file_bytes: bytes, hostile: tuple[str, ...]) -> None:
    vocab, alphabet = json.loads(file_bytes)["model"]["vocab"], byte_alphabet()
    tokenizer = open_tokenizer(file_bytes, "x")
    for text in [*hostile, "##a ## b##c the documentation, " + "documentation" * 20]:
        wanted: list[int] = []
        for word in words_of(text):
            spelt = "".join(alphabet[byte] for byte in word.encode())
            for at in range(0, len(spelt), LONGEST_WORD):
                wanted += greedy(vocab, spelt[at : at + LONGEST_WORD])
        assert tokenizer.encode_batch([text]).ids.tolist() == wanted


def test_the_longest_token_hides_the_merges() -> None:
    tokenizer = open_tokenizer(to_file([*byte_alphabet(), "ab", "bcd", "abc"]), "x")
    assert tokenizer.encode_batch(["abcd"]).ids.tolist() == [262, 4 + ord("d")]


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("added_tokens"),
        lambda c: c["model"].update(vocab=[]),
        lambda c: c["model"]["vocab"].pop("a"),
        lambda c: c["model"]["vocab"].update({"a": 10_000}),
        lambda c: c["model"]["vocab"].update({"a b": 400}),
        lambda c: c["model"]["vocab"].update({"": 400}),
        lambda c: c["model"].update(continuing_subword_prefix="##"),
        lambda c: c["model"].update(max_input_chars_per_word=10),
        lambda c: c.update(normalizer={"type": "Lowercase"}),
        lambda c: c.update(pre_tokenizer={"type": "Whitespace"}),
    ],
)
def test_a_file_that_is_not_ours_is_one_sentence(file_bytes: bytes, change) -> None:
    content = json.loads(file_bytes)
    change(content)
    with pytest.raises(VocabError, match=r"there\.json: no byte-level vocabulary.*pglab vocab train wordpiece"):
        open_tokenizer(json.dumps(content).encode(), "there.json")


def test_every_truncation_is_one_sentence(file_bytes: bytes) -> None:
    for end in [*range(0, 400, 7), *range(400, len(file_bytes) - 2, 497)]:
        with pytest.raises(VocabError, match=r"there\.json"):
            open_tokenizer(file_bytes[:end], "there.json")
