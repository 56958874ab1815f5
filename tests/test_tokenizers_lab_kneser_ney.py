"""The n-gram score: smoothed like a plain dictionary implementation, and a distribution whatever is kept."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenizers_lab.errors import VocabError
from tokenizers_lab.kneser_ney import HISTORY_BYTES, NGRAM_BYTES, TOKEN_BYTES, discounts, fit
from tokenizers_lab.ngrams import count_levels, longest_order, windows

BEGIN = "begin"


def flat(documents):
    offsets = np.zeros(len(documents) + 1, np.int64)
    np.cumsum([len(d) for d in documents], out=offsets[1:])
    return np.array([t for d in documents for t in d], np.uint16), offsets


class Slow:
    """Modified Kneser-Ney, by dictionaries, one probability at a time."""

    def __init__(self, documents, size, order):
        self.size, self.order = size, order
        self.counts = [Counter() for _ in range(order + 1)]
        for document in documents:
            padded = [BEGIN] * (order - 1) + list(document)
            for end in range(order, len(padded) + 1):
                self.counts[order][tuple(padded[end - order : end])] += 1
        for level in range(order - 1, 0, -1):
            for gram in self.counts[level + 1]:
                self.counts[level][gram[1:]] += 1
        self.discounts = [discounts(np.array(list(c.values()) or [1])) for c in self.counts]

    def probability(self, history, token, level=None):
        level = self.order if level is None else level
        if level == 0:
            return 1 / self.size
        history = tuple(history)[-(level - 1) :] if level > 1 else ()
        followers = {g[-1]: c for g, c in self.counts[level].items() if g[:-1] == history}
        below = self.probability(history[1:] if level > 1 else (), token, level - 1)
        if not followers:
            return below
        total, d = sum(followers.values()), self.discounts[level]
        left = sum(d[min(c, 3)] for c in followers.values()) / total
        c = followers.get(token, 0)
        return (c - d[min(c, 3)]) / total + left * below


streams = st.lists(st.lists(st.integers(0, 4), max_size=30), min_size=1, max_size=5).filter(any)


@given(streams, streams, st.integers(1, 4))
def test_probabilities_are_those_of_plain_dictionaries(train, held_out, order):
    size = 5
    slow = Slow(train, size, order)
    got = fit(*flat(train), size, order).probabilities(*flat(held_out))
    wanted = [
        slow.probability([BEGIN] * (order - 1) + document[:i], token)
        for document in held_out
        for i, token in enumerate(document)
    ]
    np.testing.assert_allclose(got, wanted, rtol=1e-10)


@given(streams, st.lists(st.integers(0, 4), max_size=6), st.integers(1, 4), st.integers(10, 400) | st.none())
def test_probabilities_sum_to_one_whatever_the_budget_left_out(train, history, order, budget):
    model = fit(*flat(train), 5, order, budget)
    each = [model.probabilities(*flat([[*history, token]]))[-1] for token in range(5)]
    assert math.isclose(sum(each), 1, rel_tol=1e-12)
    assert min(each) > 0


@given(streams, st.integers(10, 300))
def test_a_budget_is_kept_and_used(train, budget):
    model = fit(*flat(train), 5, 4, budget)
    whole = fit(*flat(train), 5, 4)
    assert model.bytes <= budget or model.stored == 0
    assert model.bytes == TOKEN_BYTES * 5 + sum(
        NGRAM_BYTES * len(o.keys) + HISTORY_BYTES * len(o.histories) for o in model.orders[1:]
    )
    if whole.bytes <= budget:
        assert model.stored == whole.stored


def test_more_bytes_score_better_down_to_the_entropy_of_the_source():
    rng = np.random.default_rng(5)
    table = rng.dirichlet(np.full(20, 0.2), size=20)
    ids = [0]
    for _ in range(30_000):
        ids.append(int(rng.choice(20, p=table[ids[-1]])))
    train, held = flat([ids[:25_000]]), flat([ids[25_000:]])
    costs = [-np.log2(fit(*train, 20, 2, budget).probabilities(*held)).mean() for budget in (40, 200, 600, None)]
    truth = -np.log2(table[ids[25_000:-1], ids[25_001:]]).mean()
    assert costs[0] > costs[1] > costs[2] > costs[3] > truth > costs[3] * 0.98


def test_bytes_are_better_spent_by_divergence_than_by_count():
    rng = np.random.default_rng(7)
    table = rng.dirichlet(np.full(30, 0.1), size=30)
    ids = [0]
    for _ in range(20_000):
        ids.append(int(rng.choice(30, p=table[ids[-1]])))
    levels = count_levels(*flat([ids]), 30, 2)
    model = fit(*flat([ids]), 30, 2, TOKEN_BYTES * 30 + 200)
    kept = np.isin(levels[1].keys, model.orders[1].keys)
    assert 0 < kept.sum() < len(kept)
    commonest = np.sort(levels[1].counts)[-kept.sum() :].sum()
    assert levels[1].counts[kept].sum() < commonest  # not simply the most frequent ones


def test_discounts_follow_chen_and_goodman():
    counts = np.repeat([1, 2, 3, 4, 9], [100, 40, 20, 10, 5])
    share = 100 / (100 + 80)
    wanted = [0, 1 - 2 * share * 40 / 100, 2 - 3 * share * 20 / 40, 3 - 4 * share * 10 / 20]
    np.testing.assert_allclose(discounts(counts), wanted)


def test_no_ngram_reaches_over_the_end_of_a_document():
    apart, joined = flat([[1, 2], [3]]), flat([[1, 2, 3]])
    assert windows(*apart, 4, 2)[-1] == (4 << 3) | 3  # the marker 4, then the token 3
    assert windows(*joined, 4, 2)[-1] == (2 << 3) | 3


@pytest.mark.parametrize(
    ("ids", "order", "says"),
    [
        ([0, 9], 2, "id 9 in a vocabulary of 5"),
        ([1], 0, "order 0"),
        ([1], 22, "wanted 1 to 21"),
        ([], 2, "no training"),
    ],
)
def test_what_cannot_be_counted_is_one_sentence(ids, order, says):
    with pytest.raises(VocabError, match=says):
        fit(*flat([ids]), 5, order)


def test_a_budget_below_the_tokens_themselves_is_refused():
    with pytest.raises(VocabError, match="10 bytes before any n-gram; the budget is 9"):
        fit(*flat([[1, 2]]), 5, 4, 9)


def test_order_4_fits_every_vocabulary_of_the_challenge():
    assert longest_order(65_535) == 4
    assert longest_order(65_536) == 3  # with the marker of a document's beginning, 17 bits
