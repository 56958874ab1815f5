"""Trellis and uniform step: against brute force, theory, and their own promises."""

import itertools

import numpy as np
import pytest

from compress.errors import CodecError
from compress.trellis import UNGERBOECK, next_states, walk_trellis
from compress.trellis_search import Trellis, Uniform, best_path, fast_path

GAUSS = np.random.default_rng(4).standard_normal((16, 2048))


def conditional_entropy(k: np.ndarray, j: np.ndarray) -> float:
    """Bits a weight of the stored integers, given which half of the grid the state allows."""
    bits = 0.0
    for parity in (0, 1):
        _, n = np.unique(k[j & 1 == parity], return_counts=True)
        bits += float((n * -np.log2(n / n.sum())).sum())
    return bits / k.size


@pytest.mark.parametrize("states", UNGERBOECK)
def test_trellis_is_a_permutation_of_moves(states: int) -> None:
    moves = next_states(states)
    assert moves.shape == (states, 2)
    assert sorted(moves.reshape(-1).tolist()) == sorted(list(range(states)) * 2), "two ways into every state"
    assert (moves[:, 0] != moves[:, 1]).all()


def test_search_finds_the_best_of_all_paths() -> None:
    x, moves = np.array([0.3, -2.7, 5.1, 0.9, -0.4]), next_states(4)
    k = best_path(x, moves, 0.0)
    error = np.square(walk_trellis(k[None], 4)[0] - x).sum()
    least = min(
        np.square(walk_trellis(np.array([path]), 4)[0] - x).sum() for path in itertools.product(range(-2, 4), repeat=5)
    )
    assert error == pytest.approx(least)
    assert np.array_equal(fast_path()(x, moves, 0.0), k)


@pytest.mark.parametrize("far", [1000.0, -1000.0, 998.0])
def test_a_weight_beyond_int8_leaves_the_path_as_the_decoder_walks_it(far: float) -> None:
    moves = next_states(8)
    x = np.random.default_rng(1).standard_normal((64, 64)) * 20
    x[:, ::16] = far
    k = np.stack([best_path(row, moves, 0.0) for row in x])
    miss = np.square(walk_trellis(k, 8) - x)[:, np.arange(64) % 16 > 0]
    assert np.abs(k).max() <= 128
    assert miss.mean() < 0.35


@pytest.mark.parametrize(("states", "gap"), [(4, 0.115), (8, 0.10), (32, 0.08)])
def test_trellis_comes_near_the_rate_distortion_bound(states: int, gap: float) -> None:
    step, moves, search = 0.4, next_states(states), fast_path()
    k = np.stack([search(row / (step / 2), moves, 0.0) for row in GAUSS])
    j = walk_trellis(k, states)
    error = np.square(GAUSS - j * step / 2).mean() / GAUSS.var()
    assert conditional_entropy(k, j) - 0.5 * np.log2(1 / error) < gap


def test_scalar_stays_a_quarter_bit_above() -> None:
    q = np.rint(GAUSS / 0.4)
    _, n = np.unique(q, return_counts=True)
    bits = float((n / q.size * -np.log2(n / q.size)).sum())
    error = np.square(GAUSS - q * 0.4).mean() / GAUSS.var()
    assert 0.24 < bits - 0.5 * np.log2(1 / error) < 0.28


def test_stage_and_decoder_agree() -> None:
    values = GAUSS.astype(np.float32)
    parts = Trellis(0.1, 8).encode("w", values, "float32")
    assert parts.scheme == "trellis int8 float32 8"
    assert np.abs(parts.restore() - values).max() < 0.25
    plain = Uniform(0.1).encode("w", values, "float32")
    assert np.square(parts.restore() - values).mean() < 0.85 * np.square(plain.restore() - values).mean()


@pytest.mark.parametrize(
    "make", [lambda: Trellis(0.1, 5), lambda: Trellis(-1), lambda: Uniform(0), lambda: Uniform(1e9)]
)
def test_settings_out_of_range(make) -> None:
    with pytest.raises(CodecError):
        make()
