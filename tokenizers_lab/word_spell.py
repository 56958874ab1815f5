"""How a new word is spelt: byte-pair encoding and what a vocabulary does to text before it, compiled by numba.

Three sorts of vocabulary share the merges: SentencePiece (characters, some replaced by others, those without a piece
as bytes), the same on CaseOps text (signs for capitals), and byte-level BPE (bytes, within the words of the GPT-2
split). A word with a character that is not known to stand for itself is left to the reference, as is a very long one.
"""

from typing import Any

import numpy as np

from .word_loops import NEW, SPACED, compiled
from .word_rules import ODD, WHITE

MANY = 1024  # characters; merging takes the square of them
LONGEST = 4 * MANY  # bytes
BITS = 20  # of a symbol in the table of pairs
NEVER = 1 << 60
_MIX = -7046029254386353131


@compiled
def spell(
    first: int, rules: Any, symbols: Any, kinds: Any, means: Any, byte_ids: Any, pairs: Any, ranks: Any, keys: Any,
    words: Any, known: int, ids: Any, ends: Any, used: int,
) -> Any:  # fmt: skip
    """Spell the words from row `first` on; returns (the row to go on with, how much of `ids` is used).

    rules: (size of the vocabulary, bytes or characters, title, caps, next or -1). symbols: (P,) int32 of each
    character, ODD where it is left to the reference, size + point where it has no piece; kinds: (P,) uint8; means:
    (P, 3) int32, what it is replaced by, zeros for nothing. byte_ids: (256,). pairs: from hash_pairs; ranks: (V,)
    int32, of what is made. ids, ends: tokens, and where each ends behind the begin of its key. It stops where they are
    full.
    """
    size, by_bytes, title, caps, following = rules[0], rules[1], rules[2], rules[3], rules[4]
    work, stop = np.empty(LONGEST, np.int32), np.empty(LONGEST, np.int32)
    made, raw = np.empty(LONGEST, np.int64), np.empty(LONGEST, np.uint8)
    points, where = np.empty(MANY + 1, np.int32), np.empty(MANY + 1, np.int32)
    for row in range(first, known):
        if words[row, 3] != NEW:
            continue
        begin, form = words[row, 0], words[row, 1]
        lead = 1 if form & 3 == SPACED else 0  # a space that is no part of the key
        length = (form >> 2) + lead
        words[row, 3] = ODD
        if length > LONGEST:
            continue
        if used + 4 * length + 8 > len(ids):
            words[row, 3] = NEW
            return row, used
        raw[0] = 0x20
        for i in range(lead, length):
            raw[i] = keys[begin + i - lead]
        count = _characters(raw, length, symbols, points, where)
        if count < 0:
            continue
        start = used
        if by_bytes:
            at = 0
            while at < count:
                till = _gpt2(points, kinds, at, count)
                low = where[at - 1] if at else 0
                n = where[till - 1] - low
                for j in range(n):
                    work[j], stop[j] = byte_ids[raw[low + j]], low + j + 1
                n = _merge(work, stop, made, n, pairs, ranks)
                for j in range(n):
                    ids[used + j], ends[used + j] = work[j], stop[j] - lead
                used += n
                at = till
        else:
            n = _symbols(points, where, count, symbols, means, title, caps, following, work, stop)
            n = _merge(work, stop, made, n, pairs, ranks)
            used = _write(work, stop, n, size, byte_ids, ids, ends, used, lead)
        words[row, 2], words[row, 3] = start, used - start
    return known, used


@compiled
def _characters(raw: Any, length: int, symbols: Any, points: Any, where: Any) -> int:
    """Characters and where each ends; -1 where one of them is odd, or there are too many."""
    count = i = 0
    while i < length:
        b = np.int32(raw[i])
        wide = 1 if b < 0x80 else 2 if b < 0xE0 else 3 if b < 0xF0 else 4
        point = b if b < 0x80 else b & 0x1F if b < 0xE0 else b & 0xF if b < 0xF0 else b & 7
        for j in range(1, wide):
            point = point << 6 | np.int32(raw[i + j] & 0x3F)
        i += wide
        if count == MANY or point >= len(symbols) or symbols[point] == ODD:
            return -1
        points[count], where[count] = point, i
        count += 1
    return count


@compiled
def _symbols(
    points: Any, where: Any, count: int, symbols: Any, means: Any, title: int, caps: int, following: int, work: Any,
    stop: Any,
) -> int:  # fmt: skip
    """The symbols of a word's characters, as CaseOps and the normaliser leave them."""
    n = 0
    shout = False  # within a word of capitals
    for at in range(count):
        point = points[at]
        last = where[at - 1] if at else 0
        if title >= 0 and _is_letter(point):
            begins = at == 0 or not _is_letter(points[at - 1])
            if begins:
                till = at
                while till < count and _is_letter(points[till]) and points[till] < 97:
                    till += 1
                shout = till > at + 1 and (till == count or not _is_letter(points[till]))
            if point < 97 and (begins or not shout):
                work[n], stop[n] = caps if shout else title if begins else following, last
                n += 1
            work[n], stop[n] = symbols[point | 32], where[at]
            n += 1
            continue
        if not means[point, 0]:
            work[n], stop[n] = symbols[point], where[at]
            n += 1
            continue
        for j in range(3):
            if means[point, j]:
                work[n] = symbols[means[point, j]]
                stop[n] = where[at] if j == 2 or not means[point, j + 1] else last
                n += 1
    return n


@compiled
def _write(work: Any, stop: Any, n: int, size: int, byte_ids: Any, ids: Any, ends: Any, used: int, lead: int) -> int:
    """Symbols as tokens: a character without a piece becomes its bytes."""
    for j in range(n):
        if work[j] < size:
            ids[used], ends[used] = work[j], stop[j] - lead
            used += 1
            continue
        point = work[j] - size
        wide = 1 if point < 0x80 else 2 if point < 0x800 else 3
        for k in range(wide):
            b = point if k == 0 else (point >> 6 * (wide - 1 - k)) & 0x3F | 0x80
            if k == 0 and wide > 1:
                b = point >> 6 * (wide - 1) | (0xC0 if wide == 2 else 0xE0)
            ids[used], ends[used] = byte_ids[b], stop[j] - wide + 1 + k - lead
            used += 1
    return used


@compiled
def _is_letter(point: int) -> bool:
    return bool(97 <= (point | 32) <= 122)


@compiled
def _gpt2(points: Any, kinds: Any, at: int, count: int) -> int:
    """Where the word of the GPT-2 split that begins at `at` ends."""
    point = points[at]
    if point == 39 and at + 1 < count:
        b = points[at + 1]
        if b == 115 or b == 116 or b == 109 or b == 100:  # 's 't 'm 'd
            return at + 2
        if at + 2 < count:
            c = points[at + 2]
            if (b == 114 and c == 101) or (b == 118 and c == 101) or (b == 108 and c == 108):  # 're 've 'll
                return at + 3
    if kinds[point] == WHITE and not (point == 32 and at + 1 < count and kinds[points[at + 1]] != WHITE):
        till = at + 1
        while till < count and kinds[points[till]] == WHITE:
            till += 1
        return till if till == count or till == at + 1 else till - 1
    if point == 32:
        at += 1
    kind = kinds[points[at]]
    till = at + 1
    while till < count and kinds[points[till]] == kind:
        till += 1
    return till


@compiled
def _made(left: int, right: int, pairs: Any, ranks: Any) -> int:
    """What two symbols merge to, behind its rank, or NEVER."""
    mask = np.uint64(len(pairs) - 1)
    pair = np.int64(left + 1) << BITS | np.int64(right)
    slot = np.uint64((pair * _MIX) >> 40) & mask
    entry = pairs[slot]
    while entry != 0:
        if entry >> BITS == pair:
            made = entry & (1 << BITS) - 1
            return np.int64(ranks[made]) << BITS | made
        slot = (slot + np.uint64(1)) & mask
        entry = pairs[slot]
    return NEVER


@compiled
def _merge(work: Any, stop: Any, made: Any, n: int, pairs: Any, ranks: Any) -> int:
    """Merge n symbols, the pair of lowest rank first and the leftmost of equals; how many are left."""
    for i in range(n - 1):
        made[i] = _made(work[i], work[i + 1], pairs, ranks)
    while n > 1:
        best = 0
        for i in range(1, n - 1):
            if made[i] >> BITS < made[best] >> BITS:
                best = i
        if made[best] == NEVER:
            break
        work[best], stop[best] = made[best] & (1 << BITS) - 1, stop[best + 1]
        n -= 1
        for i in range(best + 1, n):
            work[i], stop[i], made[i] = work[i + 1], stop[i + 1], made[i + 1]
        if best:
            made[best - 1] = _made(work[best - 1], work[best], pairs, ranks)
        if best < n - 1:
            made[best] = _made(work[best], work[best + 1], pairs, ranks)
    return n


@compiled
def hash_pairs(left: Any, right: Any, made: Any, pairs: Any) -> None:
    """Fill the table of pairs of symbols, (S,) int64, 0 for none: left + 1, right and what they merge to, BITS each."""
    mask = len(pairs) - 1
    for i in range(len(left)):
        pair = np.int64(left[i] + 1) << BITS | np.int64(right[i])
        slot = ((pair * _MIX) >> 40) & mask
        while pairs[slot] != 0:
            slot = (slot + 1) & mask
        pairs[slot] = pair << BITS | made[i]
