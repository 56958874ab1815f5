"""Shards are read whole or refused with one sentence; batches are the baseline's."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

from model.data import TokenStream, check_manifest, read_shard, read_sidecar, read_split, shard_files
from model.errors import ModelError
from tests.model_makers import shard_bytes, some_tokens, write_tiny_shards


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "shorter than a shard's head"),
        (bytes(1024), "magic 0"),
        (shard_bytes([1, 2], magic=20240521), "magic 20240521"),
        (shard_bytes([1, 2], version=2), "version 2"),
        (shard_bytes([1, 2], count=3), "declares 3 tokens"),
        (shard_bytes([1, 2], count=-1), "declares -1"),
        (shard_bytes([1, 2]) + b"\0", "it has 1,029"),
        (shard_bytes([1, 40]), "token 40 at position 1 is not below vocab_size 40"),
    ],
)
def test_broken_shards(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "s.bin").write_bytes(data)
    with pytest.raises(ModelError, match=says):
        read_shard(tmp_path / "s.bin", 40)


def test_every_truncation_and_flip_is_refused_or_read(tmp_path: Path) -> None:
    good, path, rng = shard_bytes(some_tokens(20, 0)), tmp_path / "s.bin", np.random.default_rng(0)
    for cut in [*range(0, 1024, 37), *range(1024, len(good))]:
        path.write_bytes(good[:cut])
        with pytest.raises(ModelError):
            read_shard(path, 40)
    for _ in range(300):
        bad = bytearray(good)
        bad[rng.integers(len(bad))] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(bad))
        with contextlib.suppress(ModelError):
            assert int(read_shard(path, 40).max()) < 40


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="pglab shards write"):
        shard_files(tmp_path, "train")


def test_the_public_sidecars_name_is_no_shard(tmp_path: Path) -> None:
    (tmp_path / "fineweb_val_000000.bin").write_bytes(shard_bytes([1, 2, 3]))
    (tmp_path / "fineweb_val_bytes_000000.bin").write_bytes(shard_bytes([0, 4, 5]))
    assert read_split(tmp_path, "val", 40).tolist() == [1, 2, 3]
    side = read_sidecar(tmp_path)
    assert side is not None
    assert side.tolist() == [0, 4, 5]


def test_a_sidecar_of_other_shards(tmp_path: Path) -> None:
    (tmp_path / "fineweb_val_000000.bin").write_bytes(shard_bytes([1, 2, 3]))
    assert read_sidecar(tmp_path) is None
    (tmp_path / "fineweb_val_000000.bytes").write_bytes(shard_bytes([0, 4]))
    with pytest.raises(ModelError, match="2 byte counts for 3 tokens"):
        read_sidecar(tmp_path)


@pytest.mark.parametrize(
    "text", ["{", '{"vocabulary": 3}', '{"vocabulary": {"size": 41}}', '{"vocabulary": {}}', "[" * 9999]
)
def test_a_manifest_of_another_vocabulary(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match=r"manifest\.json"):
        check_manifest(tmp_path, 40)


def test_the_stream_goes_round_and_comes_back(tmp_path: Path) -> None:
    write_tiny_shards(tmp_path)
    everything = read_split(tmp_path, "train", 40).tolist()
    stream = TokenStream(tmp_path, 40)
    taken = [t for n in (1, 699, 3, 600, 1200) for t in stream.take(n)]
    assert taken == (everything * 3)[: len(taken)]
    place, more = stream.place, stream.take(50).tolist()
    again = TokenStream(tmp_path, 40)
    again.seek(*place)
    assert again.take(50).tolist() == more


def test_ranks_share_out_what_one_rank_reads(tmp_path: Path) -> None:
    write_tiny_shards(tmp_path)
    one, both = TokenStream(tmp_path, 40), [TokenStream(tmp_path, 40), TokenStream(tmp_path, 40)]
    for _ in range(30):
        first, second = one.batch(32, 8, 0, 1), one.batch(32, 8, 0, 1)
        shared = [both[rank].batch(64, 8, rank, 2) for rank in (0, 1)]
        for alone, part in zip((first, second), shared, strict=True):
            assert np.array_equal(alone[0], part[0])
            assert np.array_equal(alone[1], part[1])
        ids, targets = first
        assert np.array_equal(ids.reshape(-1)[1:], targets.reshape(-1)[:-1])


def test_a_single_token_is_no_training_split(tmp_path: Path) -> None:
    (tmp_path / "fineweb_train_000000.bin").write_bytes(shard_bytes([1]))
    with pytest.raises(ModelError, match="wanted at least 2"):
        TokenStream(tmp_path, 40)
