"""SentencePiece: its own library as judge, spans against the text, long documents in training, broken models."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from tokenizers_lab.byte_counts import byte_lengths
from tokenizers_lab.errors import VocabError
from tokenizers_lab.spm_engine import SentencePieceTokenizer
from tokenizers_lab.spm_file import read_normaliser
from tokenizers_lab.train_spm import CHALLENGE, LOSSLESS, pieces, train

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.fixture(scope="session")
def model(small_lab: Path) -> bytes:
    return (small_lab / "vocab/sp_bpe/tokenizer.model").read_bytes()


@pytest.fixture(scope="session")
def lossless(small_lab: Path) -> SentencePieceTokenizer:
    return SentencePieceTokenizer((small_lab / "vocab/sp_bpe_lossless/tokenizer.model").read_bytes())


def test_ids_are_those_of_the_library(model: bytes, hostile: tuple[str, ...]) -> None:
    ours, theirs = SentencePieceTokenizer(model), sentencepiece.SentencePieceProcessor(model_proto=model)
    for one in hostile:
        assert ours.encode_batch([one]).ids.tolist() == theirs.encode(one, return_type=int)


def test_the_lossless_kind_is_the_library_but_for_u2581(lossless: SentencePieceTokenizer) -> None:
    theirs = lossless._engine

    @given(text)
    def holds(one: str) -> None:
        ids = lossless.encode_batch([one]).ids.tolist()
        if "\u2581" not in one:
            assert ids == theirs.encode(one, return_type=int)
        assert theirs.decode(ids) == one  # a stranger's decoder restores the text as well

    holds()


def test_the_official_table_by_its_rule(model: bytes) -> None:
    table, theirs = SentencePieceTokenizer(model).table, sentencepiece.SentencePieceProcessor(model_proto=model)
    for i in range(theirs.vocab_size()):
        piece = theirs.id_to_piece(i)
        if theirs.is_control(i) or theirs.is_unknown(i) or theirs.is_unused(i):
            wanted = (0, False, True)
        elif theirs.is_byte(i):
            wanted = (1, False, False)
        else:
            wanted = (len(piece.removeprefix("\u2581").encode()), piece.startswith("\u2581"), False)
        found = (int(table.base_bytes[i]), bool(table.has_leading_space[i]), bool(table.is_boundary[i]))
        assert found == wanted


@pytest.mark.parametrize(
    ("original", "lengths"),
    [
        ("a", [1]),
        ("   a", [4]),  # what is dropped before a token is charged to it
        ("a   ", [4]),  # and at the end to the last one
        ("", []),
        ("  ", []),
    ],
)
def test_dropped_white_space_is_charged_to_a_neighbour(model: bytes, original: str, lengths: list[int]) -> None:
    tokenizer = SentencePieceTokenizer(model)
    assert byte_lengths(tokenizer, tokenizer.encode_batch([original]), [original]).tolist() == lengths


def test_spans_follow_the_original_text(model: bytes) -> None:
    tokenizer = SentencePieceTokenizer(model)
    words = ["alpha", "ﬁne", "½", "中", "e\u0301", "x", "42", "😀"]
    rng = random.Random(5)
    for _ in range(100):
        original = " ".join(rng.choices(words, k=6))
        encoded = tokenizer.encode_batch([original])
        ends = tokenizer.byte_ends(encoded, [original])
        raw = original.encode("utf-8")
        for i, end in enumerate(ends.tolist()):  # a word never ends inside a token's bytes: cut there, and decode
            piece = tokenizer._engine.id_to_piece(int(encoded.ids[i]))
            if piece.startswith("\u2581") and i:
                assert raw[ends[i - 1] : end].startswith(b" ")


def test_no_document_is_left_out_for_its_length(capfd: pytest.CaptureFixture[str]) -> None:
    rare = "zyzzyva " * 30_000  # 240,000 bytes; sentencepiece would drop it
    data = train(["plain words here " * 20, rare], 300, CHALLENGE)
    assert "\u2581zyzzyva" in [
        SentencePieceTokenizer(data)._engine.id_to_piece(i) for i in range(SentencePieceTokenizer(data).size)
    ]
    stock = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["plain words here " * 20, rare]),
        model_writer=stock,
        vocab_size=300,
        minloglevel=2,
        **CHALLENGE,
    )
    stock_model = sentencepiece.SentencePieceProcessor(model_proto=stock.getvalue())
    assert "\u2581zyzzyva" not in [stock_model.id_to_piece(i) for i in range(stock_model.vocab_size())]
    capfd.readouterr()


@given(st.text(st.sampled_from("ab \n"), max_size=300), st.integers(4, 80))
def test_pieces_join_to_the_text_and_stay_below_the_limit(original: str, limit: int) -> None:
    parts = list(pieces(original, limit))
    assert "".join(parts) == original
    assert all(len(part.encode()) <= limit for part in parts)


def test_what_a_model_says_of_its_normaliser(model: bytes, small_lab: Path) -> None:
    found = read_normaliser(model, "m")
    assert (found.name, bool(found.table), found.removes_spaces, found.dummy_prefix) == ("nmt_nfkc", True, True, False)
    assert (found.byte_fallback, found.lossless) == (True, "normalised")
    other = read_normaliser((small_lab / "vocab/sp_bpe_lossless/tokenizer.model").read_bytes(), "m")
    assert (bool(other.table), other.removes_spaces, other.lossless) == (False, False, "exact")


@pytest.mark.parametrize(
    ("options", "level"),
    [
        ({"normalization_rule_name": "nmt_nfkc_cf"}, "lossy"),
        ({"byte_fallback": False}, "lossy"),
        ({"normalization_rule_name": "identity", "remove_extra_whitespaces": True}, "normalised"),
        ({"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "add_dummy_prefix": True}, None),
    ],
)
def test_levels_of_other_models(options: dict, level: str | None) -> None:
    data = train(["some plain words for a model to learn from " * 30], 300, {**LOSSLESS, **options})
    assert SentencePieceTokenizer(data).lossless == (level or "normalised")


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x0a\xff", b"no model", b"PK\x03\x04", b"\x12\x02\xff\xff"])
def test_a_file_that_is_no_model_is_one_sentence(data: bytes) -> None:
    with pytest.raises(VocabError, match=r"there\.model"):
        SentencePieceTokenizer(data, "there.model")


def test_fuzz_truncations_and_flips_of_a_model(model: bytes) -> None:
    rng = random.Random(11)
    broken = [model[:cut] for cut in [*range(0, 60), *(rng.randrange(len(model)) for _ in range(60))]]
    for _ in range(150):
        flipped = bytearray(model)
        flipped[rng.randrange(len(flipped) if rng.random() < 0.5 else 4000)] ^= 1 << rng.randrange(8)
        broken.append(bytes(flipped))
    for data in broken:
        try:
            tokenizer = SentencePieceTokenizer(data, "there.model")
            encoded = tokenizer.encode_batch(["some text é"])
            assert byte_lengths(tokenizer, encoded, ["some text é"]).sum() in (0, 12)
        except VocabError:
            continue


def test_unknown_pieces_are_silent(model: bytes) -> None:
    tokenizer = SentencePieceTokenizer(model)
    assert np.flatnonzero(tokenizer.silent).tolist() == [0, 1, 2, 3]
    assert int(tokenizer.fallback().sum()) == 256


def spans_of(tokenizer: SentencePieceTokenizer, original: str) -> list[int]:
    """The ends sentencepiece itself reports."""
    found = tokenizer._engine.encode(original.encode("utf-8"), return_type="offset_mapping")
    return [end for _, end in found["offsets"]]


def test_counted_ends_are_those_sentencepiece_reports(model: bytes, hostile: tuple[str, ...]) -> None:
    """Everywhere but inside a character spelt in byte pieces, where we give each piece its byte."""
    tokenizer = SentencePieceTokenizer(model)
    counted = 0

    def agree(original: str) -> None:
        nonlocal counted
        ids = tokenizer.encode_batch([original]).ids
        raw = original.encode("utf-8")
        ends = tokenizer._own.ends(ids, raw)
        counted += ends is not None
        if ends is not None:
            spans = spans_of(tokenizer, original)
            is_byte = tokenizer._byte[ids]
            last_of_run = ~(is_byte & np.append(is_byte[1:], False))
            last_of_run[-1] = False  # ours charges dropped white space at the end to the last token
            assert ends[last_of_run].tolist() == np.array(spans)[last_of_run].tolist(), original

    for one in hostile:
        agree(one)
    given(st.text(st.sampled_from("ab é中\t\n  ½\u2581."), max_size=30))(agree)()
    assert counted > 20


def test_each_byte_piece_has_its_byte(model: bytes) -> None:
    tokenizer = SentencePieceTokenizer(model)
    for original, lengths in [("é", [1, 1]), (" 中 ", [2, 1, 2]), ("ﬁ é", [None, None, 1, 1])]:
        encoded = tokenizer.encode_batch([original])
        found = byte_lengths(tokenizer, encoded, [original]).tolist()
        assert sum(found) == len(original.encode())
        assert found[-2:] == lengths[-2:]
