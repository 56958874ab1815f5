"""What every kind of vocabulary promises, held to it: bytes that sum, true levels, special ids out of reach."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenizers_lab.builders import KINDS, TABLE, open_vocabulary, train_vocabulary
from tokenizers_lab.byte_counts import byte_lengths, sizes_of
from tokenizers_lab.compare import level_of
from tokenizers_lab.errors import VocabError
from tokenizers_lab.tokenizer import LEVELS, Encoded, Tokenizer

EVERY = pytest.mark.parametrize("kind", list(KINDS))
TAKEN_FOR_SPACES = "\u2581\ufffd"  # nmt_nfkc turns both into a space: such documents are lossy, and measured so
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.fixture(scope="session")
def opened(small_lab: Path) -> dict[str, Tokenizer]:
    return {kind: open_vocabulary(small_lab / "vocab" / kind)[1] for kind in KINDS}


def check(tokenizer: Tokenizer, texts: list[str]) -> None:
    """Everything the interface says, for a batch."""
    encoded = tokenizer.encode_batch(texts)
    assert encoded.ids.dtype == np.uint16
    assert encoded.offsets.dtype == np.int64
    assert encoded.documents == len(texts)
    assert (encoded.offsets[0], encoded.offsets[-1]) == (0, len(encoded.ids))
    assert not tokenizer.table.is_boundary[encoded.ids].any(), "a text produced a special id"
    ends = tokenizer.byte_ends(encoded, texts)
    lengths = byte_lengths(tokenizer, encoded, texts)
    for index, original in enumerate(texts):
        part = slice(encoded.offsets[index], encoded.offsets[index + 1])
        size = len(original.encode("utf-8"))
        if part.stop > part.start:
            assert ends[part][-1] == size
            assert (np.diff(ends[part]) >= 0).all()
            assert lengths[part].sum() == size
        level = level_of(original, tokenizer.decode(encoded.document(index)))
        if tokenizer.lossless == "exact" or not set(original) & set(TAKEN_FOR_SPACES):
            assert LEVELS.index(level) <= LEVELS.index(tokenizer.lossless), (original, level)
        if tokenizer.lossless == "exact":
            assert np.array_equal(np.cumsum(lengths[part]), ends[part])


@EVERY
def test_hostile_texts(opened: dict[str, Tokenizer], hostile: tuple[str, ...], kind: str) -> None:
    check(opened[kind], list(hostile))


@EVERY
def test_any_text(opened: dict[str, Tokenizer], kind: str) -> None:
    @given(st.lists(text, max_size=4))
    def holds(texts: list[str]) -> None:
        check(opened[kind], texts)

    holds()


@EVERY
def test_a_batch_is_its_documents_one_by_one(opened: dict[str, Tokenizer], hostile: tuple[str, ...], kind: str) -> None:
    tokenizer = opened[kind]
    whole = tokenizer.encode_batch(hostile)
    for index, one in enumerate(hostile):
        assert np.array_equal(tokenizer.encode_batch([one]).ids, whole.document(index))


@EVERY
def test_a_lone_surrogate_is_one_sentence(opened: dict[str, Tokenizer], kind: str) -> None:
    with pytest.raises(VocabError, match=r"document 1 of the batch: character 3 is the lone surrogate U\+D83D"):
        opened[kind].encode_batch(["fine", "ab\ud83d"])


@EVERY
def test_special_ids_are_silent_in_text_and_torn_tokens_raise(opened: dict[str, Tokenizer], kind: str) -> None:
    tokenizer = opened[kind]
    ids = tokenizer.encode_batch(["some text"]).ids
    seeded = np.insert(ids, 1, [0, 1, 2, 3]).astype(np.uint16)
    assert tokenizer.decode(seeded) == "some text"
    torn = Encoded(ids[:-1], np.array([0, len(ids) - 1]))
    with pytest.raises(VocabError):
        byte_lengths(tokenizer, torn, ["some text"])


@EVERY
def test_training_twice_gives_the_same_files(small_lab: Path, tmp_path: Path, kind: str) -> None:
    spec = train_vocabulary(kind, small_lab / "corpus/docs.jsonl", 260 if kind == "bytes" else 400, tmp_path / kind)
    for name in (spec.file, TABLE, "spec.json"):
        assert (tmp_path / kind / name).read_bytes() == (small_lab / "vocab" / kind / name).read_bytes(), name


def test_validation_documents_are_left_out_of_training(small_lab: Path, tmp_path: Path) -> None:
    docs = small_lab / "corpus/docs.jsonl"
    corpus = json.loads((small_lab / "corpus/corpus.json").read_text())
    spec = json.loads((small_lab / "vocab/bpe/spec.json").read_text())
    assert spec["trained_on"]["documents"] == corpus["train_documents"]
    assert spec["trained_on"]["bytes"] == corpus["train_bytes"]
    told = train_vocabulary("bpe", docs, 300, tmp_path / "told", skip=corpus["documents"] - 30)
    assert told.trained_on["documents"] == 30


@EVERY
def test_the_table_file_is_the_table(small_lab: Path, opened: dict[str, Tokenizer], kind: str) -> None:
    with np.load(small_lab / "vocab" / kind / TABLE) as found:
        assert set(found.files) == {"base_bytes", "has_leading_space", "is_boundary"}
        table = opened[kind].table
        assert found["base_bytes"].dtype == np.uint16
        assert np.array_equal(found["base_bytes"], table.base_bytes)
        assert np.array_equal(found["has_leading_space"], table.has_leading_space)
        assert np.array_equal(found["is_boundary"], table.is_boundary)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda e: e.update(size=401), "was edited"),
        (lambda e: e.update(sha256="0" * 64), "was edited"),
        (lambda e: e.pop("options"), "not a spec"),
        (lambda e: e.update(format="other"), "format 'other'"),
    ],
)
def test_a_changed_spec_is_refused(small_lab: Path, tmp_path: Path, change, says: str) -> None:
    for file in (small_lab / "vocab/bpe").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    entry = json.loads((tmp_path / "spec.json").read_text())
    change(entry)
    (tmp_path / "spec.json").write_text(json.dumps(entry))
    with pytest.raises(VocabError, match=says):
        open_vocabulary(tmp_path)


def test_another_tokenizer_file_is_refused(small_lab: Path, tmp_path: Path) -> None:
    for file in (small_lab / "vocab/bpe").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "tokenizer.json").write_bytes((small_lab / "vocab/bytes/tokenizer.json").read_bytes())
    with pytest.raises(VocabError, match=r"tokenizer\.json: sha256"):
        open_vocabulary(tmp_path)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": "pglab-vocab-1"}', b"[" * 9_999])
def test_a_broken_spec_is_one_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "spec.json").write_bytes(data)
    with pytest.raises(VocabError, match=r"spec\.json"):
        open_vocabulary(tmp_path)


@pytest.mark.parametrize(
    ("kind", "size", "says"),
    [
        ("bpe", 259, "260 to 65,536"),
        ("bpe", 65_537, "260 to 65,536"),
        ("bpe", 60_000, "training text gives"),
        ("superword", 65_537, "260 to 65,536"),
        ("superword_case", 259, "260 to 65,536"),
        ("bytes", 256, "has 260 ids"),
        ("sp_bpe", 100, "260 to 65,536"),
        ("sp_bpe", 300, r"could not train 300 pieces \(Vocabulary size is smaller .*\d\)\. Give a larger --size"),
        ("wordpieces", 400, "kind 'wordpieces' is not known"),
    ],
)
def test_sizes_and_kinds_that_do_not_do(small_lab: Path, tmp_path: Path, kind: str, size: int, says: str) -> None:
    if (kind, size) == ("sp_bpe", 300):  # more characters than room: the text that needs them
        (tmp_path / "d.jsonl").write_text(json.dumps({"text": "".join(map(chr, range(0x4E00, 0x5200)))}) + "\n")
        docs = tmp_path / "d.jsonl"
    else:
        docs = small_lab / "corpus/docs.jsonl"
    with pytest.raises(VocabError, match=says):
        train_vocabulary(kind, docs, size, tmp_path / "out")
    assert not (tmp_path / "out" / "spec.json").exists()


@pytest.mark.parametrize(
    ("kind", "texts", "says"),
    [
        ("sp_bpe", ["", " \n"], "empty or white space alone"),
        ("unigram", ["   ", ""], r"gives no \d pieces \(Vocabulary size too high \(\d\)\)\. Give"),
        ("bpe", [""], "gives 260 ids"),
        ("superword_case", ["aaaa"] * 2, "gives 262 ids"),
    ],
)
def test_too_little_text_is_one_sentence_and_no_note(tmp_path: Path, capsys, kind: str, texts, says: str) -> None:
    (tmp_path / "d.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    with pytest.raises(VocabError, match=says):
        train_vocabulary(kind, tmp_path / "d.jsonl", 265, tmp_path / "out")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", ["bpe", "sp_bpe", "sp_unigram_caseops"])
def test_a_line_that_is_no_document_is_named_whoever_trains(tmp_path: Path, kind: str) -> None:
    (tmp_path / "d.jsonl").write_text('{"text": "some text"}\n' * 9 + '{"text": "a\\ud800"}\n')
    with pytest.raises(VocabError, match=r"^[^ ]*d\.jsonl:10: character 2 is the lone surrogate"):
        train_vocabulary(kind, tmp_path / "d.jsonl", 300, tmp_path / "out")


def test_sizes_of_names_the_document() -> None:
    assert sizes_of(["", "é", "😀"]).tolist() == [0, 2, 4]


def test_what_the_challenges_normaliser_loses_is_measured_as_lost(opened: dict[str, Tokenizer]) -> None:
    tokenizer = opened["sp_bpe"]
    for original, level in [("fine", "exact"), ("ﬁne  ", "normalised"), ("a\u2581b", "lossy"), ("a\ufffdb", "lossy")]:
        assert level_of(original, tokenizer.decode(tokenizer.encode_batch([original]).ids)) == level


def test_the_vocabulary_of_bytes_reads_no_documents(tmp_path: Path) -> None:
    spec = train_vocabulary("bytes", tmp_path / "not there.jsonl", 260, tmp_path / "a")
    assert spec.sha256 == train_vocabulary("bytes", None, 260, tmp_path / "b").sha256
    with pytest.raises(VocabError, match="Name documents with --docs"):
        train_vocabulary("bpe", None, 300, tmp_path / "c")
