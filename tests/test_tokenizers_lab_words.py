"""The word table: the ids and bytes of the reference for any text, whatever is known, full or in collision."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from tokenizers_lab import fast_engine, spm_file, train_spm, word_table
from tokenizers_lab.builders import EVERY, open_vocabulary
from tokenizers_lab.byte_counts import byte_lengths, sizes_of
from tokenizers_lab.errors import VocabError
from tokenizers_lab.fast_engine import HARD
from tokenizers_lab.importers import IMPORTED
from tokenizers_lab.word_rules import LETTER, NUMBER, rules_of
from tokenizers_lab.word_rules import WHITE as WHITE_KIND
from tokenizers_lab.word_table import WordTable

KINDS = ("bpe", "sp_bpe", "sp_bpe_lossless", "sp_bpe_caseops", "unigram", "wordpiece")
WHITE = " \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u1680\u180e\u2000\u200a\u200b\u2028\u202f\u205f\u3000\ufeff"
ODD = "\x00\x07\u2581\ue001\ue002\ue004\u0301\u064e\ufe8e\ufb01\u2026\xbd\uff21\uff0c\u1112\u1161"
ODD += "\uac00\u4e2d\U0001f600\xad\u207e\u2077\u1fc1\u2167\u09dc\ufffd"
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
    holds(
        table,
        [
            w + c + s + v
            for c in WHITE + ODD
            for w in ("a", "a ", " ", "\n\n")
            for s in ("", " ", "\n ")
            for v in ("b", "")
        ],
    )
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


def test_characters_are_of_the_kind_that_the_split_takes_them_for(small_lab):
    rules = table_of(small_lab, "bpe").rules
    certain = np.flatnonzero(rules.symbols == 0)
    text = "".join(map(chr, certain.tolist()))
    assert len(text) > 9000
    for kind, pattern in ((LETTER, r"\p{L}"), (NUMBER, r"\p{N}"), (WHITE_KIND, r"\s")):
        others = pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str(text)
        left = {ord(c) for part, _ in others for c in part}
        assert left == set(certain[rules.kinds[certain] != kind].tolist()), pattern


def with_more(data, name, more):
    """A `.model` whose piece `name` has more fields."""
    at = data.index(b"\x0a" + bytes([len(name)]) + name + b"\x15") - 2
    assert data[at] == 0x0A
    end = at + 2 + data[at + 1]
    return data[:at] + bytes([0x0A, data[at + 1] + len(more)]) + data[at + 2 : end] + more + data[end:]


def test_pieces_that_merge_otherwise_are_refused(small_lab):
    data = (small_lab / "vocab/sp_bpe/tokenizer.model").read_bytes()

    def rules(data):
        return rules_of(EVERY["sp_bpe"].open(data, "a model"))

    assert rules(with_more(data, b"e", b"\x18\x01")) is not None
    for more in (b"\x18\x05", b"\x18\x04", b"\x18\x84\x00", b"\x18\x04\x7a\x00"):
        assert rules(with_more(data, b"e", more)) is None, more  # unused, cut at, and the same in other words
    score = data.index(b"\x0a\x01e\x15") + 4
    assert rules(data[:score] + b"\x00\x00\x80\x7f" + data[score + 4 :]) is None  # infinite
    texts = ["some text that is here", "and more of it"] * 9
    for preset, folds in ((train_spm.CHALLENGE, False), (train_spm.LOSSLESS, True)):
        assert rules(train_spm.train(texts, 280, {**preset, "remove_extra_whitespaces": folds})) is None
        assert rules(train_spm.train(texts, 280, {**preset, "remove_extra_whitespaces": not folds})) is not None


def test_characters_beyond_twenty_bits_are_no_others(small_lab):
    data = (small_lab / "vocab/sp_bpe_lossless/tokenizer.model").read_bytes()
    at = spm_file._pieces(data)[0]
    names = [(letter + chr(0x100000 + ord("\xe9"))).encode() for letter in "abcdef"]
    more = b"".join(b"\x0a\x0c\x0a\x05" + name + b"\x15\x00\x00\x00\x00" for name in names)
    reference = EVERY["sp_bpe_lossless"].open(data[:at] + more + data[at:], "a model")
    table = WordTable(reference, rules_of(reference))
    holds(table, [f"{chr(point)}\xe9" for point in range(0x61, 0x7B)])


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


def test_a_document_too_long_for_the_table_is_left_to_the_reference(small_lab, monkeypatch):
    table = table_of(small_lab, "sp_bpe")
    monkeypatch.setattr(word_table, "LONGEST", 100)
    with pytest.raises(ValueError, match="a document of 217 bytes"):
        table.encode(["the " * 50], [b"the " * 50])
    holds(table, ["the cat", "iPhone"])
