"""TokenMonster files, written here by their format: read, decoded, refused for encoding; a broken one is a sentence."""

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenizers_lab.builders import open_vocabulary
from tokenizers_lab.compare import compare
from tokenizers_lab.errors import VocabError
from tokenizers_lab.importers import import_vocabulary
from tokenizers_lab.tokenmonster import NONE, TokenMonsterTokenizer, raise_capitals, read


def u24(value: int) -> bytes:
    return value.to_bytes(3, "little")


def vocab_file(
    tokens: list[tuple[bytes, int, int]], capcode: int = 2, charset: int = 1, normaliser: int = 1, deleted: int = 1
) -> bytes:
    """tokens: (bytes, flag, id)."""
    ids = max(token_id for _, _, token_id in tokens) + 1
    out = bytes([capcode, charset, normaliser, 1, 0, 0, 0, 0])
    out += u24(NONE) + u24(ids) + u24(ids) + u24(len(tokens)) + u24(NONE) + bytes([40])
    for token, flag, token_id in tokens:
        out += bytes([len(token)]) + token + bytes([flag, 0]) + u24(NONE) + u24(NONE) + u24(token_id)
        out += struct.pack("<f", 0.5)
    out += bytes(256) + u24(deleted)
    return out + (bytes([3]) + b"old" + u24(7) + struct.pack("<f", 0.1)) * deleted


SMALL = [(b"0", 0, 0), (b"D 0", 16, 0), (b"C", 8, 1), (b"W", 8, 2), (b"D", 8, 3), (b" the", 0, 4), (b"nasa", 0, 5)]
SMALL += [(b"<s>", 64, 6), ("é".encode(), 0, 7), (b" ", 0, 8), ("é".encode()[:1], 0, 9), ("é".encode()[1:], 0, 10)]


def test_a_file_is_read_field_by_field() -> None:
    found = read(vocab_file(SMALL), "x")
    assert (found.capcode, found.charset, found.normaliser, found.unk) == (2, 1, 1, -1)
    assert found.tokens[0] == b"0", "of two spellings the first"
    assert found.tokens[4] == b" the"
    assert found.special == {6}


def test_tokens_decode_through_capcode() -> None:
    tokenizer = TokenMonsterTokenizer(vocab_file(SMALL))
    assert (tokenizer.size, tokenizer.bos, tokenizer.lossless, tokenizer.token_bytes) == (12, 11, "lossy", None)
    ids = np.array([11, 6, 2, 5, 4, 3, 8, 0, 7, 9, 10])
    assert tokenizer.decode(ids) == "NASA the0éé", "BOS and special are silent, D takes the space back"
    assert tokenizer.table.is_boundary[[6, 11]].all()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
def test_capitals_come_back(text: str) -> None:
    def marked(c: str) -> str:
        return "C" + c.lower() if len(c.lower()) == 1 and c.lower().upper() == c != c.lower() else c

    told = "".join(map(marked, text))
    if not set("CDW") & set(told.replace("C", "")) and told.count("C") == sum(marked(c) != c for c in text):
        assert raise_capitals(told, 2) == text


@pytest.mark.parametrize(
    ("told", "level", "text"),
    [
        ("Wnasa Ciphone", 2, "NASA Iphone"),
        ("Wit's a-b", 2, "IT'S A-b".replace("A", "a")),
        ("Wab1c d", 2, "AB1C d"),
        ("W the end", 2, " THE end"),
        ("oneD two", 2, "onetwo"),
        ("one\x7f two C", 1, "onetwo C"),
        ("DCW", 2, ""),
        ("Cß", 2, "ß"),
    ],
)
def test_capcode_by_hand(told: str, level: int, text: str) -> None:
    assert raise_capitals(told, level) == text


def test_without_capcode_and_with_all_bytes_it_is_exact() -> None:
    bytes_ = [(bytes([byte]), 0, byte) for byte in range(256)]
    plain = TokenMonsterTokenizer(vocab_file([*bytes_, (b" the", 0, 300)], capcode=0, charset=0, normaliser=0))
    assert plain.lossless == "exact"
    assert plain.token_bytes is not None
    assert plain.token_bytes[[65, 300, 299, 301]].tolist() == [1, 4, 0, 0]
    assert plain.decode(np.frombuffer("é the".encode(), np.uint8)) == "é the"
    assert TokenMonsterTokenizer(vocab_file(bytes_, capcode=0)).lossless == "normalised"


def test_it_is_taken_over_and_refuses_to_encode(small_lab: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.vocab").write_bytes(vocab_file(SMALL))
    spec = import_vocabulary(tmp_path / "tiny.vocab", tmp_path / "tm")
    assert (spec.kind, spec.size, spec.lossless) == ("tokenmonster", 12, "lossy")
    assert open_vocabulary(tmp_path / "tm")[1].decode(np.array([2, 5])) == "NASA"
    with pytest.raises(VocabError, match="can only decode this vocabulary"):
        compare([tmp_path / "tm"], small_lab / "corpus/docs.jsonl")
    with pytest.raises(VocabError, match="is for SentencePiece models"):
        import_vocabulary(tmp_path / "tiny.vocab", tmp_path / "no", "caseops")
    assert not (tmp_path / "no").exists()


def test_every_truncation_and_every_changed_byte_is_a_sentence_or_a_vocabulary() -> None:
    good = vocab_file(SMALL)
    for end in range(len(good)):
        with pytest.raises(VocabError, match=r"x\.vocab"):
            TokenMonsterTokenizer(good[:end], "x.vocab")
    for at in range(len(good)):
        for value in (0, 1, 0x7F, 0xFF):
            with suppress(VocabError):
                TokenMonsterTokenizer(good[:at] + bytes([value]) + good[at + 1 :], "x.vocab")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (vocab_file(SMALL) + b"x", "1 bytes too many"),
        (vocab_file([(b"x" * 41, 0, 0)]), "with id 0"),
        (vocab_file(SMALL, charset=2), "UTF-16"),
        (b"", "begins otherwise"),
    ],
)
def test_files_that_do_not_do_are_one_sentence(data: bytes, says: str) -> None:
    with pytest.raises(VocabError, match=says):
        TokenMonsterTokenizer(data, "x.vocab")
