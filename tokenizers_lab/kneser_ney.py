"""Modified Kneser-Ney smoothing with only as many n-grams as a budget of bytes holds.

Chen and Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling" (1998), equation 28, interpolated:

    P(w | h) = max(c(hw) - D(c(hw)), 0) / c(h) + gamma(h) P(w | h without its oldest token)

with three discounts D1, D2, D3+ per order from the counts of counts, and the uniform distribution below order 1. An
n-gram that is not stored gives up its own term, and gamma(h) = 1 - (what the stored ones of h keep), so that the
probabilities sum to one whatever is left out. What is left out first is what helps least: n-grams are ranked by how
far the distribution after h moves when one is dropped (Stolcke, "Entropy-based Pruning of Backoff Language Models",
1998), rewritten for the interpolated form, see `_gain`.

What a stored n-gram costs is a convention, close to a quantised trie on disk: 3 bytes for an n-gram (a coded id and a
weight), 1 byte for the gamma of a history that has any. Order 1 is always stored, at 2 bytes a token.
"""

from dataclasses import dataclass

import numpy as np

from .errors import VocabError
from .ngrams import Level, bits_per_token, count_levels, windows

NGRAM_BYTES, HISTORY_BYTES, TOKEN_BYTES = 3, 1, 2


def discounts(counts: np.ndarray) -> np.ndarray:
    """(4,) float64 D0..D3+: what a count of 0, 1, 2, 3 or more gives up. D0 is 0.

    Where the counts of counts are too thin for the formula (a small text, an order that knows no rare n-grams) a
    discount is kept within [0.1, its count - 0.01], so that every history leaves some mass to the orders below.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].astype(float)  # n1..n4
    found = np.zeros(4)
    share = n[0] / (n[0] + 2 * n[1]) if n[0] else 0.0
    for count in (1, 2, 3):
        raw = count - (count + 1) * share * n[count] / n[count - 1] if n[count - 1] else 0.5
        found[count] = min(max(raw, 0.1), count - 0.01)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """One order as a model uses it: kept n-grams and what the histories leave to the order below.

    keys: (k,) uint64, sorted; terms: (k,) float64, the n-gram's own share (c - D) / c(h); histories: (h,) uint64,
    sorted, those with a kept n-gram; gammas: (h,) float64.
    """

    keys: np.ndarray
    terms: np.ndarray
    histories: np.ndarray
    gammas: np.ndarray

    @property
    def bytes(self) -> int:
        return NGRAM_BYTES * len(self.keys) + HISTORY_BYTES * len(self.histories)


def _store(level: Level, terms: np.ndarray, kept: np.ndarray, bits: int) -> Stored:
    """The kept n-grams of a level; `terms` (n,) are the own shares, `kept` (n,) bool."""
    spent = np.bincount(level.history[kept], weights=terms[kept], minlength=len(level.first))
    used = np.zeros(len(level.first), bool)
    used[level.history[kept]] = True
    histories = (level.keys[level.first] >> np.uint64(bits))[used]
    return Stored(level.keys[kept], terms[kept], histories, 1.0 - spent[used])


def _find(sorted_keys: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of `wanted` in `sorted_keys` and whether each is there, both (n,)."""
    if not len(sorted_keys):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    place = np.minimum(np.searchsorted(sorted_keys, wanted), len(sorted_keys) - 1)
    return place, sorted_keys[place] == wanted


class KneserNey:
    """A model of one vocabulary's tokens. `orders[0]` is order 1; `bytes` is what it costs by the convention above."""

    def __init__(self, size: int, orders: list[Stored]) -> None:
        self.size, self.orders = size, orders

    @property
    def bytes(self) -> int:
        return TOKEN_BYTES * self.size + sum(order.bytes for order in self.orders[1:])

    @property
    def stored(self) -> int:
        """N-grams kept above order 1."""
        return sum(len(order.keys) for order in self.orders[1:])

    def probabilities(self, ids: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """(n,) float64: P of each token after the tokens before it in its document. Arguments as for `windows`."""
        bits = np.uint64(bits_per_token(self.size))
        found = np.full(len(ids), 1.0 / self.size)
        for order, stored in enumerate(self.orders, 1):
            keys = windows(ids, offsets, self.size, order)
            place, there = _find(stored.histories, keys >> bits)
            found[there] *= stored.gammas[place[there]]
            place, there = _find(stored.keys, keys)
            found[there] += stored.terms[place[there]]
        return found


def fit(ids: np.ndarray, offsets: np.ndarray, size: int, order: int = 4, budget: int | None = None) -> KneserNey:
    """A model of a training stream. budget: bytes; None keeps every n-gram.

    Raises VocabError when there are no tokens, when order 1 alone is above the budget, and as `windows` does.
    """
    if not len(ids):
        raise VocabError("no training tokens; wanted documents to count n-grams in. Name more of them with --docs.")
    bits = bits_per_token(size)
    levels = count_levels(ids, offsets, size, order)
    room = None if budget is None else budget - TOKEN_BYTES * size
    if room is not None and room < 0:
        raise VocabError(
            f"{size:,} tokens cost {TOKEN_BYTES * size:,} bytes before any n-gram; the budget is {budget:,}."
        )
    shares: list[np.ndarray] = []  # own terms per level
    gains: list[np.ndarray] = []  # what keeping an n-gram saves on the training text, in nats
    lower = np.full(1, 1.0 / size)
    for level in levels:
        totals = np.add.reduceat(level.counts, level.first)  # (h,)
        own = (level.counts - discounts(level.counts)[np.minimum(level.counts, 3)]) / totals[level.history]
        gamma = 1.0 - np.add.reduceat(own, level.first)
        shorter = lower[level.shorter]
        whole = own + gamma[level.history] * shorter
        gains.append(_gain(level, totals, own, gamma, shorter, whole))
        shares.append(own)
        lower = whole
    if room is None:
        kept = [np.ones(len(level.keys), bool) for level in levels]
    else:
        kept = [np.ones(len(levels[0].keys), bool), *_choose(levels[1:], gains[1:], room)]
    return KneserNey(size, [_store(*parts, bits) for parts in zip(levels, shares, kept, strict=True)])


def _gain(
    level: Level, totals: np.ndarray, own: np.ndarray, gamma: np.ndarray, shorter: np.ndarray, whole: np.ndarray
) -> np.ndarray:
    """(n,) nats that keeping each n-gram saves: c(h) times the divergence of P(. | h) without it from P(. | h).

    Without it gamma grows by `own`: the n-gram falls to gamma' P(w | shorter h), what was not stored grows by
    gamma' / gamma, and what is stored grows by own P(w' | shorter h), taken to the first order.
    """
    seen = np.add.reduceat(shorter, level.first)  # (h,) mass at the order below of all that was seen after h
    before = gamma[level.history]
    after = before + own
    fallen = whole * np.log(whole / (after * shorter))
    unseen = before * np.maximum(1.0 - seen, 0.0)[level.history] * np.log(after / before)
    others = own * (seen[level.history] - shorter)
    return totals[level.history] * (fallen - unseen - others)


def _choose(levels: list[Level], gains: list[np.ndarray], room: int) -> list[np.ndarray]:
    """Masks of what to keep: the best gains of all orders together, as many as fit `room` bytes exactly counted."""
    ranked = np.sort(np.concatenate([*gains, np.empty(0)]))
    best = [np.maximum.reduceat(gain, level.first) for level, gain in zip(levels, gains, strict=True)]
    opened = np.sort(np.concatenate([*best, np.empty(0)]))  # a history is paid for with its best n-gram

    def cost(least: float) -> int:
        kept, histories = (len(some) - int(np.searchsorted(some, least)) for some in (ranked, opened))
        return NGRAM_BYTES * kept + HISTORY_BYTES * histories

    low, high = 0, len(ranked)  # the least place in the ranking from which on everything fits
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if cost(ranked[middle]) <= room else (middle + 1, high)
    least = ranked[low] if low < len(ranked) else np.inf
    return [gain >= least for gain in gains]
