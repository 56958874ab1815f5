"""Reading weights: llama2.c, formats that are nobody else's, names that are hard to write."""

import lzma
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from compress.container_read import unpack_container
from compress.container_write import pack_tensors
from compress.errors import CodecError
from compress.recipes import parse_recipe
from compress.sources import npz_bytes, read_weights
from pglab import run


def llama2c(vocab: int = 7) -> bytes:
    """A model of width 8, 2 layers, 4 heads of which 2 for keys: every number is its place in the file."""
    head = struct.pack("<7i", 8, 12, 2, 4, 2, vocab, 5)
    dim, hidden, narrow, half = 8, 12, 4, 1
    layer = dim + dim * dim + 2 * narrow * dim + dim * dim + dim + 3 * hidden * dim
    count = 7 * dim + 2 * layer + dim + 2 * 5 * half + (7 * dim if vocab < 0 else 0)
    return head + np.arange(count, dtype="<f4").tobytes()


@pytest.mark.parametrize("vocab", [7, -7])
def test_llama2c_by_its_sizes(vocab: int, tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(llama2c(vocab))
    found = read_weights(tmp_path / "m.bin").tensors
    assert found["tok_embeddings.weight"][1, 0] == 8
    assert found["layers.0.attention_norm.weight"][0] == 56
    assert found["layers.1.attention_norm.weight"][0] == 64  # norms of both layers lie side by side
    assert found["layers.0.attention.wq.weight"][0, 0] == 72
    assert found["layers.1.attention.wk.weight"].shape == (4, 8)
    assert found["layers.1.feed_forward.w2.weight"].shape == (8, 12)
    assert ("output.weight" in found) == (vocab < 0)
    numbers = np.concatenate([values.reshape(-1) for values in found.values()])
    assert len(np.unique(numbers)) == len(numbers) == (len(llama2c(vocab)) - 28) // 4 - 10  # all but the rotations


@pytest.mark.parametrize("change", [b"\0", b""])
def test_other_lengths_are_no_llama2c(change: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(llama2c()[:-4] + change)
    with pytest.raises(CodecError, match=r"starts with 08000000"):
        read_weights(tmp_path / "m.bin")


def test_an_empty_file_and_a_format_of_one_submission(tmp_path: Path) -> None:
    (tmp_path / "none.pt").write_bytes(b"")
    with pytest.raises(CodecError, match="is empty"):
        read_weights(tmp_path / "none.pt")
    torch.save({"w": {"type": "ternary_bitmask", "packed": b"abc"}}, tmp_path / "t.pt")
    (tmp_path / "t.ptz").write_bytes(lzma.compress((tmp_path / "t.pt").read_bytes()))
    with pytest.raises(CodecError, match="of the types ternary_bitmask"):
        read_weights(tmp_path / "t.ptz")


def test_names_that_an_npz_can_and_cannot_hold(tmp_path: Path) -> None:
    tensors = {name: np.arange(3.0) for name in ("file", "", "a/b\nc", "weights")}
    (tmp_path / "a.npz").write_bytes(npz_bytes(tensors))
    assert read_weights(tmp_path / "a.npz").tensors.keys() == tensors.keys()
    for name in ("a\0b", "\ud800"):
        with pytest.raises(CodecError, match="cannot stand in an npz"):
            npz_bytes({name: np.ones(1)})


def test_unpack_answers_in_json(tmp_path: Path, capsys) -> None:
    (tmp_path / "m.bin").write_bytes(llama2c())
    assert run(["codec", "unpack", str(tmp_path / "m.bin"), str(tmp_path / "m.npz"), "--json"]) == 0
    assert '"tensors": 20' in capsys.readouterr().out


def ptz(path: Path, **tables: object) -> Path:
    """A file of the official format whose tables hold what is given."""
    held = {"__quant_format__": "int8_clean_per_row_v1", "quantized": {}, "scales": {}, "dtypes": {}, "passthrough": {}}
    torch.save(held | tables, path.with_suffix(".pt"))
    path.write_bytes(zlib.compress(path.with_suffix(".pt").read_bytes()))
    return path


@pytest.mark.parametrize(
    "tables",
    [
        {"quantized": {"w": 5}},
        {"scales": {"w": "x"}},
        {"passthrough": {"w": 5}},
        {"passthrough": {"w": torch.ones(2, dtype=torch.complex64)}},
        {"passthrough_orig_dtypes": [1]},
    ],
)
def test_official_tables_of_something_else(tables: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(CodecError, match=r"wanted a tensor|is no table"):
        read_weights(ptz(tmp_path / "a.ptz", **tables))


def test_an_npz_whose_streams_are_damaged_or_of_another_kind(tmp_path: Path) -> None:
    place = tmp_path / "a.npz"
    np.savez_compressed(place, a=np.random.default_rng(0).normal(size=999))
    whole = place.read_bytes()
    row = whole.index(b"PK\1\2")
    for at, value in {70: b"\xff" * 9, 8: b"\x0c", 6: b"\1"}.items():  # damage, bzip2 that is none, a password
        data = bytearray(whole)
        data[at : at + len(value)] = value
        if at < 10:  # the directory says the same
            data[row + at + 2] = value[0]
        place.write_bytes(data)
        with pytest.raises(CodecError, match="not an npz of plain arrays"):
            read_weights(place)


def test_names_of_thousands_of_digits_and_names_too_long_for_an_npz() -> None:
    name = "layer" + "1" * 5000
    data = pack_tensors({name: np.ones(3, np.float32)}, parse_recipe("exact+store"))
    assert [found for found, _, _ in unpack_container(data)] == [name]
    with pytest.raises(CodecError, match="cannot stand in an npz"):
        npz_bytes({"a" * 65_533: np.ones(3)})
