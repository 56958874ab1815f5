"""The mixing coder: its parts against slow references, its streams against damage, and what it must gain."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from compress import mix_writer
from compress.errors import CodecError
from compress.measure import order0_bits
from compress.mix_choose import find_copies, find_trellis, likely_plans
from compress.mix_coder import Mix, mix
from compress.mix_decode import unmix
from compress.mix_lanes import BITS, LEAST, TOTAL, LaneReader, lane_count
from compress.mix_model import code_block
from compress.mix_plan import PlanReader, matrix_shape, quarter_power
from compress.mix_regress import STEPS, coefficients, normalised, triangle_inverse
from compress.mix_tables import FINE, FULL, REACH, SHAPES, bell_curve, shape_tables, width_tables
from compress.mix_writer import LaneWriter, WritingMixture, copies_bytes, plan_bytes
from compress.stage import Parts
from compress.trellis import next_states, walk_trellis
from compress.trellis_search import fast_path


def order0_bytes(arrays: list[np.ndarray]) -> float:
    return order0_bits([Parts("", "float32", a.shape, "one", [a]) for a in arrays])[0] / 8


def specs_of(arrays: list[np.ndarray]) -> list[tuple[str, tuple[int, ...]]]:
    return [("int8", a.shape) for a in arrays]


def there_and_back(arrays: list[np.ndarray]) -> int:
    """Bytes taken; the arrays must come back equal."""
    data = mix(arrays)
    back = unmix(data, specs_of(arrays))
    assert all(np.array_equal(a, b) and a.shape == b.shape for a, b in zip(arrays, back, strict=True))
    return len(data)


def hilly(rows: int, columns: int, seed: int) -> np.ndarray:
    """Integers whose size varies by row and column, as trained weights do."""
    rng = np.random.default_rng(seed)
    size = 5 * rng.lognormal(0, 0.4, (rows, 1)) * rng.lognormal(0, 0.4, (1, columns))
    return np.rint(rng.normal(size=(rows, columns)) * size).clip(-127, 127).astype(np.int8)


def shared(rows: int, columns: int, seed: int) -> np.ndarray:
    """Integers whose rows share a few directions, as embeddings do."""
    rng = np.random.default_rng(seed)
    low = rng.normal(size=(rows, 6)) @ rng.normal(size=(6, columns)) * 3
    return np.rint(low + 2 * rng.normal(size=low.shape)).clip(-127, 127).astype(np.int8)


@settings(max_examples=20)
@given(st.lists(hnp.arrays(np.int8, hnp.array_shapes(max_dims=3, min_side=0, max_side=9)), max_size=3))
def test_any_small_arrays_come_back(arrays: list[np.ndarray]) -> None:
    there_and_back(arrays)


def test_extremes_survive() -> None:
    arrays = [np.full((9, 9), v, np.int8) for v in (-128, 127, 0)]
    arrays.append(np.tile(np.array([-128, 127], np.int8), (40, 20)))
    arrays.append(np.full((1, 70_000), 3, np.int8))
    there_and_back(arrays)


def test_below_order_0_where_rows_and_columns_differ() -> None:
    arrays = [hilly(256, 128, 5)]
    assert there_and_back(arrays) < 0.96 * order0_bytes(arrays)


def test_close_to_order_0_where_there_is_nothing_to_learn() -> None:
    arrays = [np.rint(np.random.default_rng(2).normal(0, 4, (256, 256))).astype(np.int8)]
    assert there_and_back(arrays) < 1.006 * order0_bytes(arrays)


@pytest.mark.parametrize("turned", [False, True])
def test_shared_directions_are_found_along_either_side(turned: bool) -> None:
    q = shared(200, 64, 3)
    q = np.ascontiguousarray(q.T) if turned else q
    assert likely_plans(q[None])[0].ridges.all()
    assert there_and_back([q]) < 0.85 * order0_bytes([q])


def walked(states: int, down: bool, size: float, low: bool = False) -> np.ndarray:
    """Integers of Gaussian numbers that a trellis quantised."""
    rng = np.random.default_rng(states)
    w = rng.normal(size=(160, 96))
    w = w + rng.normal(size=(160, 4)) @ rng.normal(size=(4, 96)) if low else w
    k = np.stack([fast_path()(row, next_states(states), 0.0) for row in 2 * size * w]).astype(np.int8)
    return np.ascontiguousarray(k.T) if down else k


@pytest.mark.parametrize(("states", "down", "low"), [(8, False, False), (8, True, False), (32, True, True)])
def test_a_trellis_is_seen(states: int, down: bool, low: bool) -> None:
    q = walked(states, down, 0.7, low)
    assert find_trellis(q, states) == (states, down)
    blind, seeing = mix([q, q]), mix([q, q], states)
    assert len(seeing) < (0.97 if low else 0.95) * len(blind)
    back = unmix(seeing, specs_of([q, q]))
    assert np.array_equal(back[0], q)
    assert np.array_equal(back[1], q)


def test_a_trellis_comes_within_0_1_bits_of_the_bound() -> None:
    x = np.random.default_rng(4).normal(size=(192, 256))
    k = np.stack([fast_path()(2 * row, next_states(8), 0.0) for row in x])
    error = np.square(x - walk_trellis(k, 8) / 2).mean()
    bits = 8 * len(mix([k.astype(np.int8)], 8)) / k.size
    assert bits - 0.5 * np.log2(1 + x.var() / error) < 0.1  # of unbiased values: 1 + SNR


def test_no_trellis_is_taken_for_one() -> None:
    q = hilly(200, 64, 3)
    assert find_trellis(q, 8) == (1, False)
    assert mix([q], 8) == mix([q])
    assert find_trellis(q[:0], 8) == find_trellis(np.zeros((9, 9), np.int8), 8) == (1, False)


def test_rows_that_copy_and_walk_come_back() -> None:
    q = walked(8, False, 0.7)
    often = np.concatenate([q, np.repeat(q[5:6], 40, 0)])
    assert np.array_equal(unmix(mix([often], 8), specs_of([often]))[0], often)


def test_noise_gets_no_regression() -> None:
    assert not likely_plans(hilly(200, 64, 3)[None])[0].ridges.any()


def test_copied_rows_cost_little() -> None:
    block = hilly(40, 128, 9)
    off = np.random.default_rng(1).integers(-1, 2, (60, 128))
    often = np.concatenate([block, np.clip(block[7] + off, -127, 127).astype(np.int8)])
    once, more = there_and_back([block]), there_and_back([often])
    assert more - once < 60 * 128 * 1.75 / 8
    copies = find_copies(often)
    assert copies is not None
    assert copies.rows.sum() == 60


def test_a_coefficient_too_near_a_step_s_middle_takes_another_ridge(monkeypatch) -> None:
    q = shared(120, 32, 4)
    first = likely_plans(q[None])[0].ridges
    asked = []

    def refuse_first(self: WritingMixture, a: np.ndarray) -> np.ndarray:
        asked.append(a)
        if len(asked) == 2:
            raise mix_writer.Unsure
        return np.rint(a)

    monkeypatch.setattr(WritingMixture, "rounded", refuse_first)
    data = mix([hilly(64, 32, 1), q])
    assert len(asked) > 2
    back = unmix(data, specs_of([q[:64], q]))
    assert np.array_equal(back[1], q)
    assert first.all()


def test_rounding_margin_is_far_above_what_lapack_varies_by() -> None:
    y = normalised(shared(300, 96, 8))
    seen = [coefficients(y.T @ y, 300, 64.0)]
    order = np.random.default_rng(0).permutation(97)  # another order of sums, as another LAPACK would have
    moments = (y.T @ y)[np.ix_(order, order)]
    scale = np.sqrt((moments.diagonal() / 65536 + 8 * np.median(moments.diagonal() / 65536) / 300) / 308) + 2.0**-20
    c = moments / 65536 / scale / scale[:, None] + 64.0 * np.eye(97)
    place = {int(v): i for i, v in enumerate(order)}
    j = 60
    left = [place[k] for k in range(j)]
    want = np.linalg.solve(c[np.ix_(left, left)], c[np.ix_(left, [place[j]])][:, 0])
    want *= scale[place[j]] / scale[left]
    assert np.abs(seen[0][j, :j] / STEPS - want).max() < mix_writer.MARGIN / 100


def test_a_triangle_s_inverse() -> None:
    lower = np.tril(np.random.default_rng(0).normal(size=(150, 150))) + 9 * np.eye(150)
    assert np.abs(triangle_inverse(lower) @ lower - np.eye(150)).max() < 1e-12


def slow_range_coder(steps: list[tuple[np.ndarray, np.ndarray]], lanes: int) -> bytes:
    """The same bytes with Python's own integers, one symbol at a time."""
    states, words = [LEAST] * lanes, []
    for start, frequency in reversed(steps):
        for i in reversed(range(len(start))):
            s, f = int(start[i]), int(frequency[i])
            while states[i] >= f * (LEAST >> BITS) << 16:
                words.append(states[i] & 0xFFFF)
                states[i] >>= 16
            states[i] = (states[i] // f << BITS) + states[i] % f + s
    return b"".join(x.to_bytes(5, "little") for x in states) + b"".join(w.to_bytes(2, "little") for w in words[::-1])


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([[], [1, 2, 3]]))
def test_lanes_against_the_slow_range_coder(seed: int, rare: list[int]) -> None:
    rng = np.random.default_rng(seed)
    writer, steps = LaneWriter(16), []
    for _ in range(rng.integers(0, 40)):
        count = int(rng.integers(1, 17))
        frequency = rng.choice([*rare, 7, 5000, TOTAL // 2, TOTAL - 1], count).astype(np.int64)
        start = rng.integers(0, TOTAL - frequency + 1)
        writer.keep(start, frequency)
        steps.append((start, frequency))
    data = writer.finish()
    slow = slow_range_coder(steps, 16)
    assert len(data) == len(slow)
    assert rare or data == slow  # a rare symbol takes two words, which lanes write in two rounds
    reader = LaneReader(data, 16)
    for start, frequency in steps:
        place = reader.peek(len(start))
        assert ((place >= start) & (place < start + frequency)).all()
        reader.take(place, start, frequency)
    reader.finish()


def test_lane_counts() -> None:
    few = [lane_count(n) for n in (0, 1 << 12, 1 << 13, 1 << 14, 1 << 15)]
    assert few == [2, 4, 8, 16, 16]
    assert [lane_count(n) for n in (1 << 17, 1 << 20, 1 << 24, 1 << 40)] == [16, 128, 2048, 4096]


def test_written_size_is_what_the_model_says() -> None:
    writer = LaneWriter(16)
    q = hilly(64, 48, 2)[None]
    code_block(WritingMixture(writer), q.copy(), likely_plans(q)[0])
    bits = sum(float(-np.log2(f / TOTAL).sum()) for _, f in writer.kept)
    assert 0 <= 8 * len(writer.finish()) - bits < 16 * 40


def test_bell_is_the_normal_distribution() -> None:
    bell = bell_curve()
    x = np.arange(-2 * REACH, 2 * REACH + 1) / FINE
    want = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])
    assert np.abs(bell / FULL - want).max() < 2e-4
    assert (np.diff(bell) >= 0).all()
    shapes = shape_tables()
    assert shapes.shape == (len(SHAPES), 2 * REACH + 1)
    assert abs(shapes[0, REACH + 2 * FINE] / FULL - 0.8413) < 2e-4  # twice as wide


def test_widths_give_the_mean_magnitude_back() -> None:
    bounds, inverse = width_tables()
    assert (np.diff(bounds) > 0).all()
    rng = np.random.default_rng(0)
    for sigma in (0.4, 1.0, 5.0):
        mean = np.abs(np.rint(rng.normal(0, sigma, 400_000))).mean()
        found = FINE / inverse[np.searchsorted(bounds, mean)]
        assert abs(found / sigma - 1) < 0.04


def test_plans_turn_back() -> None:
    q = np.stack([shared(64, 40, s) for s in range(3)])
    plan = likely_plans(q)[0]
    reader = PlanReader(plan_bytes(plan))
    back = reader.plan(3, 64, 40)
    assert all(np.array_equal(a, b) for a, b in zip(plan, back, strict=True))
    often = np.concatenate([q[0], np.repeat(q[0][3:5], 20, 0)])
    copies = find_copies(often)
    assert copies is not None
    again = PlanReader(copies_bytes(copies)).copies(len(often))
    assert again is not None
    assert all(np.array_equal(a, b) for a, b in zip(copies, again, strict=True))


def test_quarter_powers() -> None:
    codes = np.arange(0, 510)
    assert np.allclose(quarter_power(codes), 2.0 ** (codes / 4), rtol=1e-15)


@given(st.lists(st.integers(0, 3000), max_size=4))
def test_any_shape_has_a_matrix_of_few_steps(shape: list[int]) -> None:
    rows, columns = matrix_shape(tuple(shape))
    count = math.prod(shape)
    assert rows * columns >= count
    assert rows * columns - count < max(columns, 1)
    assert rows + columns <= 64 * math.sqrt(count) + 4


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(CodecError, match="int8 only"):
        mix([np.zeros(3, np.int16)])
    with pytest.raises(CodecError, match="int8 only"):
        unmix(b"", [("int16", (3,))])


@pytest.mark.parametrize("states", [1, 8])
def test_damage_is_the_one_error_or_values(states: int) -> None:
    arrays = [shared(60, 32, 1), hilly(30, 20, 2), hilly(30, 20, 3)] if states == 1 else [walked(8, True, 0.7)]
    data = mix(arrays, states)
    rng = np.random.default_rng(5)
    for _ in range(24):
        broken = bytearray(data)
        broken[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        try:
            back = Mix().decode(bytes(broken), specs_of(arrays))
        except CodecError:
            continue
        assert [b.shape for b in back] == [a.shape for a in arrays]
    for cut in (0, 2, 5, 90, len(data) - 1):
        with pytest.raises(CodecError):
            Mix().decode(data[:cut], specs_of(arrays))


def test_a_forged_plan_takes_no_memory(monkeypatch) -> None:
    plan = likely_plans(shared(200, 64, 3)[None])[0]
    with pytest.raises(CodecError, match="does not fit"):
        PlanReader(plan_bytes(plan)).plan(1, 100_000, 100_000)
