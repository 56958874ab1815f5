"""The mixing coder: the compiled model against the same text as plain Python, its tables, and what it must gain."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from compress.errors import CodecError
from compress.measure import order0_bits
from compress.mix_coder import best_lags, mix
from compress.mix_decode import fast_mix, matrix_sizes, unmix
from compress.mix_model import run_mix
from compress.mix_tables import class_tables, gaussian_prior, logistic_tables, size_levels
from compress.stage import Parts


def order0_bytes(arrays: list[np.ndarray]) -> float:
    return order0_bits([Parts("", "float32", a.shape, "one", [a]) for a in arrays])[0] / 8


def hilly(rows: int, columns: int, seed: int) -> np.ndarray:
    """Integers whose size varies by row and column, as trained weights do."""
    rng = np.random.default_rng(seed)
    size = 5 * rng.lognormal(0, 0.4, (rows, 1)) * rng.lognormal(0, 0.4, (1, columns))
    return np.rint(rng.normal(size=(rows, columns)) * size).clip(-127, 127).astype(np.int8)


@settings(max_examples=15)
@given(st.lists(hnp.arrays(np.int8, hnp.array_shapes(max_dims=3, min_side=0, max_side=7)), max_size=3))
def test_compiled_and_plain_python_write_the_same_bytes(arrays: list[np.ndarray]) -> None:
    specs = [("int8", a.shape) for a in arrays]
    plain = mix(arrays, run_mix)
    assert mix(arrays, fast_mix()) == plain
    for run in (run_mix, fast_mix()):
        back = unmix(plain, specs, run)
        assert all(np.array_equal(a, b) for a, b in zip(arrays, back, strict=True))


def test_compiled_and_plain_python_agree_over_rows_that_copy() -> None:
    first = hilly(14, 24, 1)
    first[9], first[13] = first[2], first[2]
    first[13, 5] += 1
    arrays = [first, first // 2]
    plain = mix(arrays, run_mix)
    assert mix(arrays) == plain
    assert all(
        np.array_equal(a, b) for a, b in zip(arrays, unmix(plain, [("int8", (14, 24))] * 2, run_mix), strict=True)
    )


def test_extremes_survive() -> None:
    arrays = [np.full((9, 9), v, np.int8) for v in (-128, 127, 0)]
    arrays.append(np.tile(np.array([-128, 127], np.int8), (40, 20)))
    back = unmix(mix(arrays), [("int8", a.shape) for a in arrays])
    assert all(np.array_equal(a, b) for a, b in zip(arrays, back, strict=True))


def test_below_order_0_where_rows_and_columns_differ() -> None:
    arrays = [hilly(256, 128, 5)]
    assert len(mix(arrays)) < 0.975 * order0_bytes(arrays)


def test_close_to_order_0_where_there_is_nothing_to_learn() -> None:
    arrays = [np.rint(np.random.default_rng(2).normal(0, 4, (256, 256))).astype(np.int8)]
    assert len(mix(arrays)) < 1.006 * order0_bytes(arrays)


def test_copied_rows_cost_almost_nothing() -> None:
    block = hilly(40, 128, 9)
    once, twice = len(mix([block])), len(mix([np.concatenate([block, block])]))
    assert twice < 1.1 * once
    assert best_lags(np.concatenate([block, block]))[40:].tolist() == [40] * 40


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(CodecError, match="int8 only"):
        mix([np.zeros(3, np.int16)])
    with pytest.raises(CodecError, match="int8 only"):
        unmix(b"", [("int16", (3,))])


def test_sizes_name_the_previous_matrix_of_the_same_shape() -> None:
    specs = [("int8", (2, 3)), ("int8", (2, 3)), ("int8", (4,)), ("int8", ()), ("int8", (2, 3, 2))]
    assert matrix_sizes(specs).tolist() == [[2, 3, -1], [2, 3, 0], [1, 4, -1], [1, 1, -1], [2, 6, -1]]


def test_logistic_tables_are_the_logistic_function() -> None:
    squash, stretch = logistic_tables()
    x = np.arange(-2047, 2048)
    assert np.abs(squash[1:] - 65536 / (1 + np.exp(-x / 256))).max() <= 1.01
    assert (squash > 0).all()
    assert (squash < 65536).all()
    assert (np.diff(stretch) >= 0).all()
    assert abs(int(stretch[2048])) <= 1


def test_levels_are_eight_an_octave() -> None:
    levels = size_levels()
    for e in (0, 1, 5, 64, 1000, 4095):
        assert levels[e] == math.floor(8 * math.log2(1 + e / 4) + 1e-9)
    assert levels[-1] == 80


def test_classes_cover_every_magnitude_once() -> None:
    of, first, bits, _ = class_tables()
    assert len(of) == 257
    for magnitude in range(257):
        c = of[magnitude]
        assert first[c] <= magnitude < first[c] + (1 << bits[c])


def test_prior_is_a_gaussian() -> None:
    squash, _ = logistic_tables()
    prior = gaussian_prior(squash, size_levels())
    assert prior.min() > 0
    assert prior.max() < 65536
    level = int(size_levels()[64])  # mean magnitude 4: sigma about 5
    beyond = 1 - math.erf(12.5 / (5.2 * math.sqrt(2)))  # classes 8 and up start at magnitude 13... of |d|
    assert abs(prior[level, 1] / 65536 - beyond) < 0.03
