"""The fast encoder: the same ids, believed only as far as checked, dismissed at the first difference."""

import json

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from tokenizers_lab import fast_engine
from tokenizers_lab.builders import open_vocabulary
from tokenizers_lab.byte_counts import byte_lengths
from tokenizers_lab.errors import VocabError
from tokenizers_lab.fast_engine import HARD, PART, FastTokenizer, load
from tokenizers_lab.fast_odd import odd
from tokenizers_lab.spm_file import plain_symbols
from tokenizers_lab.tokenizer import Encoded

pytest.importorskip("gigatoken")
KINDS = ["bpe", "sp_bpe", "sp_bpe_lossless"]


@pytest.fixture(params=KINDS)
def fast(request, small_lab, monkeypatch):
    monkeypatch.setattr(fast_engine, "WORTH", -1)
    tokenizer = open_vocabulary(small_lab / "vocab" / request.param)[1]
    tokenizer.encode_batch(["to begin with"])
    assert tokenizer.state == "fast"
    return tokenizer


def same(a: Encoded, b: Encoded) -> bool:
    return np.array_equal(a.ids, b.ids) and np.array_equal(a.offsets, b.offsets) and a.ids.dtype == b.ids.dtype


def test_hard_and_hostile_texts_get_the_reference_ids(fast, hostile):
    texts = [*hostile, *HARD, "</s><s>", "e\u0301", "\u1112\u1161\u11ab", "a▁b", "\x85", ""]
    assert same(fast.encode_batch(texts), fast.reference.encode_batch(texts))
    assert fast.state == "fast"
    byte_lengths(fast, fast.encode_batch(HARD), HARD)


def test_letters_that_only_one_of_them_knows_go_to_the_reference(fast):
    texts = [f"\"{letter}'ll {letter}1{letter}a" for letter in "\u088f\u0cdc\ua7ce\ua7f1\U0001094d\U00016ea1\U0003347f"]
    assert same(fast.encode_batch(texts), fast.reference.encode_batch(texts))
    assert fast.state == "fast"


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_gets_the_reference_ids(small_lab, kind, monkeypatch):
    monkeypatch.setattr(fast_engine, "WORTH", -1)
    fast = open_vocabulary(small_lab / "vocab" / kind)[1]

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
    assert all(odd(text) for text in wrong)  # and if gigatoken mends one, nothing breaks


class Liar:
    """An engine that is right for so many texts."""

    def __init__(self, engine, right: int) -> None:
        self.engine, self.right = engine, right

    def encode(self, text):
        self.right -= 1
        return self.engine.encode(text if self.right >= 0 else text[::-1])


def test_a_difference_while_working_dismisses_it_and_gives_the_right_ids(small_lab, monkeypatch, capsys):
    monkeypatch.setattr(fast_engine, "WORTH", -1)
    monkeypatch.setattr(fast_engine, "RECHECK", 1)
    tokenizer = open_vocabulary(small_lab / "vocab/bpe")[1]
    texts = ["one document of words", "another"]
    right = len(HARD) + 2 * len(texts)  # the trial and the first batch
    monkeypatch.setattr(fast_engine, "load", lambda data: Liar(load(data), right))
    for _ in range(3):
        assert same(tokenizer.encode_batch(texts), tokenizer.reference.encode_batch(texts))
    assert tokenizer.state.startswith("gigatoken differed from the reference in a document that begins")
    assert capsys.readouterr().err.count("going on with the reference, slower") == 1


def test_an_engine_that_fails_the_trial_is_never_used(small_lab, monkeypatch, capsys):
    monkeypatch.setattr(fast_engine, "WORTH", -1)
    monkeypatch.setattr(fast_engine, "load", lambda data: Liar(load(data), right=0))
    tokenizer = open_vocabulary(small_lab / "vocab/bpe")[1]
    assert same(tokenizer.encode_batch(HARD), tokenizer.reference.encode_batch(HARD))
    assert tokenizer.state.endswith("on the trial")
    assert "note: bpe: gigatoken differed" in capsys.readouterr().err


def test_little_text_does_not_load_it(small_lab, monkeypatch):
    monkeypatch.setattr(fast_engine, "load", lambda data: pytest.fail("loaded for nothing"))
    tokenizer = open_vocabulary(small_lab / "vocab/bpe")[1]
    tokenizer.encode_batch(["x" * (fast_engine.WORTH // 2)])
    assert tokenizer.state == "waiting"


def test_without_the_extra_everything_works(small_lab, monkeypatch):
    monkeypatch.setattr(fast_engine, "WORTH", -1)
    monkeypatch.setitem(__import__("sys").modules, "gigatoken", None)
    tokenizer = open_vocabulary(small_lab / "vocab/bpe")[1]
    assert same(tokenizer.encode_batch(["abc"]), tokenizer.reference.encode_batch(["abc"]))
    assert tokenizer.state == "gigatoken is not installed"


def test_a_vocabulary_it_does_not_know_is_encoded_by_the_reference(small_lab, monkeypatch):
    monkeypatch.setattr(fast_engine, "WORTH", -1)
    reference = open_vocabulary(small_lab / "vocab/bytes")[1]
    tokenizer = FastTokenizer(reference, b'{"kind": "bytes"}', "bytes")
    assert same(tokenizer.encode_batch(["abc"]), reference.encode_batch(["abc"]))
    assert tokenizer.state.startswith("gigatoken refuses")


def test_a_lone_surrogate_is_one_sentence(fast):
    with pytest.raises(VocabError, match="lone surrogate"):
        fast.encode_batch(["fine", "a\ud800"])


def test_real_text_in_many_languages(fast, real_data):
    texts = []
    for name in ("udhr", "verify_docs_raw"):
        texts += [json.loads(line)["text"] for line in (real_data / f"text/{name}.jsonl").open(encoding="utf-8")][:60]
    assert same(fast.encode_batch(texts), fast.reference.encode_batch(texts))
    assert fast.state == "fast"


def test_caseops_is_encoded_fast_with_the_reference_ids(small_lab, hostile, monkeypatch):
    monkeypatch.setattr(fast_engine, "WORTH", -1)
    fast = open_vocabulary(small_lab / "vocab/sp_bpe_caseops")[1]
    fast.encode_batch(["To Begin WITH, iPhone"])
    assert fast.state == "fast"

    @given(
        st.lists(st.text(st.sampled_from("aZbB \n'1é\ue001\ue002\ue004\u2581"), max_size=30), min_size=1, max_size=4)
    )
    def holds(texts):
        assert same(fast.encode_batch(texts), fast.reference.encode_batch(texts))

    holds()
    texts = [*hostile, *HARD, "The NASA iPhone. THE END of It"]
    assert same(fast.encode_batch(texts), fast.reference.encode_batch(texts))
    assert fast.state == "fast"


@pytest.mark.parametrize("kind", [*KINDS, "sp_bpe_caseops"])
def test_only_the_odd_part_of_a_long_document_goes_to_the_reference(small_lab, kind, monkeypatch):
    monkeypatch.setattr(fast_engine, "WORTH", -1)
    fast = open_vocabulary(small_lab / "vocab" / kind)[1]
    fast.encode_batch(["to begin with"])
    plain = "Words of an Ordinary text, one after the other; " * 40
    texts = [
        plain + "\ufe8e\u064e <s> \x85 " + plain,
        "e\u0301 " + plain,
        "",
        plain,
        plain + "\u2581",
        "  </s>\n " * 90,
    ]
    right = fast.reference.encode_batch(texts)
    asked: list[str] = []
    ask = fast.reference.encode_batch
    monkeypatch.setattr(fast_engine, "RECHECK", 1 << 40)
    monkeypatch.setattr(fast.reference, "encode_batch", lambda some: asked.extend(some) or ask(some))
    assert same(fast.encode_batch(texts), right)
    assert fast.state == "fast"
    assert max(map(len, asked)) < 2 * PART + 20


def test_symbols_become_ordinary_pieces_only_where_that_is_the_same(small_lab):
    data = (small_lab / "vocab/sp_bpe_caseops/tokenizer.model").read_bytes()
    changed = plain_symbols(data)
    engine = sentencepiece.SentencePieceProcessor(model_proto=changed)
    before = sentencepiece.SentencePieceProcessor(model_proto=data)
    assert [engine.id_to_piece(i) for i in range(len(engine))] == [before.id_to_piece(i) for i in range(len(before))]
    assert plain_symbols(changed) == changed
    for text in ("\ue001the \ue002cat", "a\ue004\ue001 b", "  \ue001 "):
        assert engine.encode(text) == before.encode(text)
    inside = b"\x0a\x07\x0a\x05" + "x\ue001y".encode()  # a piece that holds a symbol
    for wrong in (data[:50], data[:-1], data + inside, b"\xff" * 9):
        with pytest.raises(ValueError, match=r"cut off|another piece|no end|utf-8"):
            plain_symbols(wrong)
