"""Case as separate signs: the byte form, the public form made from it, and vocabularies on either."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenizers_lab import case_bytes, case_level, caseops
from tokenizers_lab.builders import COMPOSED, KINDS, open_vocabulary, train_vocabulary
from tokenizers_lab.byte_counts import byte_lengths
from tokenizers_lab.errors import VocabError

TITLE, CAPS, NEXT, ESCAPE = caseops.OPERATORS
texts = st.text() | st.text(alphabet="aBCd eF.\n1é" + "".join(caseops.OPERATORS), max_size=40)


def slow_encode(text: str) -> str:
    """The rules word by word, as one would explain them."""

    def word(match: re.Match[str]) -> str:
        w = match[0]
        if len(w) > 1 and w.isupper():
            return CAPS + w.lower()
        head = TITLE + w[0].lower() if w[0].isupper() else w[0]
        return head + "".join(NEXT + c.lower() if c.isupper() else c for c in w[1:])

    literal = re.sub("[\ue001-\ue004]", lambda m: "\0" + m[0], text.replace("\0", "\1"))
    folded = re.sub("[A-Za-z]+", word, literal).replace("\0", ESCAPE)
    return folded.replace("\1", "\0") if "\1" not in text else ""


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("The NASA iPhone", f"{TITLE}the {CAPS}nasa i{NEXT}phone"),
        ("A", f"{TITLE}a"),
        ("AB", f"{CAPS}ab"),
        ("McDonald", f"{TITLE}mc{NEXT}donald"),
        ("aBC", f"a{NEXT}b{NEXT}c"),
        ("X2Y", f"{TITLE}x2{TITLE}y"),
        ("ÉCOLE", f"É{CAPS}cole"),
        ("It's", f"{TITLE}it's"),
        (f"a{TITLE}B", f"a{ESCAPE}{TITLE}{TITLE}b"),
        (ESCAPE, ESCAPE * 2),
        ("", ""),
    ],
)
def test_caseops_writes_what_the_public_transform_writes(text, folded):
    assert caseops.encode(text) == folded
    assert caseops.decode(folded) == text


@given(texts)
def test_caseops_follows_the_rules_word_by_word(text):
    if "\1" not in text:
        assert caseops.encode(text) == slow_encode(text)


@given(texts)
def test_both_forms_come_back(text):
    data = text.encode()
    assert caseops.decode(caseops.encode(text)) == text
    folded = case_bytes.fold(data)
    assert case_bytes.raise_capitals(folded) == data
    moved = case_bytes.signs_first(folded)
    assert case_bytes.spaces_first(moved) == folded
    assert not re.search(rb" [\xfe\xff]", moved)
    assert not re.search(rb"[A-Z]", folded)


@given(texts)
def test_every_prefix_knows_its_original_bytes(text):
    transformed = caseops.encode(text).encode()
    ends = caseops.original_ends(caseops.encode(text))
    assert (int(ends[0]), int(ends[-1])) == (0, len(text.encode()))
    assert len(ends) == len(transformed) + 1
    assert np.isin(np.diff(ends), (0, 1)).all()
    kept = bytes(b for b, counts in zip(transformed, np.diff(ends), strict=True) if counts)
    assert kept.lower() == text.encode().lower()  # what counts is the text itself, but for case
    assert int(case_bytes.original_ends(case_bytes.fold(text.encode()))[-1]) == len(text.encode())


@pytest.mark.parametrize(
    "broken",
    [TITLE, f"{CAPS} x", f"{NEXT}1", f"{TITLE}{CAPS}a", ESCAPE, f"{ESCAPE}a", f"x{CAPS}", f"{TITLE}É"],
)
def test_operators_that_no_text_leads_to_are_refused(broken):
    with pytest.raises(VocabError, match=r"case sign|escape"):
        caseops.decode(broken)


def test_what_can_mean_only_one_thing_is_let_pass():
    assert caseops.decode(f"a{TITLE}b") == "aB"  # a normaliser dropped what stood between
    assert caseops.decode(f"{NEXT}a") == caseops.decode("A") == "A"
    assert caseops.decode(f"{CAPS}ab{NEXT}cd") == "ABCD"


@given(st.text(alphabet="aB .\ue001\ue002\ue003\ue004", max_size=12))
def test_any_text_decodes_or_is_refused(text):
    try:
        found = caseops.decode(text)
    except VocabError:
        return
    assert caseops.decode(caseops.encode(found)) == found


@given(st.binary(max_size=12) | st.lists(st.sampled_from(list(b"aB \xfd\xfe\xff")), max_size=9).map(bytes))
def test_any_bytes_raise_their_capitals_or_are_refused(data):
    try:
        found = case_bytes.raise_capitals(case_bytes.spaces_first(data))
    except VocabError:
        return
    assert not any(byte >= case_bytes.FIRST_SIGN for byte in found)


def test_bytes_that_are_signs_are_no_text():
    with pytest.raises(VocabError, match="byte 3 is 0xFE"):
        case_bytes.fold(b"ab\xfe")
    with pytest.raises(VocabError, match="character 2 is a lone surrogate"):
        caseops.encode("a\ud800")


SAMPLE = [
    "The Senate of the United States. THE HOUSE! the senate, a NASA iPhone",
    "“Quoted” it's 3,000\n\n The end",
] * 30


@pytest.fixture(scope="module", params=["bpe_case", "sp_bpe_caseops"])
def vocabulary(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    docs = folder / "docs.jsonl"
    docs.write_text("".join(json.dumps({"text": text}) + "\n" for text in SAMPLE))
    train_vocabulary(request.param, docs, 300, folder / "v")
    return open_vocabulary(folder / "v")


def test_a_vocabulary_of_either_form_accounts_for_every_byte(vocabulary, hostile):
    spec, tokenizer, _ = vocabulary
    encoded = tokenizer.encode_batch(hostile)
    lengths = byte_lengths(tokenizer, encoded, hostile)
    assert int(lengths.sum()) == sum(
        len(t.encode()) for t, n in zip(hostile, np.diff(encoded.offsets), strict=True) if n
    )
    if spec.lossless == "exact":
        assert [tokenizer.decode(encoded.document(i)) for i in range(len(hostile))] == list(hostile)


def test_the_same_word_is_the_same_token_in_any_case():
    tokenizer = case_level.open_tokenizer(case_level.train(SAMPLE, 300))
    small, title, caps = (tokenizer.encode_batch([text]).ids.tolist() for text in ("a the", "a The", "a THE"))
    assert title[:-1] + caps[:-1] == [small[0], 4 + 0xFF, small[0], 4 + 0xFE]
    assert small[-1] == title[-1] == caps[-1]
    assert tokenizer.table.base_bytes[[4 + 0xFE, 4 + 0xFF]].tolist() == [0, 0]


def test_the_byte_table_of_the_byte_form_is_exact_and_of_the_public_form_is_not(vocabulary):
    spec, tokenizer, _ = vocabulary
    text = "The NASA iPhone"
    encoded = tokenizer.encode_batch([text])
    by_table = int(tokenizer.table.count(np.concatenate([[1], encoded.ids])).sum())
    assert by_table == (15 if spec.kind == "bpe_case" else 24)  # three operators of three bytes


@pytest.mark.parametrize("broken", [b"", b"{}", b'{"format": "pglab-case-level-1"}', b"\xff", b"[]"])
def test_a_file_of_another_kind_is_refused(broken):
    with pytest.raises(VocabError, match="no pglab-case-level-1 vocabulary"):
        case_level.open_tokenizer(broken)


def test_the_kinds_say_what_they_are():
    assert "case" in KINDS["bpe_case"].line
    assert KINDS["sp_bpe_caseops"].options()["user_defined_symbols"] == list(caseops.OPERATORS)


def test_real_web_text_comes_back(real_data):
    for line in (real_data / "text/verify_docs_raw.jsonl").open(encoding="utf-8"):
        text = json.loads(line)["text"]
        assert caseops.decode(caseops.encode(text)) == text
        assert case_bytes.raise_capitals(case_bytes.fold(text.encode())) == text.encode()


@given(st.lists(st.text(st.sampled_from("aZ b\0\n\ue001é"), max_size=12), max_size=9))
def test_many_texts_are_transformed_as_each_alone(texts):
    assert caseops.encode_all(texts) == [caseops.encode(text) for text in texts]


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] if "unigram" in kind else []) for kind in COMPOSED]
)
def test_a_transform_stands_before_every_other_kind(small_lab, tmp_path, hostile, kind):
    spec = train_vocabulary(kind, small_lab / "corpus/docs.jsonl", 400, tmp_path / "v")
    tokenizer = open_vocabulary(tmp_path / "v")[1]
    assert spec.lossless == ("exact" if "lossless" in kind or kind.endswith("_case") else "lossy")
    told = [*hostile, "The NASA iPhone\ue001 ▁ <s>", ""]
    encoded = tokenizer.encode_batch(told)
    kept = [text for text, size in zip(told, np.diff(encoded.offsets), strict=True) if size]
    assert byte_lengths(tokenizer, encoded, told).sum() == sum(len(text.encode()) for text in kept)
    if spec.lossless == "exact":
        assert [tokenizer.decode(encoded.document(i)) for i in range(len(told))] == told
