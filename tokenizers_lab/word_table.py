"""A table of words: each is spelt once, and text is encoded by looking its words up.

Text falls into chunks, runs of white space and what stands behind them, whose tokens do not depend on their neighbours
(word_rules.py says for which vocabularies). One compiled pass finds the chunks in UTF-8 and looks them up, compared
byte for byte (word_loops.py). New ones are spelt by byte-pair encoding (word_spell.py), or by the reference where that
does not know a character in them. With a word's tokens lies where each ends, so bytes are known without asking again.

The table keeps LIMIT bytes of words at most; what is new then is spelt, used and forgotten.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from . import word_loops as loops
from .tokenizer import Encoded, Tokenizer
from .word_rules import Rules
from .word_spell import hash_pairs, spell

GROUP = 1 << 21  # bytes of documents looked up at once
LIMIT = 1 << 24  # bytes of words that are kept; the whole takes some ten times as much
LONGEST = 1 << 29  # bytes of a document; the size of a word, which may be all of it, and two bits are an int32
UNKNOWN = -1  # ends of a word that nobody has asked for


@dataclass(slots=True)
class _Looked:
    """Chunks of a group of documents: rows, places of their keys, chunks up to each document's end, its bytes."""

    rows: np.ndarray
    places: np.ndarray
    ends: np.ndarray
    begins: np.ndarray
    stops: np.ndarray
    again: np.ndarray  # documents that the reference has to encode


class WordTable:
    """The words of `reference`, as `rules` have them. odd: an odd number for the hash, which no result depends on."""

    name, counts = "the word table", True

    def __init__(self, reference: Tokenizer, rules: Rules, limit: int = LIMIT, odd: int | None = None) -> None:
        self.reference, self.rules, self.limit = reference, rules, limit
        self._odd = secrets.randbits(62) | 1 if odd is None else odd
        self._white = np.zeros(256, bool)
        self._white[list(rules.white)] = True
        self._state = np.zeros(5, np.int64)
        self._slots = np.zeros((1 << 18, 2), np.int64)
        self._words = np.empty((1 << 17, 4), np.int32)
        self._keys = np.zeros(1 << 21, np.uint8)
        self._ids, self._ends = np.zeros(1 << 19, np.uint32), np.zeros(1 << 19, np.int32)
        self._rows, self._places = np.empty((2, 0), np.int32)  # room for what a group is found to be
        self._used = loops.MOST
        self._mark = (0, 0, 0)  # words, bytes of keys and ids before the last group
        left, right, made = rules.pairs
        slots = 1 << max(4, (2 * len(left)).bit_length())
        self._pairs = np.zeros(slots, np.int64)
        hash_pairs(left, right, made, self._pairs)
        self._numbers = np.array([rules.size, rules.by_bytes, *rules.signs], np.int64)
        self._dtype = np.uint16 if rules.size <= 1 << 16 else np.uint32
        before = f"{rules.around} {rules.around}" if rules.around else ""
        self._begin = reference.encode_batch([rules.around]).ids if before else np.empty(0, self._dtype)
        self._behind = reference.encode_batch([before]).ids[len(self._begin) :] if before else self._begin

    def encode(self, texts: Sequence[str], raws: Sequence[bytes]) -> Encoded:
        """Ids of the documents; raws: their UTF-8. Raises whatever the reference raises."""
        parts = []
        for first, last in groups(raws):
            looked = self._look(raws[first:last])
            parts.append(self._again(self._gather(looked), looked, texts[first:last]))
            self._forget()
        if len(parts) == 1:
            return parts[0]
        starts = np.cumsum([0, *(len(part.ids) for part in parts)])
        offsets = [part.offsets[:-1] + start for part, start in zip(parts, starts, strict=False)]
        ids = np.concatenate([part.ids for part in parts]) if parts else np.empty(0, self._dtype)
        return Encoded(ids, np.concatenate([*offsets, starts[-1:]]))

    def byte_ends(self, encoded: Encoded, texts: Sequence[str], raws: Sequence[bytes]) -> np.ndarray:
        """(n,) int64 as Tokenizer.byte_ends. Raises ValueError where `encoded` is not what these texts become."""
        found = []
        for first, last in groups(raws):
            looked = self._look(raws[first:last])
            self._ask(looked)
            mine = self._gather(looked)
            ends = np.empty(len(mine.ids), np.int64)
            loops.gather_ends(
                self._words, self._ends, looked.rows, looked.ends, looked.places, looked.begins, looked.stops, ends
            )
            same = self._again(mine, looked, texts[first:last])
            begin, end = encoded.offsets[first], encoded.offsets[last]
            if not np.array_equal(same.ids, encoded.ids[begin:end]):
                raise ValueError("other ids than these texts have")
            parts = np.split(ends, mine.offsets[1:-1])
            again = np.union1d(looked.again, self._shifted(looked)).tolist()
            for index in again:
                ids = same.document(index)
                parts[index] = self.reference.byte_ends(Encoded(ids, np.array([0, len(ids)])), [texts[first + index]])
            found.append(np.concatenate(parts) if again else ends)
            self._forget()
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def _look(self, raws: Sequence[bytes]) -> _Looked:
        """Find the chunks of documents; each has its tokens afterwards."""
        text = np.frombuffer(b" ".join([*raws, b" " * loops.PAD]), np.uint8)
        if len(text) >= LONGEST:
            raise ValueError(f"a document of {len(text):,} bytes")  # the reference takes it
        stops = np.cumsum([len(raw) + 1 for raw in raws], dtype=np.int64) - 1
        most = len(text) // 2 + 2
        if most > len(self._rows):
            self._rows, self._places = np.empty((2, most), np.int32)
        rows, places, ends = self._rows, self._places, np.empty(len(raws), np.int64)
        self._state[:3] = 0
        first = int(self._state[3])
        self._mark = first, int(self._state[4]), self._used
        while not loops.find(
            text, wide(text), stops, self._white, self.rules.runs, self.rules.led, self._odd, self._slots, self._words,
            self._keys, wide(self._keys), self._state, rows, places, ends,
        ):  # fmt: skip
            self._grow(len(text))
        self._spell(first)
        chunks = int(self._state[2])
        begins = np.concatenate([[0], stops[:-1] + 1])
        again = np.empty(0, np.int64)
        if self.rules.around and not self.rules.led:  # a word after nothing is the first again
            some = np.flatnonzero(np.diff(ends, prepend=0))
            heads = rows[np.concatenate([[0], ends[:-1]])[some]]
            again = some[self._words[heads, 3] == 0]
        return _Looked(rows[:chunks], places[:chunks], ends, begins, stops, again)

    def _gather(self, looked: _Looked) -> Encoded:
        total = loops.count(self._words, looked.rows, len(looked.rows))
        out = np.empty(total + loops.MOST, self._dtype)
        offsets = np.empty(len(looked.ends) + 1, np.int64)
        loops.gather(self._words, self._ids, looked.rows, looked.ends, out, offsets)
        return Encoded(out[:total], offsets)

    def _again(self, made: Encoded, looked: _Looked, texts: Sequence[str]) -> Encoded:
        if not len(looked.again):
            return made
        known = dict(zip(looked.again.tolist(), range(len(looked.again)), strict=True))
        other = self.reference.encode_batch([texts[index] for index in known])
        parts = [other.document(known[i]) if i in known else made.document(i) for i in range(made.documents)]
        return Encoded.of(parts, self.rules.size)

    def _grow(self, size: int) -> None:
        """Twice the room in whatever is full; size: bytes of a key at most."""
        known, filled = int(self._state[3]), int(self._state[4])
        if known == len(self._words):
            self._words = np.concatenate([self._words, np.empty_like(self._words)])
        if 3 * known > 2 * (len(self._slots) - 1):
            self._slots = np.zeros((2 * len(self._slots), 2), np.int64)
            loops.rehash(self._words, known, wide(self._keys), self._odd, self._slots)
        if 2 * filled > len(self._keys) or filled + size + loops.PAD > len(self._keys):
            self._keys = np.concatenate([self._keys, np.zeros(max(len(self._keys), size + loops.PAD), np.uint8)])

    def _spell(self, row: int) -> None:
        """Give tokens to the words from `row` on."""
        first, known, rules = row, int(self._state[3]), self.rules
        while rules.spells and row < known:
            row, self._used = spell(
                row, self._numbers, rules.symbols, rules.kinds, rules.means, rules.byte_ids, self._pairs, rules.ranks,
                self._keys, self._words, known, self._ids, self._ends, self._used,
            )  # fmt: skip
            if row < known:
                self._room(len(self._ids))
        odd = np.flatnonzero(self._words[first:known, 3] < 0) + first
        if not len(odd):
            return
        made = self.reference.encode_batch(self._alone(odd))
        begins, counts = self._inner(made, odd)
        self._room(int(counts.sum()) + loops.MOST)
        places = self._used + np.cumsum(counts) - counts
        take = _ranges(begins, counts)
        self._ids[self._used : self._used + len(take)] = made.ids[take]
        self._ends[places[counts > 0]] = UNKNOWN
        self._words[odd, 2], self._words[odd, 3] = places, counts
        self._used += len(take)

    def _shifted(self, looked: _Looked) -> np.ndarray:
        """Documents that begin with white space and a byte piece: how it is counted hangs on what is before it."""
        if not self.rules.around:
            return np.empty(0, np.int64)
        some = np.flatnonzero(np.diff(looked.ends, prepend=0))
        first = np.concatenate([[0], looked.ends[:-1]])[some]
        heads = looked.rows[first]
        by_byte = np.isin(self._ids[self._words[heads, 2]], self.rules.byte_ids) & (self._words[heads, 3] > 0)
        found: np.ndarray = some[by_byte & (looked.places[first] > looked.begins[some])]
        return found

    def _room(self, more: int) -> None:
        if self._used + more > len(self._ids) - 8 * loops.MOST:
            wanted = max(len(self._ids), more + 8 * loops.MOST)
            self._ids = np.concatenate([self._ids, np.zeros(wanted, np.uint32)])
            self._ends = np.concatenate([self._ends, np.zeros(wanted, np.int32)])

    def _alone(self, rows: np.ndarray) -> list[str]:
        """The words as texts for the reference, with what has to stand around them."""
        behind = f" {self.rules.around}" if self.rules.around else ""
        before = {loops.ALONE: "", loops.SPACED: f"{self.rules.around} ", loops.WITH_RUN: ""}
        texts = []
        for key, form in self._words[rows, :2].tolist():
            word = self._keys[key : key + (form >> 2)].tobytes().decode("utf-8")
            texts.append(before[form & 3] + word + behind)
        return texts

    def _inner(self, made: Encoded, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the words' own tokens begin in `made`, and how many they are. Raises ValueError for strange ones."""
        counts = np.diff(made.offsets)
        if not self.rules.around:
            return made.offsets[:-1], counts
        spaced = self._words[rows, 1] & 3 == loops.SPACED
        lead, behind = np.where(spaced, len(self._begin), 0), np.full(len(rows), len(self._behind))
        empty = ~spaced & (counts == len(self._begin))  # a first word of nothing, so that what follows is the first
        empty[empty] = [np.array_equal(made.document(i), self._begin) for i in np.flatnonzero(empty).tolist()]
        behind[empty] = len(self._begin)
        first, last = made.offsets[:-1] + lead, made.offsets[1:] - behind
        head, tail = _ranges(made.offsets[:-1], lead), _ranges(last[~empty], behind[~empty])
        right = np.array_equal(made.ids[head], np.tile(self._begin, int(spaced.sum())))
        if (last < first).any() or not right:
            raise ValueError("a word changed what stands before it")
        if not np.array_equal(made.ids[tail], np.tile(self._behind, int((~empty).sum()))):
            raise ValueError("a word changed what stands behind it")
        return first, last - first

    def _ask(self, looked: _Looked) -> None:
        """Ask the reference where the tokens of its words end, for those that occur here."""
        here = np.zeros(int(self._state[3]), bool)
        here[looked.rows] = True
        rows = np.flatnonzero(here)
        rows = rows[(self._words[rows, 3] > 0) & (self._ends[self._words[rows, 2]] == UNKNOWN)]
        if not len(rows):
            return
        texts = self._alone(rows)
        made = self.reference.encode_batch(texts)
        begins, counts = self._inner(made, rows)
        spaced = self._words[rows, 1] & 3 == loops.SPACED
        ends = self.reference.byte_ends(made, texts) - np.repeat(
            spaced * (len(self.rules.around) + 1), np.diff(made.offsets)
        )
        self._ends[_ranges(self._words[rows, 2], counts)] = ends[_ranges(begins, counts)]

    def _forget(self) -> None:
        """Beyond the limit, let go the words of this group, which no older one was put behind."""
        first, filled, used = self._mark
        if self._state[4] <= self.limit:
            return
        loops.drop(self._words, first, int(self._state[3]), wide(self._keys), self._odd, self._slots)
        self._state[3:], self._used = (first, filled), used
        if len(self._keys) > 8 * self.limit:  # after a giant
            self._keys = self._keys[: 2 * filled + (1 << 17)].copy()
            self._rows, self._places = np.empty((2, 0), np.int32)


def _ranges(begins: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The numbers from each begin on, so many, one after another."""
    return np.repeat(begins - (np.cumsum(counts) - counts), counts) + np.arange(int(counts.sum()))


def groups(raws: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Documents in groups of about GROUP bytes: (first, last + 1)."""
    first = size = 0
    for index, raw in enumerate(raws):
        size += len(raw)
        if size >= GROUP:
            yield first, index + 1
            first, size = index + 1, 0
    if first < len(raws):
        yield first, len(raws)


def wide(data: np.ndarray) -> np.ndarray:
    """Eight bytes from each place on as an int64; the last PAD bytes have no place of their own."""
    return np.lib.stride_tricks.as_strided(data[:8].view("<i8"), (len(data) - 8,), (1,))
