"""The arithmetic of bytes: ends, lengths, sidecar values, and the official table against its rule in plain Python."""

import io
import zipfile
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenizers_lab.byte_counts import (
    byte_lengths,
    ends_from_table,
    lengths_from_ends,
    sidecar_values,
    with_bos,
)
from tokenizers_lab.byte_table import ByteTable
from tokenizers_lab.errors import VocabError
from tokenizers_lab.pure_bytes import PureBytes, from_file, to_file
from tokenizers_lab.tokenizer import Encoded

documents = st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=6)
WIDTHS = np.array([0, 1, 2, 3, 7, 0], np.int64)


@given(documents)
def test_ends_and_lengths_agree_with_plain_loops(parts: list[list[int]]) -> None:
    encoded = Encoded.of([np.array(part, np.int64) for part in parts], 6)
    sizes = np.array([sum(int(WIDTHS[i]) for i in part) for part in parts], np.int64)
    ends = ends_from_table(WIDTHS, encoded, sizes)
    wanted = []
    for part in parts:
        total = 0
        for token in part:
            total += int(WIDTHS[token])
            wanted.append(total)
    assert ends.tolist() == wanted
    assert lengths_from_ends(ends, encoded.offsets).tolist() == [int(WIDTHS[i]) for part in parts for i in part]


@given(documents.filter(lambda parts: any(parts)), st.integers(0, 5), st.sampled_from([-1, 1]))
def test_a_document_that_does_not_sum_is_named(parts: list[list[int]], at: int, off: int) -> None:
    encoded = Encoded.of([np.array(part, np.int64) for part in parts], 6)
    sizes = np.array([sum(int(WIDTHS[i]) for i in part) for part in parts], np.int64)
    at %= len(parts)
    sizes[at] += off
    with pytest.raises(VocabError, match=f"document {at} of the batch has {sizes[at]:,} bytes"):
        ends_from_table(WIDTHS, encoded, sizes)


@given(documents)
def test_bos_and_sidecar_stand_in_step(parts: list[list[int]]) -> None:
    encoded = Encoded.of([np.array(part, np.int64) for part in parts], 6)
    lengths = WIDTHS[encoded.ids]
    sizes = np.array([sum(int(WIDTHS[i]) for i in part) for part in parts], np.int64)
    tokens, values = with_bos(encoded, 9), sidecar_values(lengths, encoded.offsets, sizes)
    assert tokens.tolist() == [i for part in parts for i in [9, *part]]
    assert values.tolist() == [i for part in parts for i in [0, *(int(WIDTHS[t]) for t in part)]]
    assert values.dtype == np.uint16


def test_a_document_without_tokens_has_its_bytes_at_bos() -> None:
    values = sidecar_values(np.array([3]), np.array([0, 0, 1, 1]), np.array([5, 3, 0]))
    assert values.tolist() == [5, 0, 3, 0]


@pytest.mark.parametrize(
    ("lengths", "wanted"),
    [
        ([70_000, 1], [0, 65_535, 4_466]),
        ([1, 70_000], [0, 4_466, 65_535]),
        ([1, 70_000, 65_535], [0, 4_466, 65_535, 65_535]),
        ([100_000, 50_000, 10], [0, 65_535, 65_535, 18_940]),
        ([131_070], [65_535, 65_535]),
    ],
)
def test_bytes_above_a_uint16_move_to_neighbours(lengths: list[int], wanted: list[int]) -> None:
    total = sum(lengths)
    values = sidecar_values(np.array([2, *lengths]), np.array([0, 1, 1 + len(lengths)]), np.array([2, total]))
    assert values.tolist() == [0, 2, *wanted]
    assert int(values[2:].sum()) == total


def test_bytes_that_fit_nowhere_are_an_error() -> None:
    with pytest.raises(VocabError, match="document 0 of the batch: 131,071 bytes became 2 tokens"):
        sidecar_values(np.array([131_071]), np.array([0, 1]), np.array([131_071]))


class Bad(PureBytes):
    """Claims ends that do not tile."""

    def byte_ends(self, encoded: Encoded, texts: object) -> np.ndarray:
        return np.array([2, 1, 3])


def test_ends_that_run_backwards_are_refused() -> None:
    with pytest.raises(VocabError, match="do not tile"):
        byte_lengths(Bad(), Bad().encode_batch(["abc"]), ["abc"])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_the_table_counts_as_its_rule_says(stream: list[int]) -> None:
    table = ByteTable.of(WIDTHS, np.array([0, 1, 0, 1, 0, 1], bool), np.array([1, 0, 0, 0, 1, 1], bool))
    wanted = [0]
    for before, target in pairwise(stream):
        wanted.append(
            int(table.base_bytes[target]) + int(table.has_leading_space[target] and not table.is_boundary[before])
        )
    assert table.count(np.array(stream)).tolist() == wanted


def test_the_table_file_is_reproducible_and_plain() -> None:
    table = PureBytes().table
    assert table.to_npz() == table.to_npz()
    with zipfile.ZipFile(io.BytesIO(table.to_npz())) as archive:
        assert sorted(archive.namelist()) == ["base_bytes.npy", "has_leading_space.npy", "is_boundary.npy"]


def test_a_token_wider_than_the_table_is_refused() -> None:
    with pytest.raises(VocabError, match="token 1 stands for 65,536 bytes"):
        ByteTable.of(np.array([1, 65_536]), np.zeros(2, bool), np.zeros(2, bool))


def test_the_byte_vocabulary_file(golden) -> None:
    golden("tokenizers_lab_byte260.json", to_file())
    assert from_file(to_file(), "there").encode_batch(["A"]).ids.tolist() == [69]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", to_file().replace(b"4", b"5"), to_file()[:-5]])
def test_a_byte_vocabulary_that_is_not_one(data: bytes) -> None:
    with pytest.raises(VocabError, match=r"there: no byte260 file"):
        from_file(data, "there")


def test_large_vocabularies_get_wider_ids() -> None:
    assert Encoded.of([np.array([70_000])], 100_000).ids.dtype == np.uint32
    assert Encoded.of([], 10).offsets.tolist() == [0]
