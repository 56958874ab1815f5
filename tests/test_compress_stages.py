"""Every registered stage under the same checks: round trip, determinism, repr, golden bytes, damage, odd shapes."""

import random
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress import coders as coders_module
from compress import floats, gptq, mix_coder, order0, quantizers, quantizers_classic, recipes
from compress.container_write import file_order
from compress.errors import CodecError
from compress.layouts import lay_out, take_up
from compress.recipes import parse_recipe
from compress.registry import coders
from compress.registry import quantizers as all_quantizers

MODULES = (coders_module, floats, mix_coder, order0, quantizers, gptq, quantizers_classic, recipes)
NAMES = {name: value for module in MODULES for name, value in vars(module).items()}
PLAIN = "zlib store"  # whose bytes no library version changes here


def sample_arrays() -> list[np.ndarray]:
    """Small integers of several shapes: two alike, a row that repeats, a vector, a scalar, nothing."""
    rng = np.random.default_rng(7)
    first = np.rint(rng.normal(0, 6, (20, 16))).clip(-31, 31).astype(np.int8)
    first[11] = first[3]
    second = np.rint(rng.normal(0, 6, (20, 16)) * rng.uniform(0.2, 2, 16)).clip(-31, 31).astype(np.int8)
    return [first, second, first[0], np.zeros((0, 5), np.int8), np.int8(3) * np.ones((), np.int8)]


def specs_of(arrays: list[np.ndarray]) -> list[tuple[str, tuple[int, ...]]]:
    return [(a.dtype.name, a.shape) for a in arrays]


def arrays_for(name: str) -> list[np.ndarray]:
    """What a coder is for: floats, or small integers."""
    return [(a / np.float32(16)).astype(np.float16) for a in sample_arrays()] if name == "floats" else sample_arrays()


@pytest.mark.parametrize("name", coders())
def test_coder_gives_back_what_it_took(name: str) -> None:
    coder, arrays = coders()[name], arrays_for(name)
    coded = coder.encode(arrays)
    back = coder.decode(coded, specs_of(arrays))
    assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(arrays, back, strict=True))
    assert coder.encode(arrays) == coded, "the same integers must make the same bytes"


@pytest.mark.parametrize("name", coders())
def test_coder_takes_an_empty_stream(name: str) -> None:
    arrays = [np.zeros((0, 4), np.float16 if name == "floats" else np.int8)]
    coder = coders()[name]
    assert coder.decode(coder.encode(arrays), specs_of(arrays))[0].shape == (0, 4)


@pytest.mark.parametrize("name", coders())
def test_coder_meets_damage_with_the_one_error_or_values(name: str) -> None:
    coder, arrays = coders()[name], arrays_for(name)
    coded, specs = coder.encode(arrays), specs_of(arrays)
    rng = random.Random(3)
    cuts = range(len(coded)) if name not in ("mix", "floats") else range(0, len(coded), 37)
    broken = [coded[:n] for n in cuts]
    for _ in range(40):
        at = rng.randrange(len(coded))
        broken.append(coded[:at] + bytes([coded[at] ^ (1 << rng.randrange(8))]) + coded[at + 1 :])
    for data in [*broken, coded + b"\0"]:
        try:
            back = coder.decode(data, specs)
        except CodecError:
            continue
        assert [b.shape for b in back] == [a.shape for a in arrays]
    with pytest.raises(CodecError):
        coder.decode(coded + b"\0", specs)


@pytest.mark.parametrize("name", coders())
def test_coder_golden_bytes(name: str, golden) -> None:
    if name.startswith(("brotli", "zstd", "lzma", "bz2")):
        pytest.skip("another library's bytes, not ours to freeze")
    golden(f"compress_coder_{name.replace('+', '_')}.bin", coders()[name].encode(arrays_for(name)))


def weights_sample() -> np.ndarray:
    """The same numbers on every machine: no generator, no exp."""
    grid = (np.arange(64 * 32, dtype=np.int64) * 7919 % 4093 - 2046).astype(np.float32)
    return (grid / np.float32(4096)).reshape(64, 32) * (1 + np.arange(64, dtype=np.float32)[:, None] / 64)


@pytest.mark.parametrize("name", all_quantizers())
def test_quantizer_golden_and_error(name: str, golden) -> None:
    stage, values = all_quantizers()[name], weights_sample()
    parts = stage.encode("w", values, "float32")
    golden(f"compress_quantizer_{name}.bin", b"".join(a.tobytes() for a in parts.arrays))
    back = stage.decode(parts)
    assert back.shape == values.shape
    assert back.dtype == np.float32
    if name.endswith("-row"):
        step = np.abs(values).max(axis=1, keepdims=True) / ((1 << (int(name[3]) - 1)) - 1)
        assert (np.abs(back - values) <= 0.51 * step + 1e-3 * np.abs(values)).all(), "off by more than half a step"
    if name.startswith(("step", "trellis")):
        assert np.abs(back - values).max() <= (0.0101 if name.startswith("step") else 0.05)


@pytest.mark.parametrize("name", all_quantizers())
def test_quantizer_refuses_what_is_not_finite(name: str) -> None:
    values = weights_sample()
    values[3, 4] = np.nan
    with pytest.raises(CodecError, match="w holds NaN"):
        all_quantizers()[name].encode("w", values, "float32")


@pytest.mark.parametrize("name", [*all_quantizers(), *coders()])
def test_repr_is_the_call_that_makes_it(name: str) -> None:
    stage = {**all_quantizers(), **coders()}[name]
    again = eval(repr(stage), NAMES)
    assert again == stage
    assert again.config() == stage.config()
    assert repr(again) == repr(stage)
    assert stage.name == name


def test_stages_differ_by_config() -> None:
    assert quantizers.RowInt(6) != quantizers.RowInt(5)
    assert quantizers.RowInt(6) == quantizers.RowInt(6)


@given(st.lists(st.integers(-32, 31), max_size=40), st.sampled_from(["bits6", "planes6", "columns", "shuffle"]))
def test_layouts_turn_back(values: list[int], layout: str) -> None:
    arrays = [np.array(values, np.int8), np.array(values * 2, np.int8).reshape(2, -1)]
    data = lay_out([layout], arrays)
    back = take_up([layout], data, specs_of(arrays))
    assert all(np.array_equal(a, b) for a, b in zip(arrays, back, strict=True))
    if "6" in layout:
        assert len(data) == -(-18 * len(values) // 8)


def test_shuffle_parts_bytes_of_wider_numbers() -> None:
    assert lay_out(["shuffle"], [np.array([0x0102, 0x0304], np.uint16)]) == bytes([2, 4, 1, 3])


def test_bits_are_known_by_hand() -> None:
    assert lay_out(["bits4"], [np.array([-8, 7, 0], np.int8)]) == bytes([0b0000_1111, 0b1000_0000])
    assert lay_out(["planes4"], [np.array([-8, 7, 0], np.int8)]) == bytes([0b0110_1001, 0b0010_0000])


@pytest.mark.parametrize("layout", ["bits8", "planes8"])
def test_eight_bits_hold_every_int8(layout: str) -> None:
    every = [np.arange(-128, 128).astype(np.int8)]
    assert np.array_equal(take_up([layout], lay_out([layout], every), specs_of(every))[0], every[0])


def test_bits_refuse_wider_integers() -> None:
    with pytest.raises(CodecError, match="4-bit integers, met -9 to 0"):
        lay_out(["bits4"], [np.array([-9, 0], np.int8)])


UNKNOWN = ["", "int6-row", "int6-row+", "int9-row+zlib9", "int6-row+zlib10", "nope+zlib9", "official+x+zlib"]


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_recipes_are_sentences(name: str) -> None:
    with pytest.raises(CodecError):
        parse_recipe(name).coder.encode([np.zeros(3, np.int8)])


def test_file_order_sets_layers_side_by_side() -> None:
    names = ["blocks.10.q", "blocks.2.k", "blocks.2.q", "emb"]
    assert sorted(names, key=file_order) == ["blocks.2.k", "blocks.2.q", "blocks.10.q", "emb"]


def test_no_warning_on_extreme_scales() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiny = quantizers.RowInt(6).encode("w", np.full((40, 40), 1e-30, np.float32), "float32")
    assert np.isfinite(tiny.restore()).all()
    with pytest.raises(CodecError, match="65,504"):
        quantizers.RowInt(6).encode("w", np.full((40, 40), 1e9, np.float32), "float32")
