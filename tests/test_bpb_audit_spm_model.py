"""The auditor's own .model reader: by hand-written files, by the sentencepiece library as judge, and by damage."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.errors import AuditError
from bpb_audit.spm_model import read_spm_model
from bpb_audit.spm_vocabulary import spm_vocabulary
from bpb_audit.tokenizer_files import open_tokenizer, parse_tokenizer
from bpb_audit.vocabulary import Vocabulary
from bpb_audit.wire import varint
from tests.audit_makers import DOCS, damaged, message, model_bytes, number, piece, plain_pieces, trained

spm = pytest.importorskip("sentencepiece")
LUT_PROBES = [" the", "the cat", "a", ""]


def test_a_hand_written_model_is_read_field_by_field() -> None:
    pieces = [("<pad>", 3), ("<s>", 3), ("<unk>", 2), ("\u2581the", 1), ("<0x0A>", 6), ("op", 4), ("old", 5)]
    model = read_spm_model(model_bytes(pieces, algorithm=2, rules="nmt_nfkc", dummy_prefix=True), "m")
    assert model.pieces == ("<pad>", "<s>", "<unk>", "\u2581the", "<0x0A>", "op", "old")
    assert model.types.tolist() == [3, 3, 2, 1, 6, 4, 5]
    assert (model.algorithm, model.byte_fallback) == ("bpe", True)
    assert (model.normaliser.name, model.normaliser.add_dummy_prefix) == ("nmt_nfkc", True)
    assert not model.normaliser.remove_extra_whitespaces
    assert (model.special_id("bos"), model.special_id("unk"), model.special_id("eos")) == (1, 2, None)
    view = spm_vocabulary(model, "m")
    assert [view.token(i) for i in range(7)] == [b"", b"", b"", b" the", b"\n", b"op", b""]
    assert view.table.base_bytes.tolist() == [0, 0, 0, 3, 1, 2, 0]
    assert view.table.has_leading_space.tolist() == [False, False, False, True, False, False, False]
    assert view.table.is_boundary.tolist() == [True, True, True, False, False, False, True]


def test_defaults_are_those_of_the_format() -> None:
    model = read_spm_model(message(1, message(1, b"a")), "m")
    assert (model.algorithm, model.byte_fallback, model.types.tolist()) == ("unigram", False, [1])
    assert model.normaliser.add_dummy_prefix
    assert model.normaliser.remove_extra_whitespaces


def library_table(sp) -> tuple[list[int], list[bool], list[bool]]:  # type: ignore[no-untyped-def]
    """The official rule through the library's eyes, piece by piece."""
    base, spaced, boundary = [], [], []
    for i in range(sp.vocab_size()):
        text = sp.id_to_piece(i)
        dead = sp.is_control(i) or sp.is_unknown(i) or sp.is_unused(i)
        boundary.append(dead)
        spaced.append(not dead and not sp.is_byte(i) and text.startswith("\u2581"))
        base.append(0 if dead else 1 if sp.is_byte(i) else len(text.removeprefix("\u2581").encode()))
    return base, spaced, boundary


def agree_with_library(data: bytes, texts: list[str]) -> Vocabulary:
    """Pieces, types, scores, special ids, table and decoded text against the library, on the same bytes."""
    sp = spm.SentencePieceProcessor()
    sp.LoadFromSerializedProto(data)
    model = read_spm_model(data, "m")
    view = spm_vocabulary(model, "m")
    assert list(model.pieces) == [sp.id_to_piece(i) for i in range(sp.vocab_size())]
    assert model.scores.tolist() == pytest.approx([sp.get_score(i) for i in range(sp.vocab_size())])
    for kind, asked in ((2, sp.is_unknown), (3, sp.is_control), (5, sp.is_unused), (6, sp.is_byte)):
        assert np.flatnonzero(model.types == kind).tolist() == [i for i in range(len(model.pieces)) if asked(i)]
    for part in ("bos", "eos", "pad", "unk"):
        assert (-1 if model.special_id(part) is None else model.special_id(part)) == getattr(sp, f"{part}_id")()
    table = view.table
    assert (table.base_bytes.tolist(), table.has_leading_space.tolist(), table.is_boundary.tolist()) == library_table(
        sp
    )
    for text in texts:
        ids = sp.encode(text)
        if sp.unk_id() in ids or view.transform:
            continue
        assert view.decode(np.array(ids, np.int64)) == sp.decode(ids).encode()
    return view


@pytest.mark.parametrize(("algorithm", "lossless"), [("bpe", False), ("bpe", True), ("unigram", False)])
def test_trained_models_agree_with_the_library(algorithm: str, lossless: bool) -> None:
    view = agree_with_library(trained(algorithm, lossless=lossless), [*DOCS, *LUT_PROBES])
    assert view.kind == f"sentencepiece {algorithm}"


def test_every_real_model_agrees_with_the_library(real_data: Path) -> None:
    from bpb_audit.documents import read_documents

    texts = [d.text for d, _ in zip(read_documents(real_data / "text/verify_docs_raw.jsonl"), range(25), strict=False)]
    places = sorted(real_data.joinpath("tokenizers").glob("*.model"))
    assert len(places) >= 8
    for place in places:
        agree_with_library(place.read_bytes(), [*texts, *DOCS])


def test_a_bpe_encoder_leaves_no_neighbours_it_would_have_merged() -> None:
    data = trained("bpe")
    sp = spm.SentencePieceProcessor()
    sp.LoadFromSerializedProto(data)
    view = parse_tokenizer(data, "m")
    assert isinstance(view, Vocabulary)
    assert view.merges is not None
    assert len(view.merges) > 20
    for text in DOCS:
        ids = np.array(sp.encode(text), np.int64)
        assert not np.isin(ids[:-1] * len(view) + ids[1:], view.merges).any()


BROKEN = {
    "empty": b"",
    "text": b"once upon a time",
    "cut in a length": b"\x0a\x05\x0a\x03ab",
    "cut in a number": b"\x0a\xff",
    "eleven byte number": b"\x08" + b"\xff" * 10 + b"\x01",
    "group wire type": b"\x0b",
    "field zero": b"\x02\x01a",
    "piece without text": message(1, number(3, 1)),
    "piece of type 9": message(1, message(1, b"a") + number(3, 9)),
    "piece not UTF-8": message(1, message(1, b"\xff\xfe")),
    "pieces as a number": number(1, 5),
    "model type 7": piece("a") + message(2, number(3, 7)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_models_raise_the_one_error(name: str) -> None:
    with pytest.raises(AuditError, match=r"^m: "):
        read_spm_model(BROKEN[name], "m")


def test_a_byte_piece_must_be_named_as_one() -> None:
    with pytest.raises(AuditError, match="byte piece 0"):
        parse_tokenizer(model_bytes([("<0xZZ>", 6)]), "m")


def test_varints_are_read_as_protobuf_writes_them() -> None:
    assert varint(b"\x96\x01", 0, "m") == (150, 2)
    assert varint(b"\xff" * 9 + b"\x01", 0, "m") == (2**64 - 1, 10)


def test_damage_gives_a_value_or_the_one_error() -> None:
    data = model_bytes(plain_pieces()[:40], algorithm=2)
    for broken in damaged(data):
        try:
            model = read_spm_model(broken, "m")
            view = spm_vocabulary(model, "m")
        except AuditError:
            continue
        assert len(view) == len(model.pieces)
        view.decode(np.arange(len(view)))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_tokenizer_or_the_one_error(data: bytes) -> None:
    with contextlib.suppress(AuditError):
        parse_tokenizer(data, "m")


def test_a_missing_file_is_an_os_error_and_a_folder_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_tokenizer(tmp_path / "no.model")
    with pytest.raises(AuditError, match="a folder"):
        open_tokenizer(tmp_path)
