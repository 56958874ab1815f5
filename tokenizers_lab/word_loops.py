"""The loops that find the words of a text in a table and write what they were spelt as, compiled by numba.

Imported only where there is enough text to pay for numba (most of a second); what is compiled once is kept on disk. All
state is in flat arrays. `state` holds: the document, the byte in it, chunks found, words known, bytes of keys.

A word is a row of `words`, int32: the place of its key among `keys`, its form (length of the key << 2 | kind), the
place of its ids, and how many there are; NEW when it is not spelt yet, word_rules.ODD when the reference has to.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

NEW = -1
ALONE, SPACED, WITH_RUN = range(3)  # kinds of a key: a word, one behind a space (any white), with all that is before
PAD = 16  # bytes behind a text and behind the keys, since eight are read at once
MOST = 4  # ids that are copied whether there are as many or not
_BLOCK = 256  # chunks; their places in the table are asked for together, so that the memory answers together
_ONES, _HIGH = 0x0101010101010101, -0x7F7F7F7F7F7F7F80
_ABOVE_SPACE = 0x2121212121212121
_PLACE = 0x0001020304050607  # times a one in byte k, the highest byte is k
Loop = Callable[..., Any]


def compiled(function: Loop) -> Loop:
    """The function compiled when it is called; kept on disk where there is a place for it."""
    try:
        return njit(cache=True)(function)
    except RuntimeError:  # neither the package nor the user has a folder to write to
        return njit(function)


@compiled
def find(
    text: Any, wide: Any, stops: Any, white: Any, runs: bool, led: bool, odd: int, slots: Any, words: Any, keys: Any,
    wide_keys: Any, state: Any, found: Any, places: Any, ends: Any,
) -> bool:  # fmt: skip
    """Look up every chunk of the documents, and give a row to each that is new. True when all are done.

    text: uint8, the documents with one white byte behind each and PAD at the end; wide: the same, eight bytes from any
    place on as an int64. stops: (D,) where each document ends. white: (256,) bool, of bytes up to 0x20. A chunk is a
    run of white bytes and the run of others behind it; its key is the others alone or, with `runs`, both. led: whether
    the first word of a document is as one behind a space. odd: an odd number for the hash. slots: (S, 2) int64, open
    addressing: the first eight bytes of a key; row + 1 << 32 | form.

    found, places: of each chunk the row, and where its key begins; ends: (D,) chunks up to the end of each document.
    False when a table is full: enlarge it and call again.
    """
    mask = len(slots) - 1
    document, at, chunks, known, filled = state[0], state[1], state[2], state[3], state[4]
    firsts, forms = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64)
    hashes, begins = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64)
    entries, starts = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64)
    while document < len(stops):
        n = 0
        while n < _BLOCK and document < len(stops):
            stop = stops[document]
            begin = at
            while at < stop and white[text[at]]:
                at += 1
            kind, key = ALONE, at
            if not runs:
                if led or begin > (stops[document - 1] + 1 if document else 0):
                    kind = SPACED
            else:
                if at - begin == 1 and text[begin] == 0x20:
                    kind = SPACED
                elif at > begin:
                    kind, key = WITH_RUN, begin
            if at >= stop and (not runs or begin >= stop):
                ends[document] = chunks + n
                document += 1
                at = stop + 1
                continue
            while True:
                x = wide[np.uint64(at)]
                low = (((x - _ABOVE_SPACE) & ~x & _HIGH) >> 7) & _ONES  # exact up to the first byte below 0x21
                if low == 0:
                    at += 8
                    continue
                at += ((low & -low) * _PLACE) >> 56
                if white[text[at]] and (at == stop or not _glued(text, begin, at)):
                    break
                at += 1
            size = at - key
            form = size << 2 | kind
            x = _head(wide[key], size)
            number = (x ^ form) * odd
            for i in range(8, size, 8):
                number = ((number ^ (number >> 29)) ^ _head(wide[key + i], size - i)) * odd
            firsts[n], forms[n], hashes[n], begins[n], starts[n] = x, form, number ^ (number >> 32), key, begin
            n += 1
        for j in range(n):
            entries[j] = slots[np.uint64(hashes[j] & mask), 1]  # unsigned, or numba asks for the sign
        for j in range(n):
            x, form, key, slot = firsts[j], forms[j], begins[j], np.uint64(hashes[j] & mask)
            size = form >> 2
            row = -1
            while slots[slot, 1] != 0:
                if slots[slot, 0] == x and slots[slot, 1] & 0xFFFFFFFF == form:
                    row = (slots[slot, 1] >> 32) - 1
                    if size <= 8:
                        break
                    old = words[row, 0]
                    i = 8
                    while i < size and _head(wide[key + i] ^ wide_keys[old + i], size - i) == 0:
                        i += 8
                    if i >= size:
                        break
                    row = -1
                slot = (slot + np.uint64(1)) & np.uint64(mask)
            if row < 0:
                if known == len(words) or filled + size + PAD > len(keys) or 3 * known > 2 * mask:
                    document = np.searchsorted(stops, starts[j])
                    state[0], state[1], state[2], state[3], state[4] = document, starts[j], chunks, known, filled
                    return False
                row = known
                known += 1
                words[row, 0], words[row, 1], words[row, 2], words[row, 3] = filled, form, 0, NEW
                for i in range(size):
                    keys[filled + i] = text[key + i]
                filled += size
                slots[slot, 0], slots[slot, 1] = x, (row + 1) << 32 | form
            found[chunks] = row
            places[chunks] = key
            chunks += 1
    state[0], state[1], state[2], state[3], state[4] = document, at, chunks, known, filled
    return True


@compiled
def _head(x: Any, size: Any) -> Any:
    """The first `size` of eight bytes, zeros behind them."""
    return x & ((np.int64(1) << (size << 3)) - 1) if size < 8 else x


@compiled
def _glued(text: Any, begin: int, at: int) -> bool:
    """Whether what stands before `at` is, or may be taken for, white space or nothing: then no chunk ends there."""
    last = text[at - 1]
    if last < 0x80:
        return bool(last <= 0x20)
    before = text[at - 2] if at - begin > 1 else 0
    if before == 0xC2:
        return bool(last == 0x85 or last == 0xA0 or last == 0xAD)
    first = text[at - 3] if at - begin > 2 else 0
    if first == 0xE2:
        if before == 0x80:
            return bool(last <= 0x8F or 0xA8 <= last <= 0xAF)
        return bool(before == 0x81 and 0x9F <= last <= 0xAF)  # not the superscripts behind
    if first == 0xE1:
        return bool((before == 0x9A and last == 0x80) or (before == 0xA0 and last == 0x8E))
    return bool((first == 0xE3 and before == 0x80 and last == 0x80) or (first == 0xEF and before == 0xBB))


@compiled
def _hash(words: Any, row: int, wide_keys: Any, odd: int) -> Any:
    """(the first eight bytes, the hash) of a word that is known, as in `find`."""
    key, form = words[row, 0], np.int64(words[row, 1])
    size = form >> 2
    x = _head(wide_keys[key], size)
    number = (x ^ form) * odd
    for i in range(8, size, 8):
        number = ((number ^ (number >> 29)) ^ _head(wide_keys[key + i], size - i)) * odd
    return x, number ^ (number >> 32)


@compiled
def rehash(words: Any, known: int, wide_keys: Any, odd: int, slots: Any) -> None:
    """Fill empty slots with the first `known` words."""
    mask = len(slots) - 1
    for row in range(known):
        x, slot = _hash(words, row, wide_keys, odd)
        slot &= mask
        while slots[slot, 1] != 0:
            slot = (slot + 1) & mask
        slots[slot, 0], slots[slot, 1] = x, np.int64(row + 1) << 32 | words[row, 1]


@compiled
def drop(words: Any, first: int, known: int, wide_keys: Any, odd: int, slots: Any) -> None:
    """Take the words from `first` on out of the slots, the last first, so that no other is lost behind a gap."""
    mask = len(slots) - 1
    for row in range(known - 1, first - 1, -1):
        slot = _hash(words, row, wide_keys, odd)[1] & mask
        while slots[slot, 1] >> 32 != row + 1:
            slot = (slot + 1) & mask
        slots[slot, 1] = 0


@compiled
def count(words: Any, found: Any, chunks: int) -> int:
    """How many tokens the chunks have."""
    total = 0
    for chunk in range(chunks):
        total += words[found[chunk], 3]
    return total


@compiled
def gather(words: Any, ids: Any, found: Any, ends: Any, out: Any, offsets: Any) -> None:
    """Write the ids of the chunks. ends: (D,) as from `find`. out: room for MOST more; offsets: (D + 1,) to fill."""
    chunk = used = 0
    for document in range(len(ends)):
        offsets[document] = used
        while chunk < ends[document]:
            at, n = words[found[chunk], 2], words[found[chunk], 3]
            for i in range(MOST):
                out[used + i] = ids[at + i]
            for i in range(MOST, n):
                out[used + i] = ids[at + i]
            used += n
            chunk += 1
    offsets[len(ends)] = used


@compiled
def gather_ends(
    words: Any, ends_of: Any, found: Any, ends: Any, places: Any, begins: Any, stops: Any, out: Any
) -> None:
    """Write where each token ends in its document, the last at its end. begins, stops: (D,) of the documents."""
    chunk = used = 0
    for document in range(len(ends)):
        first = used
        while chunk < ends[document]:
            at, n = words[found[chunk], 2], words[found[chunk], 3]
            for i in range(n):
                out[used + i] = places[chunk] - begins[document] + ends_of[at + i]
            used += n
            chunk += 1
        if used > first:
            out[used - 1] = stops[document] - begins[document]
