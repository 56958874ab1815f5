"""An adaptive coder of yes and no: counters under contexts, mixed in the logistic domain, and a binary range coder.

Every context that a decision is seen under keeps a counter: how likely yes was, and how often it was asked. Their
opinions, as logits scaled by how much each has seen, are weighed by a small logistic mixer that learns as it goes, as
in lpaq. All arithmetic is in integers, so that what one machine writes another reads. Pure Python on purpose: it codes
a few decisions for each word of text, not each byte.

Source: M. Mahoney, "Data Compression Explained", 4.3 (logistic mixing).
"""

from collections.abc import Sequence
from functools import cache

from .errors import AuditError

MOST_CONTEXTS = 1 << 17  # remembered under each input; later ones are not kept, so that memory is bounded
LOGIT_TOP = 3071  # in 1/256: probabilities from 1/65536 up
LIMIT = 255


@cache
def _tables() -> tuple[list[int], list[int], list[int], list[int]]:
    """squash: logit + 3072 -> probability (16 bits). stretch: probability >> 2 -> logit. rate, trust: of a count."""
    step, power, one = 18518942588666869714, 1 << 64, 1 << 64  # e^(1/256) 2^64
    up = []
    for _ in range(LOGIT_TOP + 1):
        up.append(min((power << 16) // (power + one), 65535))
        power = power * step >> 64
    squash = [65536 - p for p in reversed(up[1:])] + up
    stretch, at = [], 0
    for p in range(1 << 14):
        while at < len(squash) - 1 and squash[at] < p * 4 + 2:
            at += 1
        stretch.append(at - LOGIT_TOP)
    rate = [(2 << 16) // (2 * n + 3) for n in range(LIMIT + 1)]
    trust = [(n << 16) * 5 // (5 * n + 2) for n in range(LIMIT + 1)]
    return squash, stretch, rate, trust


class Bits:
    """Codes decisions (`coded` is None) or decodes them. The same calls in the same order on both sides."""

    def __init__(self, coded: bytes | None = None) -> None:
        self.squash, self.stretch, self.rate, self.trust = _tables()
        self.seen: dict[object, list[dict[int, int]]] = {}
        self.weights: dict[object, list[int]] = {}
        self.low, self.high = 0, 0xFFFF_FFFF
        self.out = bytearray()
        self.coded, self.at, self.value = coded, 4, 0
        if coded is not None:
            self.value = int.from_bytes(coded[:4].ljust(4, b"\0"), "big")

    def code(self, kind: str, chosen: int, contexts: Sequence[int], bit: int = 0) -> int:
        """One decision; returns it. kind: whose counters. chosen: which weights. contexts: k numbers."""
        tables = self.seen.get(kind)
        if tables is None:
            tables = self.seen[kind] = [{} for _ in contexts]
        weights = self.weights.get((kind, chosen))
        if weights is None:
            weights = self.weights[kind, chosen] = [(13 << 16) * 3 // (10 * len(contexts) + 30)] * len(contexts)
        stretch, trust = self.stretch, self.trust
        states = [table.get(key, 1 << 31) for table, key in zip(tables, contexts, strict=True)]
        said = [stretch[state >> 18] * trust[state & 1023] >> 16 for state in states]
        dot = 32768
        for weight, one in zip(weights, said, strict=True):
            dot += weight * one
        dot >>= 16
        chance = self.squash[LOGIT_TOP + max(min(dot, LOGIT_TOP), -LOGIT_TOP)]
        bit = self._through(chance, bit)
        wrong = (bit << 16) - chance
        for z, one in enumerate(said):
            weights[z] += (one * wrong * 3 + 65536) >> 17
        goal, rate = bit << 22, self.rate
        for table, key, state in zip(tables, contexts, states, strict=True):
            n = state & 1023
            if n or key in table or len(table) < MOST_CONTEXTS:
                p = state >> 10
                p += (goal - p) * rate[n] >> 16
                table[key] = p << 10 | (n + 1 if n < LIMIT else n)
        return bit

    def _through(self, chance: int, bit: int) -> int:
        """One bit through the range coder; chance of a 1 in 1/65536."""
        span = self.high - self.low
        middle = self.low + (span * chance >> 16)
        if self.coded is not None:
            bit = int(self.value <= middle)
        if bit:
            self.high = middle
        else:
            self.low = middle + 1
        while (self.low ^ self.high) < 0x1000000:
            if self.coded is None:
                self.out.append(self.high >> 24)
            else:
                more = self.coded[self.at] if self.at < len(self.coded) else 0
                if self.at > len(self.coded) + 8:  # what was written ends at most a few zeros after its last byte
                    raise AuditError("the residual is shorter than what it tells; the proof does not decode.")
                self.value = (self.value << 8 & 0xFFFF_FFFF) | more
                self.at += 1
            self.low = self.low << 8 & 0xFFFF_FFFF
            self.high = (self.high << 8 & 0xFFFF_FFFF) | 255
        return bit

    def number(self, kind: str, value: int = 0) -> int:
        """A whole number from 0 on: how many bits it has, one by one, then the bits. Raises nothing; below 2^40."""
        length = 0
        while length < 40 and self.code(kind, 0, (length,), int(value + 1 >> length + 1 > 0)):
            length += 1
        made = 1
        for at in range(length - 1, -1, -1):
            made = made * 2 + self.code(kind, 1, (length << 42 | made,), (value + 1 >> at) & 1)
        return made - 1

    def end(self) -> bytes:
        """The bytes of everything coded: of the last number no more than tells it from its neighbours. Not empty."""
        for size in range(1, 4):
            bits = 32 - 8 * size
            tail = (self.low + (1 << bits) - 1) >> bits
            if tail << bits <= self.high:
                return bytes(self.out) + tail.to_bytes(size, "big")
        return bytes(self.out) + self.low.to_bytes(4, "big")
