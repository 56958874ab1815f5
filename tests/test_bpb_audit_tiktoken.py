"""The auditor's reader of tiktoken rank files: real ones, broken ones by name, and damage."""

import base64
import contextlib
from pathlib import Path

import numpy as np
import pytest

from bpb_audit.errors import AuditError
from bpb_audit.tiktoken_ranks import read_ranks
from bpb_audit.vocabulary import merges_of
from tests.audit_makers import DOCS, damaged


def ranks(tokens: list[bytes]) -> bytes:
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens))


BYTES = [bytes([b]) for b in range(256)]


def test_ids_are_ranks_and_one_silent_end_of_text_follows() -> None:
    view = read_ranks(ranks([*BYTES, b" the", b" then"]), "r")
    assert (len(view), view.bos) == (259, 258)
    assert view.token(256) == b" the"
    assert view.table.base_bytes[[0, 256, 258]].tolist() == [1, 4, 0]
    assert view.silent.sum() == 1
    for text in DOCS:
        assert view.decode(np.frombuffer(text.encode(), np.uint8)) == text.encode()


def test_mergeable_neighbours_are_pairs_whose_sum_is_a_token() -> None:
    view = read_ranks(ranks([b"a", b"b", b"ab", b"aab"]), "r")
    assert view.merges is not None
    pairs = {(int(code) // len(view), int(code) % len(view)) for code in view.merges}
    assert pairs == {(0, 1), (0, 2)}


def test_the_real_gpt2_ranks_agree_with_the_tokenizers_library(real_data: Path) -> None:
    tk = pytest.importorskip("tokenizers")
    data = (real_data / "tokenizers/gpt2.tiktoken").read_bytes()
    view = read_ranks(data, "r")
    assert len(view) == 50_257
    decoder = tk.decoders.ByteLevel()
    from bpb_audit.byte_alphabet import character_to_byte

    back = {byte: character for character, byte in character_to_byte().items()}
    for rank in range(0, 50_256, 997):
        token = view.token(rank)
        try:
            text = token.decode()
        except UnicodeDecodeError:
            continue
        assert decoder.decode(["".join(back[b] for b in token)]) == text


BROKEN = {
    "empty": b"",
    "no rank": b"IQ==\n",
    "three words": b"IQ== 0 1\n",
    "not base64": b"I!== 0\n",
    "not a number": b"IQ== x\n",
    "negative": b"IQ== -1\n",
    "huge": b"IQ== 99999999999\n",
    "a number of 5,000 digits": b"IQ== " + b"9" * 5000 + b"\n",
    "twice": b"IQ== 0\nIg== 0\n",
    "sparse": b"IQ== 900000\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_rank_files_raise_the_one_error(name: str) -> None:
    with pytest.raises(AuditError, match=r"^r:"):
        read_ranks(BROKEN[name], "r")


def test_damage_gives_a_value_or_the_one_error() -> None:
    for broken in damaged(ranks(BYTES[:60])):
        with contextlib.suppress(AuditError):
            assert len(read_ranks(broken, "r")) >= 2


def test_a_long_token_is_cut_only_where_another_token_ends() -> None:
    class Asked(dict[bytes, int]):
        count = 0

        def get(self, key: bytes, default: object = None) -> object:  # type: ignore[override]
            self.count += 1
            return super().get(key, default)

    ids = Asked({b"a": 0, b"b" * 99_999: 1, b"a" + b"b" * 99_999: 2})
    assert merges_of(ids, 4).tolist() == [0 * 4 + 1]
    assert ids.count < 10
