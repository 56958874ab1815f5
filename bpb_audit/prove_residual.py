"""The residual: documents told to somebody who knows what their tokens decode to. Its bits count.

A unit's documents go through one adaptive model in order. For each: one decision whether anything differs; then gap by
gap whether it is a space (prove_gaps.py) and, if not, which string of those met so far, or a new one; word by word
whether it stands; and where it does not, byte by byte where it is cut, how much falls and what comes instead.
What decides is always known to both sides. A lossless vocabulary's residual is no byte at all.
"""

from collections.abc import Iterable, Iterator
from zlib import crc32

from .errors import AuditError
from .prove_bits import Bits
from .prove_edits import cuts, script_of
from .prove_gaps import Lines


class Residual:
    """The model of one unit, coding (`coded` None) or decoding."""

    def __init__(self, coded: bytes | None = None, most: int = 1 << 40) -> None:
        """most: bytes that may be spelt out in all, so that a forged residual cannot fill the memory."""
        self.bits, self.room = Bits(coded), most
        self.strings: list[bytes] = [b"\n"]  # gaps met so far, the last used first
        self.equal = 0  # how the last documents were: a bit each, 1 for no difference

    def document(self, decoded: bytes, raw: bytes | None = None) -> bytes:
        """One document; returns it raw. raw: what to tell, None to be told."""
        bits, telling = self.bits, raw is not None
        self.room += 2 * len(decoded) + 64
        same = bits.code("same", 0, [self.equal & 7, 0], int(decoded == raw))
        self.equal = self.equal << 1 | same
        if same:
            return decoded
        script = script_of(decoded, raw) if raw is not None else None
        words = decoded.split(b" ")
        lines, out, habits = Lines(words), list[bytes](), dict[int, int]()
        i = 0
        while i < len(words):
            gap = script.gaps[i] if script else b""
            out.append(self._gap(lines, i, gap) if i else self._string("head", gap))
            edit = script.edits.get(i) if script else None
            if not self._stands(words[i], i, habits, edit is None):
                count = 1 + bits.number("count", edit[0] - 1 if edit else 0)
                if count > len(words) - i:
                    raise AuditError("the residual speaks of words that are not there; the proof does not decode.")
                old = b" ".join(words[i : i + count])
                out.append(self._changed(old, edit[1] if edit else None))
                for skipped in range(i + 1, i + count):
                    lines.contexts(skipped)
                    lines.known(skipped, False)
                i += count
            else:
                out.append(words[i])
                i += 1
        out.append(self._string("tail", script.gaps[-1] if script else b""))
        told = b"".join(out)
        if telling and told != raw:
            raise AuditError("a document cannot be told as edits of its tokens' text. Please report this.")
        return told

    def _gap(self, lines: Lines, i: int, gap: bytes) -> bytes:
        broken = self.bits.code(*lines.contexts(i), int(gap != b" "))
        lines.known(i, bool(broken))
        return self._string("gap string", gap, True) if broken else b" "

    def _string(self, kind: str, value: bytes, always: bool = False) -> bytes:
        """White space that is told by its place among those met; `always`: it is not empty-by-default."""
        code = self.bits.code
        if not always and not code(kind, 0, [0], int(value != b"")):
            return b""
        known = self.strings
        for rank, one in enumerate(known[:16]):
            if code(f"{kind} rank", 0, [rank, crc32(one)], int(one == value)):
                known.insert(0, known.pop(rank))
                return one
        made = self._spelt(0, value)
        known.insert(0, made)
        return made

    def _stands(self, word: bytes, i: int, habits: dict[int, int], stands: bool) -> int:
        """Whether a word is as decoded. Compatibility forms leave traces: dots, TM, what is not ASCII."""
        if word.isascii():
            trace = (b"..." in word) + 2 * (b"TM" in word)
        else:
            trace = crc32(bytes(byte for byte in word if byte >= 128)) | 1 << 32
        if not trace:
            return self.bits.code("plain", 0, [0], int(stands))
        habit = habits.get(trace, 2)
        shape = (word.startswith(b"...") << 1 | word.endswith(b"...")) if trace < 4 else 4
        stood = self.bits.code(
            "word", 0, [trace, trace << 8 | habit, crc32(word), habit << 8 | shape, trace << 8 | shape], int(stands)
        )
        habits[trace] = stood
        return stood

    def _changed(self, old: bytes, new: bytes | None) -> bytes:
        """`new` as cuts of `old`: at each byte whether one is here, how many bytes fall, what comes instead."""
        told = cuts(old, new) if new is not None else {}
        out, at, last = bytearray(), 0, 0
        while at <= len(old):
            ahead = crc32(old[at : at + 3])
            behind = old[at - 1] if at else 0
            here = self.bits.code(
                "cut", 0, [ahead, ahead << 16 | last, crc32(old[at : at + 6]) << 8 | behind], int(at in told)
            )
            if here:
                fall, text = told.get(at, (0, b""))
                last = 1
                fall = self._count("fall", ahead, fall)
                if fall > len(old) - at:
                    raise AuditError("the residual cuts more than there is; the proof does not decode.")
                out += self._spelt(crc32(old[at : at + fall]) | 1 << 32, text)
                at += fall
                if fall:
                    continue
            if at < len(old):
                out.append(old[at])
            at += 1
        return bytes(out)

    def _count(self, kind: str, context: int, value: int) -> int:
        count = 0
        while self.bits.code(kind, 0, [context << 8 | min(count, 255), min(count, 255)], int(count < value)):
            count += 1
            self._spend()
        return count

    def _spend(self) -> None:
        self.room -= 1
        if self.room < 0:
            raise AuditError("the residual tells more than the documents hold; the proof does not decode.")

    def _spelt(self, context: int, text: bytes) -> bytes:
        """A string spelt out. context: what it stands instead of."""
        out, code = bytearray(), self.bits.code
        while True:
            self._spend()
            one = out[-1] if out else 0
            two = out[-2] if len(out) > 1 else 0
            place = min(len(out), 255)
            if not code("more", 0, [context << 8 | place, one << 8 | two, place], int(len(out) < len(text))):
                return bytes(out)
            byte = text[len(out)] if len(out) < len(text) else 0
            made = 1
            for bit in range(7, -1, -1):
                contexts = [
                    (context << 16 | place << 8 | one) << 8 | made,
                    (one << 8 | two) << 8 | made,
                    one << 8 | made,
                    made,
                ]
                made = made << 1 | code("byte", 0, contexts, byte >> bit & 1)
            out.append(made & 255)


def encode_residual(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """(decoded, raw) of each document of a unit -> the residual's bytes; b"" where none differs."""
    made, differs = Residual(), False
    for decoded, raw in pairs:
        differs |= decoded != raw
        made.document(decoded, raw)
    return made.bits.end() if differs else b""


def restore(code: bytes, decoded: Iterable[bytes], most: int) -> Iterator[bytes]:
    """The raw documents behind the decoded ones; `most`: their bytes, or more.

    Raises AuditError for a residual that does not fit them.
    """
    if not code:
        yield from decoded
        return
    made = Residual(code, 2 * most)
    for text in decoded:
        yield made.document(text)
