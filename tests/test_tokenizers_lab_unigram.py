"""Byte-level unigram against a slow Viterbi, and broken files."""

import json
import math
from pathlib import Path

import pytest

from tests.test_tokenizers_lab_byte_level import words_of
from tokenizers_lab.builders import training_documents
from tokenizers_lab.byte_level_file import byte_alphabet
from tokenizers_lab.errors import VocabError
from tokenizers_lab.tokenizer import SPECIAL_NAMES
from tokenizers_lab.train_unigram import count_words, open_tokenizer, to_file, train


@pytest.fixture(scope="session")
def file_bytes(small_lab: Path) -> bytes:
    return (small_lab / "vocab/unigram/tokenizer.json").read_bytes()


def best_score(scores: dict[str, float], word: str) -> float:
    """The highest sum of scores over all ways to cut a word, by the definition."""
    best = [0.0] + [-math.inf] * len(word)
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - 16), end):
            best[end] = max(best[end], best[start] + scores.get(word[start:end], -math.inf))
    return best[-1]


def test_every_word_is_cut_into_its_most_probable_pieces(file_bytes: bytes, hostile: tuple[str, ...]) -> None:
    pieces = json.loads(file_bytes)["model"]["vocab"]
    scores = dict(pieces[len(SPECIAL_NAMES) :])
    tokenizer, alphabet = open_tokenizer(file_bytes, "x"), byte_alphabet()
    for text in [*hostile, "The whole of the documentation, and nothing but the documentation."]:
        words = ["".join(alphabet[byte] for byte in word.encode()) for word in words_of(text)]
        ids = tokenizer.encode_batch([text]).ids.tolist()
        assert "".join(pieces[i][0] for i in ids) == "".join(words)
        wanted = sum(best_score(scores, word) for word in words)
        assert sum(pieces[i][1] for i in ids) == pytest.approx(wanted, rel=1e-9, abs=1e-6)


def test_words_are_counted_as_they_are_split() -> None:
    assert count_words(["the cat the", "the dog"]) == [("the", 2), ("Ġcat", 1), ("Ġdog", 1), ("Ġthe", 1)]


def test_the_smallest_vocabulary_is_bytes_alone() -> None:
    for data in (train(["hello"], 260), train([], 260), to_file([(byte, -5.5) for byte in byte_alphabet()])):
        assert open_tokenizer(data, "x").encode_batch(["é"]).ids.tolist() == [4 + 0xC3, 4 + 0xA9]


@pytest.mark.parametrize("size", [261, 300, 2_000])
def test_sizes_are_met_or_refused(small_lab: Path, size: int) -> None:
    texts = list(training_documents(small_lab / "corpus/docs.jsonl", None))
    assert len(json.loads(train(texts, size))["model"]["vocab"]) == size


@pytest.mark.parametrize(("size", "says"), [(259, "260 to 65,536"), (300, "gives"), (65_537, "260 to 65,536")])
def test_too_little_text_and_sizes_that_do_not_do_are_said(size: int, says: str) -> None:
    with pytest.raises(VocabError, match=says):
        train(["abcd abcd"], size)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("added_tokens"),
        lambda c: c["model"].pop("vocab"),
        lambda c: c["model"].update(vocab={}),
        lambda c: c["model"]["vocab"].pop(7),
        lambda c: c["model"]["vocab"].append(["a", -1.0]),
        lambda c: c["model"]["vocab"].append(["a b", -1.0]),
        lambda c: c["model"]["vocab"].append(["ab", 1.0]),
        lambda c: c["model"]["vocab"].append(["ab", float("nan")]),
        lambda c: c["model"]["vocab"].append(["ab"]),
        lambda c: c["model"]["vocab"].append(["", -1.0]),
        lambda c: c["model"].update(unk_id=3),
        lambda c: c["model"].update(byte_fallback=True),
        lambda c: c.update(normalizer={"type": "NFKC"}),
        lambda c: c.update(pre_tokenizer=None),
    ],
)
def test_a_file_that_is_not_ours_is_one_sentence(file_bytes: bytes, change) -> None:
    content = json.loads(file_bytes)
    change(content)
    with pytest.raises(VocabError, match=r"there\.json: no byte-level vocabulary.*pglab vocab train unigram"):
        open_tokenizer(json.dumps(content).encode(), "there.json")


def test_every_truncation_is_one_sentence(file_bytes: bytes) -> None:
    for end in [*range(0, 400, 7), *range(400, len(file_bytes) - 2, 997)]:
        with pytest.raises(VocabError, match=r"there\.json"):
            open_tokenizer(file_bytes[:end], "there.json")
