"""The probes of a scorer: an honest cache passes, and each way of cheating is caught in two forms."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from bpb_audit.behaviour import (
    Documents,
    alone,
    finding,
    from_log_probabilities,
    probe,
    probe_causality,
    probe_normalisation,
    probe_repeat,
    probe_targets,
)
from bpb_audit.errors import AuditError
from bpb_audit.finding import Verdict

V = 23


def documents(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.concatenate(([1], rng.integers(2, V, size))) for size in (12, 30, 20, 25)]


class Cache:
    """An adaptive bigram scorer: counts of what was already scored, add-one smoothed; sums to one by construction."""

    def __init__(self) -> None:
        self.counts = np.ones((V, V))

    def row(self, token: int) -> np.ndarray:
        return self.counts[token] / self.counts[token].sum()

    def learn(self, ids: np.ndarray) -> None:
        np.add.at(self.counts, (ids[:-1], ids[1:]), 1)

    def nats(self, ids: np.ndarray) -> np.ndarray:
        return np.array([-np.log(self.row(a)[b]) for a, b in itertools.pairwise(ids)])


def honest(given: Documents) -> list[np.ndarray]:
    cache, out = Cache(), []
    for ids in given:
        out.append(cache.nats(ids))
        cache.learn(ids)  # score first, then learn
    return out


def learns_first(given: Documents) -> list[np.ndarray]:
    cache, out = Cache(), []
    for ids in given:
        cache.learn(ids)
        out.append(cache.nats(ids))
    return out


def reads_everything_before(given: Documents) -> list[np.ndarray]:
    cache = Cache()
    for ids in given:
        cache.learn(ids)
    return [cache.nats(ids) for ids in given]


def looks_one_ahead(given: Documents) -> list[np.ndarray]:
    out = []
    for ids, nats in zip(given, honest(given), strict=True):
        nats[:-1] += np.where(ids[2:] > V // 2, 0.01, 0.0)
        out.append(nats)
    return out


def depends_on_length(given: Documents) -> list[np.ndarray]:
    return [nats + 1e-3 * len(nats) for nats in honest(given)]


def mixture(weight: Callable[[float, float], float]):
    """p(target) from a flat model and the cache, with a weight that sees the target."""

    def scorer(given: Documents) -> list[np.ndarray]:
        return [-np.log([weight(np.exp(-n), 1 / V) for n in nats]) for nats in honest(given)]

    return scorer


best_of_both = mixture(max)
gated = mixture(lambda cached, flat: 0.9 * cached + 0.1 * flat if cached > flat else flat)
fair = mixture(lambda cached, flat: 0.9 * cached + 0.1 * flat)


def hashed(given: Documents) -> list[np.ndarray]:
    """A hashed count table read as if it were a probability: buckets collide, nothing is normalised."""
    table, total, out = np.full(7, 0.5), 1.0, []
    for ids in given:
        nats = []
        for a, b in itertools.pairwise(ids):
            bucket = (a * 31 + b) % 7
            nats.append(-np.log(0.5 / V + 0.5 * table[bucket] / total))
            table[bucket] += 1
            total += 1
        out.append(np.array(nats))
    return out


@pytest.mark.parametrize("scorer", [honest, fair])
def test_an_honest_scorer_passes_every_probe(scorer) -> None:
    findings = probe(scorer, documents(), V)
    assert [one.verdict for one in findings] == [Verdict.PASS] * 3
    assert [one.rule for one in findings] == ["PG514", "PG511", "PG512"]
    assert "changes at 6 places" in findings[1].says


@pytest.mark.parametrize("scorer", [learns_first, reads_everything_before, looks_one_ahead, depends_on_length])
def test_a_scorer_that_looks_ahead_is_caught(scorer) -> None:
    found = probe_causality(scorer, documents(), V)
    assert found.held is False
    assert found.worst > 1e-3
    assert "document" in found.where
    assert finding(found).verdict is Verdict.FAIL


@pytest.mark.parametrize("scorer", [best_of_both, gated, hashed])
def test_probabilities_that_do_not_sum_to_one_are_caught(scorer) -> None:
    assert probe_causality(scorer, documents(), V).held  # causal, and wrong all the same
    found = probe_normalisation(scorer, documents(), V)
    assert found.held is False
    assert "sum to" in found.where


def test_too_few_calls_show_nothing_unless_the_part_exceeds_one() -> None:
    assert probe_normalisation(honest, documents(), V, calls=10).held is None
    assert finding(probe_normalisation(honest, documents(), V, calls=10)).verdict is Verdict.UNCHECKED

    def twice(given: Documents) -> list[np.ndarray]:
        return [nats - np.log(10) for nats in honest(given)]

    assert probe_normalisation(twice, documents(), V, calls=V).held is False


def test_a_scorer_that_remembers_earlier_calls_is_caught() -> None:
    cache = Cache()

    def remembers(given: Documents) -> list[np.ndarray]:
        out = []
        for ids in given:
            out.append(cache.nats(ids))
            cache.learn(ids)
        return out

    assert probe_repeat(remembers, documents()).held is False
    assert probe_repeat(honest, documents()).held


def rows(ids: np.ndarray) -> np.ndarray:
    cache = Cache()
    cache.learn(np.arange(V))
    return np.log(np.stack([cache.row(token) for token in ids]))  # (T, V)


def rows_that_see_the_target(ids: np.ndarray) -> np.ndarray:
    out = np.exp(rows(ids))
    following = np.append(ids[1:], 0)
    out[np.arange(len(ids)), following] += 0.2
    return np.log(out / out.sum(1, keepdims=True))


def rows_of_logits(ids: np.ndarray) -> np.ndarray:
    return rows(ids) + 0.1


def test_whole_distributions_are_probed_for_sums_and_for_their_own_target() -> None:
    assert probe_targets(rows, documents()).held
    assert "moves with its own target" in probe_targets(rows_that_see_the_target, documents()).where
    assert "does not sum" in probe_targets(rows_of_logits, documents()).where
    assert [one.verdict for one in probe(from_log_probabilities(rows), documents(), V)] == [Verdict.PASS] * 3


def test_noise_below_the_tolerance_is_let_pass_and_above_is_not() -> None:
    def noisy(scale: float):
        return lambda given: [n + scale * np.random.default_rng().standard_normal(len(n)) for n in honest(given)]

    assert probe_causality(noisy(1e-7), documents(), V).held
    assert probe_causality(noisy(1e-2), documents(), V).held is False


@pytest.mark.parametrize(
    "bad",
    [
        lambda given: [],
        lambda given: [np.zeros(len(ids)) for ids in given],
        lambda given: [np.full(len(ids) - 1, np.nan) for ids in given],
    ],
)
def test_a_scorer_that_returns_something_else_raises_the_one_error(bad) -> None:
    with pytest.raises(AuditError, match="the scorer returned"):
        probe_repeat(bad, documents())


def test_documents_too_short_to_probe_raise_the_one_error() -> None:
    with pytest.raises(AuditError, match="at least 4"):
        probe_causality(honest, [np.array([1, 2])], V)
    with pytest.raises(AuditError, match="at least 2"):
        probe_normalisation(alone(lambda ids: np.zeros(len(ids) - 1)), [np.array([1])], V)


def test_zero_probability_everywhere_is_no_movement() -> None:
    def never(given: Documents) -> list[np.ndarray]:
        return [np.full(len(ids) - 1, np.inf) for ids in given]

    assert probe_causality(never, documents(), V).held
    assert probe_normalisation(never, documents(), V).held is False
