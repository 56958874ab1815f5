"""Where a newline stands and where a space: the contexts under which each gap of a text is coded.

Both words around a gap are known, and the whole decoded document with them, so a decision may look ahead as well as
back: at how the word before ends and the next one begins, at either word itself, at how long this line has become and
how long lines of this document are. Gaps inside of a sentence, most of them, take a short list of contexts.
"""

from zlib import crc32

STOPS = frozenset(b".!?:;,\")'")
SENTENCE = frozenset(b".!?")


def kind_of(byte: int) -> int:
    """A byte's class: 1 capital, 2 small letter, 3 digit, 4 beyond ASCII, else the byte itself."""
    if 97 <= byte <= 122:
        return 2
    if 65 <= byte <= 90:
        return 1
    if 48 <= byte <= 57:
        return 3
    return 4 if byte >= 128 else byte + 8


def bucket(n: int) -> int:
    """n on a scale of half octaves, 0 to about 40."""
    bits = n.bit_length()
    return n if bits < 3 else 2 * bits + (n >> (bits - 2) & 1) - 2


class Lines:
    """The lines of one document as far as they are known, and the contexts of its next gap."""

    def __init__(self, words: list[bytes]) -> None:
        self.words = words
        self.hashes = [crc32(word) for word in words]
        self.first = [kind_of(word[0]) if word else 0 for word in words]
        self.last = [word[-1] if word else 0 for word in words]
        self.since = self.since_words = 0  # bytes and words of this line
        self.lines = self.asked = self.history = 0
        self.length = self.usual = 0  # bytes of the last line, and of lines as they go
        self.opened = 0  # how the last line began

    def contexts(self, i: int) -> tuple[str, int, list[int]]:
        """(kind of decision, mixer weights, contexts) of the gap before word i, 1 and up."""
        word, before, last = self.words[i], self.words[i - 1], self.last[i - 1]
        first = self.first[i]
        self.since += len(before) + 1
        self.since_words += 1
        ends = last if last in STOPS else kind_of(last)
        lines = min(self.lines, 2)
        here, there = self.hashes[i], self.hashes[i - 1]
        since = bucket(self.since)
        rate = bucket(self.lines * 16 // (self.asked + 1)) if self.asked else 63
        pair = ends << 8 | first
        if first == 2 and last not in SENTENCE:
            return "inside", lines, [rate << 16 | pair, here << 8 | ends, there << 8 | first, rate << 8 | since]
        following = self.words[i + 1] if i + 1 < len(self.words) else b""
        second = (kind_of(word[1]) if len(word) > 1 else 0) << 8 | (kind_of(before[-2]) if len(before) > 1 else 0)
        next_first = kind_of(following[0]) if following else 0
        next_last = kind_of(following[-1]) if following else 0
        start = self.first[i - 1] << 8 | (self.first[i - 2] if i > 1 else 0)
        contexts = [
            second << 16 | pair,
            since << 16 | pair,
            here << 8 | ends,
            there << 8 | first,
            (here << 32 | there) << 8,
            (self.history & 15) << 16 | pair,
            (rate << 8 | bucket(self.since_words)) << 16 | pair,
            (next_first << 8 | next_last) << 16 | pair,
            (since << 8 | bucket(self.length)) << 16 | (last in SENTENCE) << 8 | first,
            here << 32 | (self.hashes[i + 1] if following else 0),
            self.opened << 24 | (word[0] if word else 0) << 16 | pair,
            (next_first << 16 | start) << 16 | pair,
            (since << 16 | bucket(self.usual) << 8 | rate) << 16 | ends << 8 | (first == 1),
        ]
        return "gap", lines + 3 * (1 if last in SENTENCE else 2 if first == 1 else 0), contexts

    def known(self, i: int, broken: bool) -> None:
        """The gap before word i is known; `broken`: it is not a space."""
        last = self.last[i - 1]
        if last in SENTENCE or last in b':"' or self.first[i] == 1:
            self.asked += 1
            self.history = self.history * 2 + broken
        if broken:
            self.lines += 1
            self.length = self.since
            self.usual = self.since if self.lines == 1 else (3 * self.usual + self.since) // 4
            self.since = self.since_words = 0
            self.opened = self.first[i] << 8 | self.last[i]
