"""The byte form of the case transform before every byte-level kind: exact bytes, one table, files made again."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenizers_lab import case_split, case_tokenizer
from tokenizers_lab.builders import COMPOSED, EVERY, KINDS, cut_vocabulary, open_vocabulary, train_vocabulary
from tokenizers_lab.byte_counts import byte_lengths
from tokenizers_lab.errors import VocabError
from tokenizers_lab.speeches import python_topics
from tokenizers_lab.train_bpe_split import SPLITS

CASED = [kind for kind in EVERY if kind.endswith("_case")]
SAMPLE = [
    "The Senate of the United States. THE HOUSE! the senate, a NASA iPhone. Of the House.\nIt is THE one.",
    "“Quoted” it's 3,000 – naïve\n\n The end. In the end.",
] * 12
SIZE = 320
texts = st.text() | st.text(alphabet="aBCd eF.\n1é\ue001’", max_size=40)


@pytest.fixture(scope="module")
def docs(tmp_path_factory):
    path = tmp_path_factory.mktemp("cased") / "sample.jsonl"
    more = [document.text for document in python_topics()][:6]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in [*SAMPLE, *more]))
    return path


@pytest.fixture(scope="module", params=CASED)
def made(request, docs):
    train_vocabulary(request.param, docs, SIZE, docs.parent / request.param)
    return open_vocabulary(docs.parent / request.param)


def test_every_kind_over_bytes_has_one():
    over_bytes = {name for name, kind in KINDS.items() if "lossless" in kind.line and not name.startswith("sp_")}
    assert {f"{name}_case" for name in over_bytes - {"bpe_case"}} == set(CASED)
    assert {kind for kind in CASED if kind in COMPOSED} == set(CASED) - {"bpe_case"}


def test_any_text_comes_back_and_its_bytes_sum(made, hostile):
    spec, tokenizer, _ = made
    assert (spec.lossless, spec.size, spec.options["signs"][:10]) == ("exact", SIZE, "0xFF title")

    def holds(batch):
        encoded = tokenizer.encode_batch(batch)
        lengths = byte_lengths(tokenizer, encoded, batch)
        assert [tokenizer.decode(encoded.document(i)) for i in range(len(batch))] == list(batch)
        assert np.array_equal(lengths, tokenizer.table.base_bytes[encoded.ids])
        assert not tokenizer.table.is_boundary[encoded.ids].any()

    holds(hostile)
    given(st.lists(texts, max_size=3))(holds)()


def test_a_long_document_is_cut_where_the_tokens_stay_the_same(made, hostile, monkeypatch):
    batch = [*SAMPLE, *hostile, "word" + " The END of NASA, a. The" * 30 + "_ Xy É Z"]
    whole = made[1].encode_batch(batch)
    monkeypatch.setattr(case_tokenizer, "LONGEST", 3)
    parts = made[1].encode_batch(batch)
    assert np.array_equal(parts.ids, whole.ids)
    assert np.array_equal(parts.offsets, whole.offsets)


def test_training_twice_gives_the_same_file(made, docs, tmp_path):
    assert train_vocabulary(made[0].kind, docs, SIZE, tmp_path / "again").sha256 == made[0].sha256


def test_a_word_is_the_same_token_in_any_case(made):
    small, title = (made[1].encode_batch([text]).ids.tolist() for text in ("in the", "in The"))
    assert title == small or set(title) - set(small)  # a superword may hold its sign
    if "superword" not in made[0].kind:
        assert [i for i in title if i != 4 + 0xFF] == small


def test_the_split_is_the_documents_own(docs, tmp_path):
    spec = train_vocabulary("bpe_split_case", docs, 300, tmp_path / "a", split=r"[aeiou]+| T")
    assert spec.options["split"] == r"[aeiou]+| T"
    assert cut_vocabulary(tmp_path / "a", 280, tmp_path / "b").size == 280
    spell = case_split.speller(r"[aeiou]+| T")
    sign = {name: case_tokenizer.ALPHABET[byte] for name, byte in (("title", 0xFF), ("caps", 0xFE), ("next", 0xFD))}
    space = case_tokenizer.SPACE
    assert spell(" The a The") == f"{sign['title']} {space}t h e {space} a {sign['title']} {space}t h e"
    digits = case_split.speller(SPLITS["digits"])
    words = f"{sign['caps']} abc {space} 1 2 Ċ {sign['title']} de {space}i{sign['next']}phone"
    assert digits("ABC 12\nDe iPhone") == words
    assert not re.search(r"[A-Z]", digits("MiXeD CASE"))


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(format="pglab-case-level-1"),
        lambda c: c.update(kind="bpe"),
        lambda c: c.update(more=1),
        lambda c: c.pop("tokenizer"),
        lambda c: c["tokenizer"].update(normalizer={"type": "Lowercase"}),
        lambda c: c["tokenizer"]["model"].pop("vocab"),
        lambda c: c["tokenizer"].update(pre_tokenizer=None),
    ],
)
def test_a_changed_file_is_refused(made, change):
    content = json.loads(made[2])
    if "tokenizer" in content:  # bpe_case has a file of its own
        change(content)
    else:
        content["merges"][0][0] += "!"
    with pytest.raises(VocabError, match=r"no (pglab-case-level-\d|byte-level) vocabulary"):
        EVERY[made[0].kind].open(json.dumps(content).encode(), "here")


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b"null", b"[" * 9_999])
def test_what_is_no_file_is_refused(data):
    for kind in CASED:
        with pytest.raises(VocabError, match=rf"no pglab-case-level-\d vocabulary.*train {kind}"):
            EVERY[kind].open(data, "here")
