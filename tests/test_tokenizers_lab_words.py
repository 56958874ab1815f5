"""The word table: the ids and bytes of the reference for any text, whatever is known, full or in collision."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenizers_lab import fast_engine, word_table
from tokenizers_lab.builders import EVERY, open_vocabulary
from tokenizers_lab.byte_counts import byte_lengths, sizes_of
from tokenizers_lab.errors import VocabError
from tokenizers_lab.fast_engine import HARD
from tokenizers_lab.importers import IMPORTED
from tokenizers_lab.word_rules import rules_of
from tokenizers_lab.word_table import WordTable

KINDS = ("bpe", "sp_bpe", "sp_bpe_lossless", "sp_bpe_caseops", "unigram", "wordpiece")
WHITE = " \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u1680\u180e\u2000\u200a\u200b\u2028\u202f\u205f\u3000\ufeff"
ODD = "\x00\x07\u2581\ue001\ue002\ue004\u0301\u064e\ufe8e\ufb01\u2026\xbd\uff21\uff0c\u1112\u1161"
ODD += "\uac00\u4e2d\U0001f600\xad"
WORDS = (
    "the",
    "The",
    "THE",
    "iPhone",
    "don't",
    "I'LL",
    "x1y2",
    "<s>",
    "</s>",
    "caf\xe9",
    "\u201cquoted\u201d",
    "ABC,def",
    "a",
)
hostile_text = st.lists(
    st.one_of(
        st.sampled_from(WORDS), st.text(st.sampled_from(WHITE + ODD + "ab'sZ1,."), max_size=4), st.text(max_size=5)
    ),
    max_size=12,
).map("".join)
batches = st.lists(hostile_text, min_size=1, max_size=4)


def table_of(folder, kind, **options):
    data = (folder / "vocab" / kind / EVERY[kind].file).read_bytes()
    reference = EVERY[kind].open(data, kind)
    rules = rules_of(reference)
    assert rules is not None
    return WordTable(reference, rules, **options)


def holds(table, texts):
    raws = [text.encode() for text in texts]
    made, right = table.encode(texts, raws), table.reference.encode_batch(texts)
    assert np.array_equal(made.offsets, right.offsets)
    assert np.array_equal(made.ids, right.ids), (texts, made.ids.tolist(), right.ids.tolist())
    assert made.ids.dtype == right.ids.dtype
    ends, wanted = table.byte_ends(made, texts, raws), table.reference.byte_ends(right, texts)
    assert np.array_equal(ends, wanted), (texts, ends.tolist(), wanted.tolist())


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_gets_the_ids_and_bytes_of_the_reference(small_lab, kind, hostile):
    table = table_of(small_lab, kind)
    holds(table, [*hostile, *HARD, "", " ", "word"])
    holds(table, [w + c + s + v for c in WHITE + ODD for w in ("a", "a ") for s in ("", " ", "\n ") for v in ("b", "")])
    given(batches)(lambda texts: holds(table, texts))()
    table.limit = 0  # from here on nothing new is kept
    given(batches)(lambda texts: holds(table, texts))()


@pytest.mark.parametrize("kind", ["bpe", "sp_bpe"])
def test_words_that_collide_and_a_full_table_give_the_same(small_lab, kind):
    texts = [" ".join(f"{word}{number % 7}" for number, word in enumerate(text.split())) for text in HARD] * 3
    weak = table_of(small_lab, kind, odd=1 << 62)  # the hash keeps two bits of a word
    full = table_of(small_lab, kind, limit=60)
    holds(full, ["some few words", "that are kept"])
    kept = int(full._state[3])
    for _ in range(2):
        holds(weak, texts)
        holds(full, [*texts, "some words that are kept"])
    assert int(full._state[3]) == kept == int((full._slots[:, 1] != 0).sum()) > 5


def test_chunks_and_groups_of_any_size(small_lab, monkeypatch):
    monkeypatch.setattr(word_table, "GROUP", 40)
    table = table_of(small_lab, "sp_bpe")
    texts = ["", "x" * 5000, "word " * 300, " ", "ab" * 2000 + " end", "\u4e2d" * 1500, *HARD]
    texts += [" ".join(f"w{number}" for number in range(20000))]
    holds(table, texts)


def test_known_words_are_not_asked_for_again(small_lab, monkeypatch):
    table = table_of(small_lab, "sp_bpe_caseops")
    texts = ["The \ufb01ne Print \u2026 e\u0301 of NASA "] * 3
    raws = [text.encode() for text in texts]
    first = table.encode(texts, raws)
    ends = table.byte_ends(first, texts, raws)
    monkeypatch.setattr(table, "reference", None)
    assert np.array_equal(table.encode(texts, raws).ids, first.ids)
    assert np.array_equal(table.byte_ends(first, texts, raws), ends)
    with pytest.raises(ValueError, match="other ids"):
        table.byte_ends(first, [*texts[1:], "else"], [*raws[:2], b"else"])


def test_what_has_no_words_is_refused(small_lab):
    for kind in ("bytes", "superword", "sp_unigram", "sp_unigram_lossless"):
        _, tokenizer, _ = open_vocabulary(small_lab / "vocab" / kind)
        assert rules_of(getattr(tokenizer, "reference", tokenizer)) is None, kind


def test_it_stands_in_front_of_a_vocabulary(small_lab, monkeypatch, hostile):
    monkeypatch.setattr(fast_engine, "WORTH", -1)
    for kind in KINDS:
        tokenizer = open_vocabulary(small_lab / "vocab" / kind)[1]
        made = tokenizer.encode_batch(hostile)
        assert tokenizer.state == "fast", tokenizer.state
        assert byte_lengths(tokenizer, made, hostile).sum() <= sizes_of(hostile).sum()
        with pytest.raises(VocabError, match="lone surrogate"):
            tokenizer.encode_batch(["fine", "a\ud800"])


def test_wrong_bytes_dismiss_it(small_lab, monkeypatch, capsys):
    monkeypatch.setattr(fast_engine, "WORTH", -1)
    monkeypatch.setattr(fast_engine, "RECHECK", 1)
    tokenizer = open_vocabulary(small_lab / "vocab/sp_bpe")[1]
    texts = ["some words here", "and there"]
    made = tokenizer.encode_batch(texts)
    right = tokenizer.byte_ends(made, texts)
    count = WordTable.byte_ends
    monkeypatch.setattr(WordTable, "byte_ends", lambda self, *said: count(self, *said) - 1)
    assert np.array_equal(tokenizer.byte_ends(made, texts), right)
    assert tokenizer.state.startswith("the word table differed from the reference in the bytes of a document")
    assert "going on with the reference" in capsys.readouterr().err


def test_real_text_in_many_languages(real_data):
    tables = {}
    for name in ("fineweb_8192_bpe_sp", "fineweb_8192_caseops_reserved"):
        kind = "sp_caseops" if "caseops" in name else "sp"
        data = (real_data / f"tokenizers/{name}.model").read_bytes()
        reference = IMPORTED[kind](data, name)
        tables[name] = WordTable(reference, rules_of(reference))
    texts = []
    for name in ("udhr", "verify_docs_raw"):
        texts += [json.loads(line)["text"] for line in (real_data / f"text/{name}.jsonl").open(encoding="utf-8")][:60]
    for table in tables.values():
        holds(table, [text[:4000] for text in texts])
