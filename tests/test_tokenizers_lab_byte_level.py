"""Byte-level BPE against a slow plain encoder, against Hugging Face's own reading of our file, and broken files."""

import json
import unicodedata
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from tokenizers_lab.builders import open_vocabulary, training_documents
from tokenizers_lab.byte_level import ByteLevelTokenizer
from tokenizers_lab.byte_level_file import byte_alphabet, to_file
from tokenizers_lab.errors import VocabError
from tokenizers_lab.text_cut import cut
from tokenizers_lab.tokenizer import SPECIAL_NAMES
from tokenizers_lab.train_bpe import train

SPACES = {*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")


def kind_of(character: str) -> str:
    if ord(character) in SPACES:
        return "space"
    return {"L": "letter", "N": "number"}.get(unicodedata.category(character)[0], "other")


def words_of(text: str) -> list[str]:
    """The GPT-2 split by hand: contractions, or a run of one kind with at most one space (U+0020) before it."""
    words, at = [], 0
    while at < len(text):
        short = next((c for c in CONTRACTIONS if text.startswith(c, at)), None)
        if short:
            end = at + len(short)
        else:
            begin = at + (text[at] == " " and at + 1 < len(text) and kind_of(text[at + 1]) != "space")
            kind = kind_of(text[begin])
            end = begin
            while end < len(text) and kind_of(text[end]) == kind:
                end += 1
            if kind == "space" and end < len(text) and end - at > 1:
                end -= 1  # the last one goes with the word behind it
        words.append(text[at:end])
        at = end
    return words


@pytest.fixture(scope="session")
def file_bytes(small_lab: Path) -> bytes:
    return (small_lab / "vocab/bpe/tokenizer.json").read_bytes()


def slow_encode(content: dict, text: str) -> list[int]:
    """BPE as its definition says: in each word, merge the pair of lowest rank until none is left."""
    vocab = content["model"]["vocab"]
    rank = {tuple(pair): i for i, pair in enumerate(content["model"]["merges"])}
    alphabet = byte_alphabet()
    ids = []
    for word in words_of(text):
        parts = [alphabet[byte] for byte in word.encode("utf-8")]
        while True:
            pairs = [(rank[pair], i) for i, pair in enumerate(pairwise(parts)) if pair in rank]
            if not pairs:
                break
            best = min(pairs)[0]
            joined, i = [], 0
            while i < len(parts):
                if i + 1 < len(parts) and rank.get((parts[i], parts[i + 1])) == best:
                    joined.append(parts[i] + parts[i + 1])
                    i += 2
                else:
                    joined.append(parts[i])
                    i += 1
            parts = joined
        ids += [vocab[part] for part in parts]
    return ids


def test_a_slow_encoder_gives_the_same_ids(file_bytes: bytes, hostile: tuple[str, ...]) -> None:
    tokenizer, content = ByteLevelTokenizer(file_bytes), json.loads(file_bytes)
    for text in hostile:
        assert tokenizer.encode_batch([text]).ids.tolist() == slow_encode(content, text), text

    @given(st.text(st.characters(max_codepoint=0x52F), max_size=40))
    def holds(text: str) -> None:
        assert tokenizer.encode_batch([text]).ids.tolist() == slow_encode(content, text)

    holds()


def test_a_strangers_reader_gives_the_same_ids_and_knows_the_special_ones(
    file_bytes: bytes, hostile: tuple[str, ...]
) -> None:
    ours, theirs = ByteLevelTokenizer(file_bytes), tokenizers.Tokenizer.from_str(file_bytes.decode("utf-8"))
    assert theirs.get_vocab_size() == ours.size
    assert [theirs.token_to_id(name) for name in SPECIAL_NAMES] == [0, 1, 2, 3]
    for text in hostile:
        if not any(name in text for name in SPECIAL_NAMES):
            ids = theirs.encode(text, add_special_tokens=False).ids
            assert ids == ours.encode_batch([text]).ids.tolist()
            assert theirs.decode(ids, skip_special_tokens=False) == text
    injected = "x <bos > y"  # a stranger's reader finds the name in the text; ours must not
    assert 1 in theirs.encode(injected).ids
    assert not np.isin(ours.encode_batch([injected]).ids, [0, 1, 2, 3]).any()


def test_the_alphabet_is_hugging_faces() -> None:
    assert sorted(byte_alphabet()) == sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    pre = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    for character in ["A", " ", "\n", "é", "中", "\x00", "\x7f", "\xad"]:
        spelt = "".join(piece for piece, _ in pre.pre_tokenize_str(character))
        assert spelt == "".join(byte_alphabet()[byte] for byte in character.encode("utf-8"))


def test_token_bytes_are_what_tokens_decode_to(file_bytes: bytes) -> None:
    tokenizer = ByteLevelTokenizer(file_bytes)
    assert tokenizer.token_bytes is not None
    vocab = json.loads(file_bytes)["model"]["vocab"]
    byte_of = {character: byte for byte, character in enumerate(byte_alphabet())}
    for token, token_id in vocab.items():
        wanted = 0 if token in SPECIAL_NAMES else len(bytes(byte_of[c] for c in token))
        assert tokenizer.token_bytes[token_id] == wanted
    assert sorted(vocab.values()) == list(range(tokenizer.size))


def test_vocabularies_are_nested(small_lab: Path, file_bytes: bytes) -> None:
    small = json.loads(train(training_documents(small_lab / "corpus/docs.jsonl", None), 300))["model"]["merges"]
    assert small == json.loads(file_bytes)["model"]["merges"][: len(small)]


def test_the_smallest_vocabulary_is_bytes_alone() -> None:
    tokenizer = ByteLevelTokenizer(to_file([], 260))
    assert tokenizer.encode_batch(["é"]).ids.tolist() == [4 + 0xC3, 4 + 0xA9]


def edited(data: bytes, change) -> bytes:
    content = json.loads(data)
    change(content)
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("added_tokens"),
        lambda c: c.update(added_tokens=[]),
        lambda c: c["added_tokens"][1].update(content="<s>"),
        lambda c: c["added_tokens"].append({**c["added_tokens"][0], "id": 400, "content": "hello"}),
        lambda c: c.pop("model"),
        lambda c: c["model"].pop("vocab"),
        lambda c: c["model"]["vocab"].pop("a"),
        lambda c: c["model"]["vocab"].update({"a": 10_000}),
        lambda c: c["model"]["vocab"].update({"a": -5}),
        lambda c: c["model"]["vocab"].update({"a": c["model"]["vocab"]["b"]}),
        lambda c: c["model"]["vocab"].update({"a b": 400}),
        lambda c: c["model"].update(merges=[["no", "such"]]),
        lambda c: c["model"].update(merges=3),
        lambda c: c["model"].update(type="WordPiece"),
        lambda c: c.update(normalizer={"type": "Lowercase"}),
        lambda c: c.update(pre_tokenizer={"type": "Whitespace"}),
    ],
)
def test_a_file_that_is_not_ours_is_one_sentence(file_bytes: bytes, change) -> None:
    with pytest.raises(VocabError, match="pglab vocab train bpe"):
        ByteLevelTokenizer(edited(file_bytes, change), "there.json")


def test_every_truncation_is_one_sentence(file_bytes: bytes) -> None:
    for end in [*range(0, 400), *range(400, len(file_bytes) - 2, 997)]:
        with pytest.raises(VocabError, match=r"there\.json"):
            ByteLevelTokenizer(file_bytes[:end], "there.json")


def test_the_written_file_never_changes(golden) -> None:
    golden("tokenizers_lab_bpe_262.json", to_file([("t", "h"), ("th", "e")], 262))


def test_opening_by_folder(small_lab: Path) -> None:
    spec, tokenizer, data = open_vocabulary(small_lab / "vocab/bpe")
    assert (spec.kind, spec.lossless, tokenizer.bos) == ("bpe", "exact", 1)
    assert data == (small_lab / "vocab/bpe/tokenizer.json").read_bytes()


def test_a_long_document_is_cut_where_the_tokens_stay_the_same(
    file_bytes: bytes, hostile: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = ByteLevelTokenizer(file_bytes)
    texts = [" ".join(hostile), "a b  c d\n e f's g", *hostile]
    whole = tokenizer.encode_batch(texts)
    for longest in (1, 2, 3, 7, 50):
        monkeypatch.setattr("tokenizers_lab.byte_level.LONGEST", longest)
        parts = tokenizer.encode_batch(texts)
        assert np.array_equal(parts.ids, whole.ids)
        assert np.array_equal(parts.offsets, whole.offsets)


@given(st.text(st.sampled_from("ab1 ' s_\n\t\xa0é中"), max_size=60), st.integers(1, 5))
def test_parts_join_to_the_text_and_split_into_the_same_words(text: str, longest: int) -> None:
    parts = list(cut(text, longest))
    assert "".join(parts) == text
    assert [word for part in parts for word in words_of(part)] == words_of(text)


def test_the_fast_trainer_learns_the_same_file(
    small_lab: Path, hostile: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("gigatoken")
    texts = [*training_documents(small_lab / "corpus/docs.jsonl", None), *hostile * 3]
    for size in (260, 261, 300, 700):
        assert train(texts, size) == train(texts, size, fast=False)
    out, err = capfd.readouterr()
    assert (out, err) == ("", ""), "gigatoken talks, and must not be heard"


def test_a_fast_trainer_that_differs_is_not_used(
    small_lab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tokenizers_lab.train_fast.importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("tokenizers_lab.train_fast._gigatoken", lambda texts, merges: [("a", "b")] * merges)
    texts = list(training_documents(small_lab / "corpus/docs.jsonl", None))
    assert train(texts, 300) == train(texts, 300, fast=False)
    assert "gigatoken learnt other merges" in capsys.readouterr().err


def test_too_little_text_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    for fast in (True, False):
        with pytest.raises(VocabError, match=r"the training text gives 26[0-9] ids, 300 were asked for"):
            train(["abcd"], 300, fast=fast)
    with pytest.raises(VocabError, match="gives 260 ids"):
        train([], 300)
    capfd.readouterr()
