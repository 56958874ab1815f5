"""The fast encoder: the same ids, believed only as far as checked, dismissed at the first difference."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenizers_lab import fast_engine, fast_gigatoken, train_spm
from tokenizers_lab.builders import open_vocabulary, train_vocabulary, training_documents
from tokenizers_lab.byte_counts import byte_lengths
from tokenizers_lab.errors import VocabError
from tokenizers_lab.fast_choice import with_engine
from tokenizers_lab.fast_engine import HARD
from tokenizers_lab.fast_gigatoken import load
from tokenizers_lab.fast_odd import NEW, odd
from tokenizers_lab.importers import import_vocabulary
from tokenizers_lab.tokenizer import Encoded

pytest.importorskip("gigatoken")
KINDS = ["bpe_split", "sp"]  # sp: a model that puts a space before a text and keeps all others, so it has no words


@pytest.fixture(scope="module")
def lab(tmp_path_factory, small_lab):
    """Vocabularies that gigatoken encodes; small_lab has the others."""
    home = tmp_path_factory.mktemp("lab")
    train_vocabulary("bpe_split", small_lab / "corpus/docs.jsonl", 400, home / "bpe_split", split="cl100k")
    texts = [text for text in training_documents(small_lab / "corpus/docs.jsonl", None) if "\x00" not in text]
    options = {**train_spm.LOSSLESS, "add_dummy_prefix": True}
    (home / "m.model").write_bytes(train_spm.train(texts, 400, options))
    import_vocabulary(home / "m.model", home / "sp")
    return home


@pytest.fixture(params=KINDS)
def fast(request, lab, monkeypatch):
    monkeypatch.setattr(fast_engine, "WORTH", -1)
    tokenizer = open_vocabulary(lab / request.param)[1]
    tokenizer.encode_batch(["to begin with"])
    assert tokenizer.state == "fast"
    assert tokenizer._engine.name == "gigatoken"
    return tokenizer


def same(a: Encoded, b: Encoded) -> bool:
    return np.array_equal(a.ids, b.ids) and np.array_equal(a.offsets, b.offsets) and a.ids.dtype == b.ids.dtype


def test_hard_and_hostile_texts_get_the_reference_ids(fast, hostile):
    texts = [*hostile, *HARD, "</s><s>", "e\u0301", "\u1112\u1161\u11ab", "a▁b", "\x85", ""]
    assert same(fast.encode_batch(texts), fast.reference.encode_batch(texts))
    assert fast.state == "fast"
    byte_lengths(fast, fast.encode_batch(HARD), HARD)


def test_each_letter_that_only_one_of_them_knows_is_odd():
    letters = NEW.findall("".join(map(chr, [*range(0x80, 0xD800), *range(0xE000, 0x40000)])))
    assert len(letters) > 4000
    assert all(odd(f"a {letter}", f"a {letter}".encode()) for letter in letters)


def test_letters_that_only_one_of_them_knows_go_to_the_reference(fast):
    texts = [f"\"{letter}'ll {letter}1{letter}a" for letter in "\u088f\u0cdc\ua7ce\ua7f1\U0001094d\U00016ea1\U0003347f"]
    assert same(fast.encode_batch(texts), fast.reference.encode_batch(texts))
    assert fast.state == "fast"


def test_any_text_gets_the_reference_ids(fast):
    @given(st.lists(st.text(max_size=40), min_size=1, max_size=4))
    def holds(texts):
        assert same(fast.encode_batch(texts), fast.reference.encode_batch(texts))

    holds()
    assert fast.state == "fast"


def test_what_it_is_known_to_get_wrong_never_reaches_it(small_lab):
    _, tokenizer, data = open_vocabulary(small_lab / "vocab/sp_bpe")
    engine = load(data)
    wrong = [
        text
        for text in (
            *("</s>", "a\x85", "\u1112\u1161\u11ab", "plain text", "\u30ab\uff9e", "\u314b\u314f", "\u0915\u093c"),
            *("\ufe8e\u064e", "\u00a0\u0e31", "\u00b2\ufe0f", "\u00aa\u200d"),  # marks behind what NFKC replaces
        )
        if engine.encode(text).tolist() != tokenizer.encode_batch([text]).ids.tolist()
    ]
    assert {"</s>", "\ufe8e\u064e", "\u314b\u314f"} <= set(wrong)
    assert all(odd(text, text.encode()) for text in wrong)  # and if gigatoken mends one, nothing breaks


class Liar:
    """An engine that is right for so many texts."""

    def __init__(self, engine, right: int) -> None:
        self.engine, self.right = engine, right

    def encode(self, text):
        self.right -= 1
        return self.engine.encode(text if self.right >= 0 else text[::-1])


def test_a_difference_while_working_dismisses_it_and_gives_the_right_ids(lab, monkeypatch, capsys):
    monkeypatch.setattr(fast_engine, "WORTH", -1)
    monkeypatch.setattr(fast_engine, "RECHECK", 1)
    tokenizer = open_vocabulary(lab / "bpe_split")[1]
    texts = ["one document of words", "another"]
    right = len(HARD) + 2 * len(texts)  # the trial and the first batch
    monkeypatch.setattr(fast_gigatoken, "load", lambda data: Liar(load(data), right))
    for _ in range(3):
        assert same(tokenizer.encode_batch(texts), tokenizer.reference.encode_batch(texts))
    assert tokenizer.state.startswith("gigatoken differed from the reference in a document that begins")
    assert capsys.readouterr().err.count("going on with the reference, slower") == 1


def test_an_engine_that_fails_the_trial_is_never_used(lab, monkeypatch, capsys):
    monkeypatch.setattr(fast_engine, "WORTH", -1)
    monkeypatch.setattr(fast_gigatoken, "load", lambda data: Liar(load(data), right=0))
    tokenizer = open_vocabulary(lab / "bpe_split")[1]
    assert same(tokenizer.encode_batch(HARD), tokenizer.reference.encode_batch(HARD))
    assert tokenizer.state.endswith("on the trial")
    assert "note: bpe_split: gigatoken differed" in capsys.readouterr().err


def test_little_text_does_not_load_it(lab, monkeypatch):
    monkeypatch.setattr(fast_gigatoken, "load", lambda data: pytest.fail("loaded for nothing"))
    tokenizer = open_vocabulary(lab / "bpe_split")[1]
    tokenizer.encode_batch(["x" * (fast_engine.WORTH // 2)])
    assert tokenizer.state == "waiting"
    tokenizer.expected = fast_engine.WORTH + 1
    monkeypatch.undo()
    tokenizer.encode_batch(["x"])
    assert tokenizer.state == "fast"


def test_without_the_extra_everything_works(lab, monkeypatch):
    monkeypatch.setattr(fast_engine, "WORTH", -1)
    monkeypatch.setitem(__import__("sys").modules, "gigatoken", None)
    tokenizer = open_vocabulary(lab / "bpe_split")[1]
    assert same(tokenizer.encode_batch(["abc"]), tokenizer.reference.encode_batch(["abc"]))
    assert tokenizer.state == "gigatoken is not installed"


def test_a_vocabulary_it_does_not_know_is_encoded_by_the_reference(small_lab, monkeypatch):
    monkeypatch.setattr(fast_engine, "WORTH", -1)
    reference = open_vocabulary(small_lab / "vocab/bytes")[1]
    for kind in ("hf", "unigram"):
        tokenizer = with_engine(kind, "bytes", reference, b'{"kind": "bytes"}')
        assert same(tokenizer.encode_batch(["abc"]), reference.encode_batch(["abc"]))
        assert tokenizer.state.startswith("no fast engine takes this vocabulary")
    assert with_engine("bytes", "bytes", reference, b"") is reference


def test_a_lone_surrogate_is_one_sentence(fast):
    with pytest.raises(VocabError, match="lone surrogate"):
        fast.encode_batch(["fine", "a\ud800"])


def test_real_text_in_many_languages(fast, real_data):
    texts = []
    for name in ("udhr", "verify_docs_raw"):
        texts += [json.loads(line)["text"] for line in (real_data / f"text/{name}.jsonl").open(encoding="utf-8")][:60]
    assert same(fast.encode_batch(texts), fast.reference.encode_batch(texts))
    assert fast.state == "fast"
