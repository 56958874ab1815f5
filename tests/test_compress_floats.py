"""The coder of floats: every finite float comes back bit for bit, what is short costs little, damage is an error."""

from math import floor, frexp, ldexp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from compress.container import read_container, write_container
from compress.container_read import read_table
from compress.errors import CodecError
from compress.floats import Floats, code_floats, mantissa_bits
from compress.floats_decode import BitReader, unfloat
from compress.recipes import parse_recipe

DTYPES = st.sampled_from([np.float16, np.float32])
ANY = DTYPES.flatmap(
    lambda d: st.lists(
        hnp.arrays(
            d,
            hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=9),
            elements={"allow_nan": False, "allow_infinity": False, "allow_subnormal": True},
        ),
        max_size=3,
    )
)


def back(arrays: list[np.ndarray]) -> int:
    """Bytes taken; the arrays must come back bit for bit, signs of zeros included."""
    data = code_floats(arrays)
    again = unfloat(data, [(a.dtype.name, a.shape) for a in arrays])
    assert [a.tobytes() for a in again] == [a.tobytes() for a in arrays]
    return len(data)


@settings(max_examples=60)
@given(ANY)
def test_any_floats_come_back(arrays: list[np.ndarray]) -> None:
    back(arrays)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_ends_of_the_range_come_back(dtype: type) -> None:
    info = np.finfo(dtype)
    ends = [info.max, info.min, info.tiny, info.smallest_subnormal, -info.smallest_subnormal, 0.0, -0.0, 1.0]
    back([np.array(ends, dtype), np.array([info.smallest_subnormal], dtype), np.array(info.max, dtype)])


def slow_tail(size: float, exponent: int) -> tuple[int, int]:
    """What is left of a float below its head, for a float16 mantissa: (bits, how many)."""
    whole = floor(ldexp(size, -exponent))
    width = min(10 - (frexp(whole)[1] - 1), exponent + 24)
    return int(ldexp(ldexp(size, -exponent) - whole, width)), width


def test_tails_are_the_mantissa_below_the_head() -> None:
    values = np.array([1 + 257 / 1024, 1 + 3 / 1024, 1 + 999 / 1024, 2 - 1 / 1024], np.float16)
    data = code_floats([values])  # between 1 and 2: the finest step that leaves 255 heads is 2^-7, three bits are left
    tails = BitReader(data[-2:]).take(np.full(4, 3))
    assert tails.tolist() == [slow_tail(float(v), -7)[0] for v in values]
    assert slow_tail(float(values[0]), -7)[1] == 3


def test_short_mantissas_are_cheap() -> None:
    x = np.random.default_rng(1).normal(0, 0.05, (64, 64)).astype(np.float32)
    short = (x.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    assert mantissa_bits(short) == 7
    assert mantissa_bits(np.zeros(3, np.float32)) == 0
    assert back([short]) < back([x]) - 64 * 64 * 15 / 8


def test_near_the_entropy_of_gaussian_halves() -> None:
    x = np.random.default_rng(2).normal(0, 0.05, (256, 128)).astype(np.float16)
    _, counts = np.unique(np.floor(np.abs(x.astype(np.float64)) * 2.0**10), return_counts=True)
    coarse = float((counts * -np.log2(counts / counts.sum())).sum())  # steps of 2^-10
    size = np.abs(x.astype(np.float64))
    below = np.clip(10 - (np.frexp(np.floor(size * 1024))[1] - 1), 0, None)  # of the mantissa, given the step
    assert back([x]) < (coarse + x.size + float(below.sum())) / 8 * 1.02


@pytest.mark.parametrize("bad", [np.array([np.inf], np.float32), np.zeros(3, np.float64), np.zeros(3, np.int8)])
def test_others_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(CodecError, match="finite float16 and float32"):
        code_floats([bad])
    with pytest.raises(CodecError):
        unfloat(b"\0\0\0", [("int8", (1,))])


def test_damage_is_an_error_or_floats() -> None:
    arrays = [np.random.default_rng(3).normal(size=(9, 9)).astype(np.float32)]
    data, coder = code_floats(arrays), Floats()
    for at in range(0, len(data), 5):
        for bit in (1, 128):
            broken = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
            try:
                assert coder.decode(broken, [("float32", (9, 9))])[0].shape == (9, 9)
            except CodecError:
                continue
    with pytest.raises(CodecError):
        coder.decode(data[:-1], [("float32", (9, 9))])


def test_a_container_takes_whichever_is_smaller(tmp_path) -> None:
    rng = np.random.default_rng(4)
    noise = {"w": rng.normal(0, 0.05, (96, 64)).astype(np.float32)}
    same = {"w": np.full((96, 64), 0.5, np.float32)}
    chains = []
    for name, tensors in (("noise", noise), ("same", same)):
        path = tmp_path / name
        write_container(path, tensors, "fp16+mix+floats")
        chains += [row[0] for row in read_table(path.read_bytes())[0]["streams"]]
        assert read_container(path)["w"].tobytes() == tensors["w"].astype(np.float16).astype(np.float32).tobytes()
    assert chains == ["floats", "shuffle+brotli"]


def test_recipe_names() -> None:
    recipe = parse_recipe("int6-row+mix+floats")
    assert recipe.name == "int6-row+mix+floats"
    shared = {"zlib", "brotli", "mix", "raw", "row", "shuffle"}
    assert recipe.needs() == shared | {"floats"}
    assert parse_recipe("int6-row+mix").needs() == shared
    assert parse_recipe("int6-row+columns+lzma9").needs() == {"zlib", "lzma", "columns", "shuffle", "raw", "row"}
