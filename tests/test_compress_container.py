"""The container: round trips, one named attack a test with literal bytes, every truncation, seeded flips."""

import json
import random
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from compress.container import container_dtypes, read_container, write_container
from compress.container_read import HEAD, MAGIC, unpack_container
from compress.container_write import assemble, pack_tensors
from compress.decoders import array_decoders
from compress.dequantize import cast_like
from compress.errors import CodecError
from compress.recipes import parse_recipe


def smallest() -> bytes:
    return pack_tensors({"a": np.array([1, 2], np.int8)}, parse_recipe("fp16+store"))


def unpack(data: bytes) -> dict[str, np.ndarray]:
    return {name: values for name, values, _ in unpack_container(data, decoders=array_decoders())}


def with_table(table: object, body: bytes = b"") -> bytes:
    return assemble(table, body)  # type: ignore[arg-type]


def test_smallest_file_is_known_byte_for_byte(golden) -> None:
    data = smallest()
    golden("compress_smallest.pgc", data)
    assert data[:8] == b"\x89PGC\r\n\x1a\n"
    assert data[-2:] == b"\1\2"
    stored = struct.unpack_from("<I", data, 10)[0]
    table = json.loads(zlib.decompress(data[30 : 30 + stored]))
    crc = zlib.crc32(b"\1\2")
    assert table == {"streams": [["shuffle+store", 2, crc, crc]], "tensors": [["a", "int8", [2], "raw int8", [0]]]}


@pytest.mark.parametrize("recipe", ["fp16+store", "official+zlib9", "int6-row+columns+bz29", "int4-row+mix"])
def test_golden_containers(recipe: str, golden) -> None:
    grid = (np.arange(70 * 64, dtype=np.int64) * 7919 % 4093 - 2046).astype(np.float32) / np.float32(4096)
    tensors = {"w": grid.reshape(70, 64), "b": grid[:7], "n": np.arange(3), "attn_scale": grid[:4]}
    if "mix" in recipe or "store" in recipe:
        from compress.coders import ByteCoder
        from compress.recipes import Recipe

        chosen = parse_recipe(recipe)
        data = pack_tensors(tensors, Recipe(chosen.quantizer, chosen.coder, ByteCoder("store", 0)))
        golden(f"compress_{recipe.replace('+', '_')}.pgc", data)
    else:
        data = pack_tensors(tensors, parse_recipe(recipe))
    assert unpack(data).keys() == tensors.keys()


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda s: s.encode("utf-8", "replace").decode() == s),
        hnp.arrays(
            st.sampled_from([np.float32, np.int64, np.bool_, np.float16]), hnp.array_shapes(min_dims=0, min_side=0)
        ),
        max_size=4,
    )
)
def test_anything_that_fp16_keeps_exactly_comes_back(tensors: dict[str, np.ndarray]) -> None:
    def exact(values: np.ndarray) -> np.ndarray:
        if values.dtype.kind != "f":
            return values
        tame = np.where(np.isfinite(values), values, 0).clip(-60000, 60000)
        return tame.astype(np.float16).astype(values.dtype)

    wanted = {name: exact(values) for name, values in tensors.items()}
    back = unpack(pack_tensors(wanted, parse_recipe("fp16+zlib9")))
    assert back.keys() == wanted.keys()
    for name, values in wanted.items():
        assert back[name].dtype == values.dtype
        assert np.array_equal(back[name], values)


def test_equal_input_makes_equal_bytes_whatever_the_order() -> None:
    rng = np.random.default_rng(0)
    tensors = {f"blocks.{i}.w": rng.normal(size=(40, 40)).astype(np.float32) for i in range(3)}
    turned = dict(reversed(tensors.items()))
    recipe = parse_recipe("int6-row+zlib9")
    assert pack_tensors(tensors, recipe) == pack_tensors(turned, recipe)


def test_write_read_and_bfloat16(tmp_path: Path) -> None:
    values = cast_like(np.linspace(-1, 1, 4096, dtype=np.float32), "bfloat16").reshape(64, 64)
    size = write_container(tmp_path / "a.pgc", {"w": values}, "int8-row+zlib9", {"w": "bfloat16"})
    assert size == (tmp_path / "a.pgc").stat().st_size
    assert [p.name for p in tmp_path.iterdir()] == ["a.pgc"], "the file aside must be gone"
    back = read_container(tmp_path / "a.pgc")["w"]
    assert np.array_equal(back, cast_like(back, "bfloat16"))
    assert container_dtypes(tmp_path / "a.pgc") == {"w": "bfloat16"}


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    place = tmp_path / "a.pgc"
    write_container(place, {"w": np.ones(3, np.float32)}, "fp16+store")
    before = place.read_bytes()
    with pytest.raises(CodecError):
        write_container(place, {"w": np.full(3, np.nan, np.float32)}, "fp16+store")
    assert place.read_bytes() == before


def test_every_truncation_is_refused() -> None:
    data = smallest()
    for n in range(len(data)):
        with pytest.raises(CodecError):
            unpack(data[:n])
    with pytest.raises(CodecError, match="the file has"):
        unpack(data + b"\0")


def test_every_single_bit_flip_is_refused() -> None:
    data = smallest()
    for at in range(len(data)):
        for bit in range(8):
            with pytest.raises(CodecError):
                unpack(data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :])


@pytest.mark.parametrize("recipe", ["int6-row+mix", "int6-row+brotli11", "int6-row+planes6+zstd22", "official+lzma9"])
def test_damage_behind_right_checksums(recipe: str) -> None:
    """A forger can compute checksums, so decoders must stand damage themselves."""
    rng, draw = np.random.default_rng(1), random.Random(5)
    data = pack_tensors({"w": rng.normal(size=(33, 40)).astype(np.float32)}, parse_recipe(recipe))
    stored = struct.unpack_from("<I", data, 10)[0]
    table, body = json.loads(zlib.decompress(data[30 : 30 + stored])), data[30 + stored :]
    for _ in range(60):
        at = draw.randrange(len(body))
        forged = body[:at] + bytes([draw.randrange(256)]) + body[at + 1 :]
        start, new = 0, json.loads(json.dumps(table))
        for row in new["streams"]:
            row[2] = zlib.crc32(forged[start : start + row[1]])
            start += row[1]
        try:
            back = unpack(with_table(new, forged))
        except CodecError:
            continue
        assert back["w"].shape == (33, 40)


def stream(chain: str, body: bytes, inner: int = 0) -> list[object]:
    return [chain, len(body), zlib.crc32(body), inner]


def attack(streams: list, tensors: list, body: bytes = b"") -> bytes:
    return with_table({"streams": streams, "tensors": tensors}, body)


def test_a_declared_terabyte_is_refused_without_memory() -> None:
    tensors = [["w", "float32", [1 << 40], "raw int8", [0]]]
    for body in (b"", zlib.compress(b"")):
        data = attack([stream("zlib", body)], tensors, body)
        tracemalloc.start()
        with pytest.raises(CodecError, match="declare more than the limit of 2,147,483,648 bytes; refused"):
            unpack(data)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 1 << 20


@pytest.mark.parametrize("coder", ["zlib", "bz2", "lzma", "zstd", "brotli"])
def test_a_bomb_stops_at_the_declared_size(coder: str) -> None:
    from compress.coders import compress_bytes

    body = compress_bytes(coder, 5, bytes(1 << 24))
    data = attack([stream(coder, body)], [["w", "int8", [10], "raw int8", [0]]], body)
    with pytest.raises(CodecError, match="stream 0 at byte"):
        unpack(data)  # once before, so that imports are not counted
    tracemalloc.start()
    with pytest.raises(CodecError, match="stream 0 at byte"):
        unpack(data)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < (4 << 20) + (48 << 20) * (coder == "lzma"), "lzma may take its window of 16 MiB, nobody the bomb"


ONE = ["w", "int8", [2], "raw int8", [0]]
TWO = ["store", 2, zlib.crc32(b"ab"), 0]


def odd(**changes: object) -> list[object]:
    """The row of a good tensor with some fields changed."""
    return list({"name": "w", "dtype": "int8", "shape": [2], "scheme": "raw int8", "streams": [0], **changes}.values())


ATTACKS = {  # name -> (streams, tensors, what the error must say)
    "a stream that is no list": ([7], [], "another shape"),
    "a stream with a float size": ([["zlib", 2.0, 0, 0]], [ONE], "no count"),
    "a stream with a negative size": ([["zlib", -2, 0, 0]], [ONE], "no count"),
    "a stream of no tensor": ([["zlib", 0, 0, 0]], [], "belongs to no tensor"),
    "a hole in the body": ([], [], "do not fill the body"),
    "a tensor row too short": ([TWO], [ONE[:4]], "another shape"),
    "true as a side": ([TWO], [odd(shape=[True])], "no count"),
    "a side of minus one": ([TWO], [odd(shape=[-1])], "no count"),
    "seventeen axes": ([TWO], [odd(shape=[1] * 17)], "16 at most"),
    "an empty array too large for numpy": ([TWO], [odd(shape=[0, 2**40, 2**20])], "16 at most"),
    "sides that take minutes to multiply": ([TWO], [odd(shape=[10**4000] * 2000)], "16 at most"),
    "one name twice": ([TWO], [ONE, ONE], "named twice"),
    "an unknown dtype": ([TWO], [odd(dtype="object")], "dtype"),
    "an unknown scheme": ([TWO], [odd(scheme="pickle int8")], "the scheme"),
    "a scheme with objects": ([TWO], [odd(scheme="raw object")], "the scheme"),
    "a huge book": ([TWO], [odd(scheme="book uint8 float16 9999", streams=[0, 0])], "the scheme"),
    "rows of a scalar": ([TWO], [odd(shape=[], scheme="row int8 float16", streams=[0, 0])], "wants rows"),
    "a stream that is not there": ([TWO], [odd(streams=[5])], "not there"),
    "two dtypes in one stream": ([TWO], [ONE, odd(name="v", scheme="raw float32")], "several dtypes"),
    "an unknown coder": ([["rar", *TWO[1:]]], [ONE], "'rar', which this reader"),
    "an unknown layout": ([["spiral+store", *TWO[1:]]], [ONE], "spiral"),
    "bits of nine": ([["bits9+store", *TWO[1:]]], [ONE], "bits9"),
    "a wrong checksum": ([["store", 2, 1, 0]], [ONE], "checksum wrong"),
    "a wrong inner checksum": ([TWO], [ONE], "other numbers"),
    "a content too short": ([TWO], [odd(shape=[3])], "2 bytes came out"),
}


@pytest.mark.parametrize(
    "table", [[], 7, None, {}, {"tensors": []}, {"streams": []}, json.loads("[" * 500 + "]" * 500)]
)
def test_tables_that_are_none(table: object) -> None:
    with pytest.raises(CodecError, match="another shape"):
        unpack(with_table(table))


@pytest.mark.parametrize("name", ATTACKS)
def test_named_attacks(name: str) -> None:
    streams, tensors, says = ATTACKS[name]
    with pytest.raises(CodecError, match=says):
        unpack(attack(streams, tensors, b"ab"))


def test_head_attacks_with_literal_bytes() -> None:
    with pytest.raises(CodecError, match="starts with 504b"):
        unpack(b"PK\3\4" + bytes(60))
    with pytest.raises(CodecError, match=r"not a \.pgc"):
        unpack(b"")
    with pytest.raises(CodecError, match="version 2 with flags 0"):
        unpack(HEAD.pack(MAGIC, 2, 0, 0, 0, 0, 0))
    with pytest.raises(CodecError, match="flags 128"):
        unpack(HEAD.pack(MAGIC, 1, 128, 0, 0, 0, 0))
    with pytest.raises(CodecError, match="the head declares"):
        unpack(HEAD.pack(MAGIC, 1, 0, 0, 0, 1 << 62, 0))
    with pytest.raises(CodecError, match=r"table 4,294,967,295"):
        unpack(HEAD.pack(MAGIC, 1, 0, 0, 0xFFFFFFFF, 0, 0))
    with pytest.raises(CodecError, match="checksum of head and table"):
        unpack(HEAD.pack(MAGIC, 1, 0, 0, 0, 0, 0))
    deep = zlib.compress(b"[" * 100_000)
    head = HEAD.pack(MAGIC, 1, 0, len(deep), 100_000, 0, 0)[:26]
    with pytest.raises(CodecError, match="another shape"):
        unpack(head + zlib.crc32(deep, zlib.crc32(head)).to_bytes(4, "little") + deep)


def test_an_odd_name_is_refused_by_the_writer() -> None:
    with pytest.raises(CodecError, match="not valid Unicode"):
        pack_tensors({"\ud800": np.ones(2, np.float32)}, parse_recipe("fp16+store"))


@pytest.mark.slow
def test_random_bytes_behind_the_magic() -> None:
    draw = random.Random(11)
    for _ in range(20_000):
        data = MAGIC + draw.randbytes(draw.randrange(80))
        with pytest.raises(CodecError):
            unpack(data)
