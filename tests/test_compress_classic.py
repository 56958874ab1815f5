"""The field's quantisers against their own definitions: best clips, best ternary, best tables."""

import itertools

import numpy as np
import pytest

from compress.errors import CodecError
from compress.quantizers import RowInt
from compress.quantizers_classic import AffineInt, ClipSearch, KMeans, Ternary, lloyd

W = (np.random.default_rng(2).standard_t(4, (48, 64)) * 0.1).astype(np.float32)


def error(quantizer, values: np.ndarray = W) -> float:
    return float(np.square(quantizer.encode("w", values, "float32").restore() - values).sum())


def test_a_zero_helps_where_rows_are_lopsided() -> None:
    shifted = W + 3
    assert error(AffineInt(4), shifted) < 0.05 * error(RowInt(4), shifted)
    parts = AffineInt(4).encode("w", shifted, "float32")
    assert set(np.unique(parts.arrays[0])) <= set(range(-8, 8))


def test_a_searched_clip_is_never_worse() -> None:
    for bits in (2, 3, 4, 6):
        plain, searched = RowInt(bits).encode("w", W, "float32"), ClipSearch(bits).encode("w", W, "float32")
        off = [np.square(p.restore() - W).sum(axis=1) for p in (plain, searched)]
        assert (off[1] <= off[0] * 1.001).all()


def test_ternary_is_the_best_of_all_ternaries() -> None:
    row = np.array([[0.1, -0.9, 0.4, 1.1, -0.05]])
    got = error(Ternary(min_size=1), row.astype(np.float32))
    tries = []
    for signs in itertools.product((-1, 0, 1), repeat=5):
        t = np.array(signs, np.float64)
        scale = max(float(row[0] @ t) / max(float(t @ t), 1e-9), 0.0)
        tries.append(float(np.square(row[0] - scale * t).sum()))
    assert got == pytest.approx(min(tries), rel=2e-3)


def test_lloyd_leaves_every_entry_at_its_own_mean() -> None:
    x = np.random.default_rng(0).normal(size=20_000)
    table = lloyd(x, 4)
    assert table == pytest.approx([-1.510, -0.4528, 0.4528, 1.510], abs=0.05)  # Max (1960), four levels
    assert (np.diff(table) > 0).all()
    assert error(KMeans(16)) < error(RowInt(4))


@pytest.mark.parametrize("entries", [1, 129])
def test_tables_have_a_size(entries: int) -> None:
    with pytest.raises(CodecError, match="2 to 128"):
        KMeans(entries)


@pytest.mark.parametrize("stage", [AffineInt(4), ClipSearch(4), Ternary(), KMeans(16)])
@pytest.mark.parametrize("values", [np.zeros((40, 40)), np.full((40, 40), 0.25), np.ones((2000, 1)), np.zeros((0, 4))])
def test_odd_tensors(stage, values: np.ndarray) -> None:
    back = stage.encode("w", values.astype(np.float32), "float32").restore()
    assert back.shape == values.shape
    assert np.abs(back - values).max(initial=0) < 0.01
