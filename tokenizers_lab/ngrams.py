"""Counting n-grams of a token stream in numpy: no dictionary, no Python loop over tokens.

An n-gram of tokens is packed into one 64-bit number, the oldest token in the highest bits, so that sorting the numbers
sorts the n-grams and equal ones stand together. Every document begins with `order - 1` markers of its own (the id
V, which no text has), so that each token has a full history and no n-gram crosses from one document into the next.

For each order the table keeps three things that Kneser-Ney smoothing asks for: how often an n-gram counts (seen in the
text at the highest order; below it, how many different tokens stood before it), where its history begins and ends, and
which entry of the next lower order is the same n-gram without its oldest token.
"""

from dataclasses import dataclass

import numpy as np

from .errors import VocabError


def bits_per_token(size: int) -> int:
    """Bits that hold the ids of a vocabulary and the marker of a document's beginning."""
    return max(1, int(size).bit_length())


def longest_order(size: int) -> int:
    """The longest n-gram of this vocabulary that fits 64 bits."""
    return 64 // bits_per_token(size)


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """All n-grams of one order, sorted by history, then by token.

    keys: (n,) uint64. counts: (n,) int64, how often each counts at this order. first: (h,) int64, where the i-th
    history begins in keys. history: (n,) int64, the index of each n-gram's history. shorter: (n,) int64, the index of
    the same n-gram without its oldest token at the order below; all zero at order 1.
    """

    order: int
    keys: np.ndarray
    counts: np.ndarray
    first: np.ndarray
    history: np.ndarray
    shorter: np.ndarray


def windows(ids: np.ndarray, offsets: np.ndarray, size: int, order: int) -> np.ndarray:
    """(n,) uint64: for each token the n-gram of `order` that ends there.

    ids: (n,) any integer dtype, below `size`; offsets: (D + 1,) int64 as in Encoded. Raises VocabError for an id
    outside the vocabulary and for an order that does not fit 64 bits.
    """
    if not 1 <= order <= longest_order(size):
        raise VocabError(
            f"n-grams of order {order} over {size:,} tokens do not fit 64 bits; wanted 1 to {longest_order(size)}."
        )
    if len(ids) and int(ids.max()) >= size:
        raise VocabError(f"id {int(ids.max()):,} in a vocabulary of {size:,}; the tokens are not of this vocabulary.")
    bits = bits_per_token(size)
    tokens = ids.astype(np.uint64)
    packed = tokens.copy()
    place = np.arange(len(ids), dtype=np.int64) - np.repeat(offsets[:-1], np.diff(offsets))  # within its document
    for back in range(1, order):
        before = np.full(len(ids), size, np.uint64)
        before[back:] = tokens[: max(len(ids) - back, 0)]
        before[place < back] = size
        packed |= before << np.uint64(bits * back)
    return packed


def _groups(values: np.ndarray) -> np.ndarray:
    """(g,) int64: where each run of equal values begins in a sorted array."""
    if not len(values):
        return np.empty(0, np.int64)
    return np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))


def count_levels(ids: np.ndarray, offsets: np.ndarray, size: int, order: int) -> list[Level]:
    """Levels of order 1 to `order`, the lowest first. Arguments and errors as for `windows`."""
    bits = np.uint64(bits_per_token(size))
    found = np.sort(windows(ids, offsets, size, order))
    starts = _groups(found)
    keys = found[starts]
    counts = np.diff(np.append(starts, len(found)))
    levels: list[Level] = []
    for level in range(order, 0, -1):
        histories = keys >> bits
        first = _groups(histories)
        history = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(keys))))
        shorter = np.zeros(len(keys), np.int64)
        if level > 1:
            tails = keys & np.uint64((1 << (int(bits) * (level - 1))) - 1)
            by_tail = np.argsort(tails, kind="stable")
            tails = tails[by_tail]
            starts = _groups(tails)
            below, below_counts = tails[starts], np.diff(np.append(starts, len(tails)))
            shorter[by_tail] = np.repeat(np.arange(len(starts)), below_counts)
        levels.append(Level(level, keys, counts, first, history, shorter))
        if level > 1:
            keys, counts = below, below_counts
    return levels[::-1]
