"""The reader of case vocabularies: literal texts with signs, broken files, and damage."""

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.byte_alphabet import character_to_byte
from bpb_audit.case_signs import restore_signs
from bpb_audit.errors import AuditError
from bpb_audit.recount import text_sizes
from bpb_audit.tokenizer_files import parse_tokenizer
from bpb_audit.vocabulary import Vocabulary

SPELT = {byte: character for character, byte in character_to_byte().items()}
SPECIALS = [
    {"id": at, "content": f"<{name} >", "special": True} for at, name in enumerate(("pad", "bos", "eos", "unk"))
]


def spell(data: bytes) -> str:
    return "".join(SPELT[byte] for byte in data)


def file(merges: object, specials: object = SPECIALS, name: str = "pglab-case-level-1") -> bytes:
    return json.dumps({"format": name, "added_tokens": specials, "merges": merges}).encode()


def wrapped(inner: object) -> bytes:
    return json.dumps({"format": "pglab-case-level-2", "kind": "some_case", "tokenizer": inner}).encode()


MERGES = [[spell(b"h"), spell(b"e")], [spell(b"t"), spell(b"he")], [spell(b" "), spell(b"the")]]
MERGES += [[spell(b"i"), spell(b"\xfd")]]


@pytest.mark.parametrize(
    ("folded", "text"),
    [
        (b"\xff the \xffcat", b" The Cat"),
        (b"\xfenasa i\xfdphone", b"NASA iPhone"),
        (b"a\xfe nasa's", b"a NASA's"),
        (b" \xff the", b"  The"),
        ("\xff".encode("latin-1") + "naïve".encode(), "Naïve".encode()),
        (b"plain", b"plain"),
        (b"\xff", None),
        (b"\xff1", None),
        (b"\xff\xffa", None),
        (b"\xfd a", None),
    ],
)
def test_signs_are_read_backwards(folded: bytes, text: bytes | None) -> None:
    assert restore_signs(folded) == text


@given(st.text())
def test_text_without_signs_stands(text: str) -> None:
    assert restore_signs(text.encode()) == text.encode()


def test_ids_follow_from_the_merges() -> None:
    made = parse_tokenizer(file(MERGES), "f")
    assert isinstance(made, Vocabulary)
    assert len(made) == 264
    assert [made.token(i) for i in (0, 4, 259, 260, 261, 262, 263)] == [
        b"", b"\0", b"\xff", b"he", b"the", b" the", b"i\xfd",
    ]  # fmt: skip
    assert (made.bos, made.unknown) == (1, 3)
    assert text_sizes(made)[[3, 4, 257, 258, 259, 262, 263]].tolist() == [0, 1, 0, 0, 0, 4, 1]
    assert np.array_equal(made.table.base_bytes, text_sizes(made)[:264])
    assert made.decode(np.array([1, 259, 262, 263, 4 + ord("p")])) == b" TheiP"
    with pytest.raises(AuditError, match="case sign"):
        made.decode(np.array([1, 259, 4 + ord("1")]))


def test_an_ordinary_file_over_folded_text_counts_no_signs() -> None:
    vocab = [[added["content"], 0.0] for added in SPECIALS] + [[spell(bytes([byte])), -1.0] for byte in range(256)]
    vocab += [[spell(b"\xff the"), -2.0], [spell(b"i\xfd"), -2.0]]
    inner = {"added_tokens": SPECIALS, "decoder": {"type": "ByteLevel"}, "model": {"type": "Unigram", "vocab": vocab}}
    made = parse_tokenizer(wrapped(inner), "f")
    assert isinstance(made, Vocabulary)
    assert (made.transform, made.bos, len(made)) == ("case signs", 1, 262)
    assert text_sizes(made)[[1, 4, 257, 259, 260, 261]].tolist() == [0, 1, 0, 0, 4, 1]
    assert np.array_equal(made.table.base_bytes, text_sizes(made)[:262])
    assert made.decode(np.array([1, 260, 261, 4 + ord("p")])) == b" TheiP"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (file([["zz", "a"]]), "merge 0"),
        (file([[SPELT[65], SPELT[66]]] * 2), "merge 1"),
        (file([["a"]]), "merge 0"),
        (file([[1, 2]]), "merge 0"),
        (file(7), "merges"),
        (file(None), "merges"),
        (file([], []), "special tokens"),
        (file([], SPECIALS[::-1]), "added token"),
        (file([], SPECIALS[:3]), "special tokens"),
        (file([], [*SPECIALS, {"id": 4, "content": "cat", "special": False}]), "added token"),
        (file([], [{"id": True, "content": "<s>", "special": True}]), "added token"),
        (file([], name="pglab-case-level-2"), "a tokenizer of type NoneType"),
        (wrapped({}), 'under "model"'),
        (wrapped({"format": "pglab-case-level-2", "tokenizer": {}}), 'under "model"'),
        (
            wrapped({"decoder": {"type": "Fuse"}, "model": {"type": "Unigram", "vocab": [["a", 0.0]]}}),
            "wanted a byte-level decoder inside",
        ),
    ],
)
def test_broken_files_give_one_sentence(data: bytes, said: str) -> None:
    with pytest.raises(AuditError, match=said) as told:
        parse_tokenizer(data, "vocab/tokenizer.json")
    assert "vocab/tokenizer.json" in str(told.value)


def test_any_damage_is_a_value_or_the_one_error() -> None:
    data, dice = file(MERGES), random.Random(7)
    damaged = [data[:cut] for cut in range(0, len(data), 3)]
    for _ in range(300):
        flipped = bytearray(data)
        flipped[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        damaged.append(bytes(flipped))
    refused = 0
    for each in damaged:
        try:
            parse_tokenizer(each, "f")
        except AuditError:
            refused += 1
    assert refused > len(damaged) // 3
