"""Error feedback on both sides of a matrix, row and column steps, and the statistics that decide them."""

import itertools
import json
import random
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.container import read_container, write_container
from compress.container_read import read_table, unpack_container
from compress.container_write import assemble, pack_parts
from compress.dequantize import part_specs
from compress.errors import CodecError
from compress.feedback import factors, fast_round, round_grid
from compress.feedback_trellis import PRICE, bit_prices, fast_paths, path_grid
from compress.gptq import Gptq
from compress.grid import octaves
from compress.recipes import parse_coder
from compress.stage import Parts
from compress.statistics import Metric, Statistics, divergence, fingerprint, read_statistics, write_statistics
from compress.trellis import next_states, walk_trellis
from compress.water import Water, grid_made

RNG = np.random.default_rng(8)


def moment(n: int, seed: int = 0) -> np.ndarray:
    """A second moment with strong correlations, `(n, n)`."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(4 * n, n)) @ rng.normal(size=(n, n))
    return inputs.T @ inputs / (4 * n)


def test_factors_make_the_moment_again() -> None:
    m = moment(24)
    lower, d = factors(m, 0.0)
    assert np.allclose(lower * d @ lower.T, m)
    assert np.allclose(np.diag(lower), 1)
    assert not np.triu(lower, 1).any()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99), st.booleans())
def test_what_is_left_of_an_error_is_half_a_step(rows: int, columns: int, seed: int, plain: bool) -> None:
    rng = np.random.default_rng(seed)
    w, (left, _), (right, _) = rng.normal(size=(rows, columns)), factors(moment(rows, seed), 0.01), factors(
        moment(columns, seed + 1), 0.01
    )  # fmt: skip
    by_row, by_column = rng.uniform(0.01, 1, rows), rng.uniform(0.5, 2, columns)
    steps = by_row[:, None] * by_column
    q = (round_grid if plain else fast_round())(w, left, right, by_row, by_column, 1e9)
    assert np.array_equal(q, np.rint(q))
    assert (np.abs(left.T @ (q * steps - w) @ right) <= 0.5000001 * steps + 1e-9).all()


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 99), st.sampled_from([4, 8]), st.booleans())
def test_a_path_loses_no_more_than_it_says(rows: int, columns: int, seed: int, states: int, plain: bool) -> None:
    rng = np.random.default_rng(seed)
    w, moves = rng.normal(size=(rows, columns)), next_states(states)
    left = factors(moment(rows, seed), 0.01)[0]
    upper = factors(moment(columns, seed + 1), 0.01, backwards=True)[0]
    by_row, by_column = rng.uniform(0.01, 1, rows), rng.uniform(0.5, 2, columns)
    k, j = (path_grid if plain else fast_paths())(
        w, left, upper, by_row, by_column, np.full(rows, 9.0), np.ones(columns), moves, bit_prices()
    )
    assert np.array_equal(walk_trellis(k.astype(np.int64), states), j)
    half = by_row[:, None] * by_column / 2
    lost = left.T @ (j * half - w) @ upper / half  # what is left, in half steps
    assert np.abs(lost).max() <= 4.01, "no choice is farther than two steps"


def test_paths_without_correlations_are_the_best_there_are() -> None:
    w, one, moves = RNG.normal(size=(3, 6)) * 2, np.zeros((0, 0)), next_states(4)
    paths = walk_trellis(np.array(list(itertools.product(range(-3, 4), repeat=6))), 4)
    for price in (np.zeros((49, 256)), bit_prices()):
        _, j = fast_paths()(w, one, one, np.full(3, 2.0), np.ones(6), np.ones(3), np.ones(6), moves, price)
        for r in range(3):
            least = (np.square(paths - w[r]) + price[24, np.abs(paths)]).sum(1).min()
            found = np.square(j[r] - w[r]) + price[24, np.abs(j[r]).astype(int)]
            assert found.sum() == pytest.approx(least)


def test_a_trellis_leaves_small_weights_at_zero() -> None:
    w = RNG.normal(size=(256, 64)).astype(np.float32)
    assert (Water(6.0, 8).encode("w", w, "float32").arrays[0] == 0).mean() > 0.97
    assert (Water(1.0, 8).encode("w", w, "float32").arrays[0] == 0).mean() < 0.5


def test_a_trellis_hurts_less_at_the_same_size() -> None:
    w, metric = RNG.normal(size=(256, 64)).astype(np.float32), Metric(np.ones(256), np.eye(64))
    hurt, bits = [], []
    for states in (1, 8):
        parts = Water(0.35, states).encode("w", w, "float32", metric)
        _, n = np.unique(parts.arrays[0], return_counts=True)
        hurt.append(divergence(metric, w, parts.restore()))
        bits.append(float(-(n * np.log2(n / n.sum())).sum() / w.size))
    assert hurt[1] * 4 ** bits[1] < 0.9 * hurt[0] * 4 ** bits[0]


def test_without_correlations_there_is_nothing_to_feed_back() -> None:
    w, one = RNG.normal(size=(6, 7)), np.zeros((0, 0))
    q = fast_round()(w, one, one, np.full(6, 0.2), np.ones(7), 1e9)
    assert np.array_equal(q, np.rint(w / 0.2))


def test_both_sides_beat_one_and_one_beats_none() -> None:
    w = np.random.default_rng(8).normal(size=(24, 32)).astype(np.float32)
    metric = Metric(moment(24, 3), moment(32, 4))
    metric = Metric(metric.rows / np.trace(metric.rows) * 24, metric.columns / np.trace(metric.columns) * 32)
    one_side = Metric(np.diag(metric.rows), metric.columns)

    def damage(quantizer: Water | Gptq, known: Metric | None) -> tuple[float, float]:
        parts = quantizer.encode("w", w, "float32", known)
        _, n = np.unique(parts.arrays[0], return_counts=True)
        return divergence(metric, w, parts.restore()), float(-(n * np.log2(n / n.sum())).sum() / w.size)

    none, bits_none = damage(Water(0.1, min_size=1), None)
    one, bits_one = damage(Water(0.1, min_size=1), one_side)
    both, bits_both = damage(Water(0.1, min_size=1), metric)
    assert both * 4**bits_both < one * 4**bits_one < none * 4**bits_none
    gptq, plain = (damage(Gptq(4, min_size=1), m)[0] for m in (metric, None))
    assert gptq < 0.9 * plain


def test_a_bit_s_price_is_that_of_laplace_s_cells() -> None:
    mass = 2 ** (-bit_prices()[:33] / PRICE)
    assert (np.diff(mass[:, 1:40]) <= 0).all()
    assert np.allclose(mass[:, 0] + 2 * mass[:, 2:40:2].sum(1), 1, atol=0.02), "even cells fill the line"
    assert np.allclose(2 * mass[:, 1:40:2].sum(1), 1, atol=0.02), "odd ones too"


def test_a_path_goes_along_the_even_side() -> None:
    w = RNG.normal(size=(64, 48)).astype(np.float32)
    dead = w * np.where(np.arange(48) % 4, 1e-3, 1).astype(np.float32)
    for values, down in ((dead, 1), (np.ascontiguousarray(dead.T), 0)):
        parts = Water(0.5, 8).encode("w", values, "float32")
        assert parts.scheme.split(" ")[5:] == ["8", "0", "1"][: 2 + down]
        assert np.square(parts.restore() - values).mean() < 0.6 * np.square(values).mean() * 0.5


def test_the_prediction_is_what_the_definition_says() -> None:
    metric, e = Metric(moment(5, 1), moment(6, 2)), RNG.normal(size=(5, 6))
    full = 0.5 * e.reshape(-1) @ np.kron(metric.rows, metric.columns) @ e.reshape(-1)
    assert divergence(metric, e, np.zeros_like(e)) == pytest.approx(full)
    flat = Metric(np.diag(metric.rows), metric.columns)
    full = 0.5 * e.reshape(-1) @ np.kron(np.diag(flat.rows), metric.columns) @ e.reshape(-1)
    assert divergence(flat, e, np.zeros_like(e)) == pytest.approx(full)


def test_octaves_are_the_powers_of_two() -> None:
    e = np.arange(-100, 101).astype(np.int8)
    assert np.allclose(octaves(e), 2.0 ** (e / 4), rtol=1e-6)
    assert np.array_equal(octaves(np.array([-8, 0, 8], np.int8)), np.array([0.25, 1, 4], np.float32))


@pytest.mark.parametrize("outlier", [3.0, 300.0, 1e9, -1e30])
def test_an_outlier_stays_and_hurts_nobody(tmp_path: Path, outlier: float) -> None:
    w = (RNG.normal(size=(40, 50)) * 0.05).astype(np.float32)
    w[7, 9] = outlier
    write_container(tmp_path / "a.pgc", {"w": w}, "water-0.01+zlib9")
    back = read_container(tmp_path / "a.pgc")["w"]
    assert back[7, 9] == pytest.approx(outlier, rel=0.01)
    if abs(outlier) < 1e6:
        assert np.abs(np.delete(back - w, 7 * 50 + 9)).max() <= 0.0051


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (33, 1), (3, 5, 7), (0, 4), (4, 0)])
def test_odd_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    w = (RNG.normal(size=shape) * 0.1).astype(np.float32)
    parts = Water(0.01, min_size=1).encode("w", w, "float32")
    assert parts.restore().shape == shape
    assert np.abs(parts.restore() - w).max(initial=0) <= 0.0051


def test_constant_and_zero_tensors() -> None:
    for value in (0.0, 0.25, -1e-20):
        w, metric = np.full((40, 40), value, np.float32), Metric(np.zeros(40), np.zeros((40, 40)))
        for known in (None, metric):
            assert np.isfinite(Water(0.01).encode("w", w, "float32", known).restore()).all()
            assert np.isfinite(Gptq(6, 12.85).encode("w", w, "float32", known).restore()).all()


def sample() -> tuple[dict[str, np.ndarray], Statistics]:
    w = {"a": RNG.normal(size=(40, 30)).astype(np.float32), "v": np.ones(5, np.float32)}
    metrics = {"a": Metric(moment(40), moment(30)), "v": Metric(np.ones(5), np.ones((1, 1)))}
    return w, Statistics(fingerprint(w), 99, metrics)


def test_statistics_file_comes_back(tmp_path: Path) -> None:
    w, found = sample()
    write_statistics(tmp_path / "s.npz", found)
    again = read_statistics(tmp_path / "s.npz", w)
    assert again[:2] == found[:2]
    assert again.metrics["a"].rows == pytest.approx(found.metrics["a"].rows, rel=1e-5)
    assert set(again.nats(w, {n: v * 0 for n, v in w.items()})) == {"a", "v"}
    with pytest.raises(CodecError, match="other weights"):
        read_statistics(tmp_path / "s.npz", {**w, "v": w["v"] * 2})


def test_broken_statistics_are_sentences(tmp_path: Path) -> None:
    w, found = sample()
    place = tmp_path / "s.npz"
    write_statistics(place, found)
    data = place.read_bytes()
    for broken in (b"", b"PK\3\4", data[: len(data) // 2], data[:200] + b"\0\0\0" + data[203:]):
        place.write_bytes(broken)
        with pytest.raises(CodecError, match="pglab model calibrate"):
            read_statistics(place, w)
    arrays = {"about": np.frombuffer(json.dumps({"format": "other"}).encode(), np.uint8)}
    np.savez(place, **arrays)
    with pytest.raises(CodecError, match="no statistics"):
        read_statistics(place, w)
    for rows in (np.full(40, np.nan), np.ones((3, 40))):
        write_statistics(place, found._replace(metrics={"a": Metric(rows, np.eye(30))}))
        with pytest.raises(CodecError, match="not finite square"):
            read_statistics(place, w)
    write_statistics(place, found._replace(metrics={"a": Metric(np.ones(39), np.eye(30))}))
    with pytest.raises(CodecError, match="do not fit"):
        read_statistics(place, w)
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("about.npy", b"nothing")
    with pytest.raises(CodecError, match="no statistics"):
        read_statistics(place, w)


def test_a_moment_that_is_none_is_a_sentence() -> None:
    with pytest.raises(CodecError, match="not positive"):
        factors(np.array([[1.0, 9.0], [9.0, 1.0]]), 0.01)
    with pytest.raises(CodecError, match="negative"):
        factors(np.array([1.0, -1.0]), 0.01)


def fixed_grid(states: int, down: bool = False) -> Parts:
    """A grid with everything a grid can have, made of integers alone."""
    q = (np.arange(7 * 5, dtype=np.int64) * 37 % 19 - 9).reshape(7, 5)
    q[2, 3], q[6, 0] = 300, -70_000
    rows, columns = np.arange(-3, 4).astype(np.int8), np.array([0, -9, 5, 2, 1], np.int8)
    return Parts(
        "w", "float32", (7, 5), *grid_made(q.astype(np.float64), rows, columns, np.float32(0.125), states, down)
    )


def slow_grid(q: np.ndarray, rows: np.ndarray, columns: np.ndarray, step: float, states: int) -> np.ndarray:
    """What FORMAT.md says a grid means, number by number."""
    out, moves = np.zeros(q.shape), next_states(states) if states > 1 else None
    for r in range(q.shape[0]):
        state = 0
        for c in range(q.shape[1]):
            j = int(q[r, c])
            if moves is not None:
                k, j = j, 2 * j + (state & 1)
                state = moves[state, k & 1]
            out[r, c] = j * step * 2 ** (int(rows[r]) / 4) * 2 ** (int(columns[c]) / 4)
    return out


@pytest.mark.parametrize(("states", "down"), [(1, False), (8, False), (8, True)])
def test_grid_file_is_what_the_format_says(golden, tmp_path: Path, states: int, down: bool) -> None:
    part, store = fixed_grid(states, down), parse_coder(["store"])
    golden(f"compress_grid{states}{'down' * down}.pgc", pack_parts([part], store, store))
    (tmp_path / "a.pgc").write_bytes(pack_parts([part], store, store))
    back = read_container(tmp_path / "a.pgc")["w"]
    q = part.arrays[0].astype(np.int64)
    q.reshape(-1)[part.arrays[4]] += part.arrays[5]
    assert (int(q[2, 3]), int(q[6, 0])) == (300, -70_000)
    sides = part.arrays[1:3]
    wanted = slow_grid(q.T if down else q, *sides[:: -1 if down else 1], float(part.arrays[3]), states)
    wanted = wanted.T if down else wanted
    assert back == pytest.approx(wanted, rel=3e-7)


BAD_SCHEMES = [
    "", "nothing", "grid", "grid int8", "grid int8 int8 int8 float32", "grid int8 int8 int8 float32 1",
    "grid int8 int8 int8 float32 3 0", "grid int8 int8 int8 float32 1 2", "grid int8 int16 int8 float32 1 0",
    "grid int8 int8 int8 float32 int32 int32 1 0", "grid int8 int8 int8 float32 1 99999999999999",
    "grid int8 int8 int8 float32 -1 0", "grid int8 int8 int8 float32 ² 0", "grid raw int8 int8 float32 1 0",
    "grid int8 int8 int8 float32 int64 int64 1 2", "grid int8 int8 int8 float32 8 0 2",
    "grid int8 int8 int8 float32 8 0 1 1",
]  # fmt: skip


@pytest.mark.parametrize("scheme", BAD_SCHEMES)
@pytest.mark.parametrize("shape", [(7, 5), (0, 5), (7, 0), (35,), ()])
def test_other_grids_are_refused(scheme: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(CodecError, match=r"not known|no trellis"):
        part_specs(scheme, shape)


def test_amounts_beyond_the_tensor_are_refused() -> None:
    part = fixed_grid(1)
    for place in (35, -1, 2**31 - 1):
        part.arrays[4][0] = place
        with pytest.raises(CodecError, match="beyond its tensor"):
            part.restore()


@pytest.mark.parametrize("states", [1, 8])
def test_any_bytes_give_values_or_the_one_error(states: int) -> None:
    store, rng = parse_coder(["store"]), random.Random(states)
    data = pack_parts([fixed_grid(states)], store, store)
    table, _, (head, *_) = read_table(data)
    for _ in range(300):
        broken = bytearray(data)
        broken[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        with pytest.raises(CodecError):
            list(unpack_container(bytes(broken)))
    for _ in range(300):  # right checksums, other numbers: any value will do, no other error
        body = bytearray(data[head:])
        for _ in range(rng.randrange(1, 9)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        streams, at = [], 0
        for chain, size, *_ in table["streams"]:
            crc = zlib.crc32(bytes(body[at : at + size]))
            streams.append([chain, size, crc, crc if chain == "store" else _[1]])
            at += size
        try:
            found = list(unpack_container(assemble({**table, "streams": streams}, bytes(body))))
        except CodecError:
            continue
        assert found[0][1].shape == (7, 5)


def test_statistics_of_another_shape(tmp_path: Path) -> None:
    w = {"w": np.ones((64, 32), np.float32)}
    turned = Statistics(fingerprint(w), 1, {"w": Metric(np.ones(32), np.eye(64))})
    write_statistics(tmp_path / "s.npz", turned)
    with pytest.raises(CodecError, match=r"do not fit its shape \(64, 32\)"):
        read_statistics(tmp_path / "s.npz", w)


def test_a_pair_of_long_vectors_has_a_metric_number_by_number(tmp_path: Path) -> None:
    w = {"w": np.random.default_rng(0).normal(size=(2, 600)).astype(np.float32)}
    single = Statistics(fingerprint(w), 1, {"w": Metric(np.ones(1200), np.ones((1, 1)))})
    write_statistics(tmp_path / "s.npz", single)
    metric = read_statistics(tmp_path / "s.npz", w).metrics["w"]
    for quantizer in (Gptq(6), Water(0.02), Water(0.02, 8)):
        plain, known = quantizer.encode("w", w["w"], "float32"), quantizer.encode("w", w["w"], "float32", metric)
        assert np.array_equal(plain.restore(), known.restore())
