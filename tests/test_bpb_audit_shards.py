"""The auditor's own shard reader: headers by name, streams against a plain reading, documents against a slow cut."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.counting import Follower
from bpb_audit.errors import AuditError
from bpb_audit.shard_reader import documents, find_shards, find_sidecars, open_stream, read_header
from tests.audit_makers import damaged, shard_bytes


def files(folder: Path, parts: list[list[int]]) -> list[Path]:
    places = []
    for index, part in enumerate(parts):
        place = folder / f"fineweb_val_{index:06d}.bin"
        place.write_bytes(shard_bytes(part))
        places.append(place)
    return places


token_lists = st.lists(st.lists(st.integers(0, 5), max_size=30), min_size=1, max_size=4)


@given(token_lists, st.integers(1, 17), st.integers(0, 60))
def test_a_stream_is_its_files_end_to_end(tmp_path_factory, parts: list[list[int]], size: int, start: int) -> None:
    folder = tmp_path_factory.mktemp("s")
    stream = open_stream(files(folder, parts))
    whole = [token for part in parts for token in part]
    assert stream.total == len(whole)
    read = [int(token) for chunk in stream.chunks(size, start) for token in chunk]
    assert read == whole[start:]
    follower = Follower(stream)
    taken: list[int] = []
    while len(taken) < len(whole):
        taken += follower.take(min(3, len(whole) - len(taken))).tolist()
    assert taken == whole
    with pytest.raises(AuditError, match="ends before"):
        follower.take(1)


def split(whole: list[int], bos: int) -> list[list[int]]:
    """The slow way to cut documents."""
    found: list[list[int]] = []
    for token in whole:
        if token == bos or not found:
            found.append([])
        found[-1].append(token)
    return found


@given(token_lists, st.integers(1, 17))
def test_documents_are_cut_at_every_mark_whatever_the_chunk(tmp_path_factory, parts, chunk: int) -> None:
    folder = tmp_path_factory.mktemp("s")
    whole = [token for part in parts for token in part]
    stream = open_stream(files(folder, parts))
    found, position = [], 0
    for batch in documents(stream, 1, chunk):
        assert batch.first == position
        assert batch.headless == (int(batch.ids[0]) != 1)
        for start, end in zip(batch.starts[:-1], batch.starts[1:], strict=True):
            found.append(batch.ids[start:end].tolist())
        position += len(batch.ids)
    assert found == split(whole, 1)


def test_places_name_the_file_and_the_token(tmp_path: Path) -> None:
    stream = open_stream(files(tmp_path, [[1, 2], [3], [4, 5]]))
    assert stream.place(0) == "fineweb_val_000000.bin:0"
    assert stream.place(2) == "fineweb_val_000001.bin:0"
    assert stream.place(4) == "fineweb_val_000002.bin:1"
    assert stream.place(9).endswith(":end")


def test_sidecars_are_not_taken_for_shards(tmp_path: Path) -> None:
    for name in ("fineweb_val_000000.bin", "fineweb_val_bytes_000000.bin", "fineweb_train_000000.bin"):
        (tmp_path / name).write_bytes(shard_bytes([1]))
    assert [p.name for p in find_shards(tmp_path, "val")] == ["fineweb_val_000000.bin"]
    assert [p.name for p in find_sidecars(tmp_path)] == ["fineweb_val_bytes_000000.bin"]
    (tmp_path / "fineweb_val_000000.bytes").write_bytes(shard_bytes([1]))
    assert [p.name for p in find_sidecars(tmp_path)] == ["fineweb_val_000000.bytes"]


BROKEN = {
    "empty": b"",
    "half a header": b"\0" * 1023,
    "another magic": shard_bytes([1, 2], magic=20240521),
    "another version": shard_bytes([1, 2], version=2),
    "big-endian": struct.pack(">3i", 20240520, 1, 2).ljust(1024, b"\0") + b"\0\1\0\2",
    "a token short": shard_bytes([1, 2], count=3),
    "a token over": shard_bytes([1, 2], count=1),
    "a negative count": shard_bytes([], count=-1),
    "an odd byte": shard_bytes([1, 2]) + b"\0",
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_shards_raise_the_one_error(tmp_path: Path, name: str) -> None:
    place = tmp_path / "fineweb_val_000000.bin"
    place.write_bytes(BROKEN[name])
    with pytest.raises(AuditError, match=r"fineweb_val_000000\.bin"):
        open_stream([place])


def test_no_shard_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="--shards"):
        open_stream(find_shards(tmp_path, "val"))


def test_a_file_that_shrinks_while_it_is_read_is_said(tmp_path: Path) -> None:
    [place] = files(tmp_path, [[1, 2, 3]])
    stream = open_stream([place])
    place.write_bytes(shard_bytes([1]))
    with pytest.raises(AuditError, match="shorter"):
        list(stream.chunks())


def test_damage_gives_a_value_or_the_one_error(tmp_path: Path) -> None:
    place = tmp_path / "fineweb_val_000000.bin"
    for broken in damaged(shard_bytes([1, 5, 1, 7]), 300):
        place.write_bytes(broken)
        try:
            count = read_header(place)
        except AuditError:
            continue
        assert sum(map(len, open_stream([place]).chunks())) == count


def test_a_stretch_without_marks_is_torn_to_keep_memory_small(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("bpb_audit.shard_reader.LONGEST", 8)
    stream = open_stream(files(tmp_path, [[1, *[5] * 30, 1, 5]]))
    batches = list(documents(stream, 1, 4))
    assert [int(token) for batch in batches for token in batch.ids] == [1, *[5] * 30, 1, 5]
    assert max(len(batch.ids) for batch in batches) <= 12
    assert sum(batch.torn for batch in batches) == 2


def test_a_stream_without_marks_is_one_document(tmp_path: Path) -> None:
    stream = open_stream(files(tmp_path, [[5] * 10]))
    [batch] = documents(stream, 1, 3)
    assert batch.headless
    assert batch.starts.tolist() == [0, 10]
    assert np.array_equal(batch.ids, np.full(10, 5))
