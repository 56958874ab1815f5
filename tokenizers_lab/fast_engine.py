"""A fast encoder in front of the reference one, believed only as far as it was checked.

Two are known: our own table of words (word_table.py) for vocabularies whose words stand for themselves, and gigatoken
(extra `[fast]`, fast_gigatoken.py) for others. Both are other implementations, so they are tried first: on strings that
have broken tokenizers, and on the head of the documents at hand. While one works, one byte in 200 is encoded by the
reference as well. At the first difference it is dismissed, the batch is encoded again by the reference, and a sentence
is said on stderr. Bytes are held to the same: tried, and one byte in 200 counted twice.

Loading and trying takes a moment (the table's numba most of a second), so that it is only done for some megabytes.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from .byte_counts import sizes_of
from .byte_table import ByteTable
from .tokenizer import Encoded, Lossless, Tokenizer

WORTH = 1 << 20  # bytes seen or expected before an engine is loaded; fast_choice.py multiplies it
TRIAL = 1 << 16  # bytes of real documents it is tried on
RECHECK = 200  # one byte in so many is encoded twice
HARD = (
    "",
    " ",
    "a",
    "  two  spaces ",
    "\n\n\n\ttabs\t\tand\nlines \n ",
    "don't it's we'll I'D '' '",
    "1234567 3.14 10,000 ½ ² ①",
    "naïve café “quoted” — dash… ’s",
    "日本語テキスト 中文 한국어",
    "😀👍🏽👨\u200d👩 flags 🇩🇪",
    "UPPER lower MiXeD iPhone HTML5",
    "ﬁ ﬂ ｆｕｌｌ ㎏ ™ Ⅷ",
    "مرحبا بالعالم שלום",
    "a\u00a0b\u3000c\u2003d",
    "http://example.com/?a=b&c=%20 <html><p>x</p>",
    "x" * 3000,
    " " * 500 + "end",
    "ab" * 2000,
    "nul\x00 bell\x07 escape\x1b[0m del\x7f",
    "\ufeffbom \u200bzero\u200dwidth \u2028line \u202eright",
)


class Engine(Protocol):
    """A fast encoder: ids of documents and, where `counts` is true, ends as Tokenizer.byte_ends. raws: their UTF-8.

    It may raise anything; the reference answers then.
    """

    name: str
    counts: bool

    def encode(self, texts: Sequence[str], raws: Sequence[bytes]) -> Encoded:
        """See Tokenizer.encode_batch."""
        ...

    def byte_ends(self, encoded: Encoded, texts: Sequence[str], raws: Sequence[bytes]) -> np.ndarray:
        """See Tokenizer.byte_ends."""
        ...


class Share:
    """Which documents are done again by the reference, so that it is one byte in RECHECK of those `seen`."""

    def __init__(self) -> None:
        self.seen = self.done = 0

    def due(self, raws: Sequence[bytes]) -> Iterator[int]:
        """Their places in a batch whose bytes are in `seen` already; each counts as done."""
        start = self.seen // 4096 % max(len(raws), 1)  # another place in each batch
        for index in [*range(start, len(raws)), *range(start)]:
            due = self.seen // RECHECK - self.done
            if due <= 0:
                return
            if len(raws[index]) <= max(due, TRIAL):
                self.done += len(raws[index]) + 1
                yield index


class FastTokenizer:
    """`reference`, encoded by another engine where that gives the same ids. Everything else is the reference's.

    make: loads the engine; may raise anything. worth: how many times WORTH the text has to be. expected: bytes that
    will come, where a caller knows. state: "waiting" before it is worth loading, "fast", or why none is used.
    """

    def __init__(self, reference: Tokenizer, make: Callable[[], Engine], name: str = "", worth: int = 1) -> None:
        self.reference, self._make, self.name, self._worth = reference, make, name, worth
        self.expected = 0
        self.state = "waiting"
        self._engine: Engine | None = None
        self._encoded, self._counted = Share(), Share()
        self.size: int = reference.size
        self.bos: int = reference.bos
        self.unk: int = reference.unk
        self.lossless: Lossless = reference.lossless
        self.token_bytes: np.ndarray | None = reference.token_bytes
        self.table: ByteTable = reference.table

    def __repr__(self) -> str:
        return f"FastTokenizer({self.reference!r})"

    def encode_batch(self, texts: Sequence[str]) -> Encoded:
        """See Tokenizer."""
        return self.encode_raw(texts, _utf8(texts))

    def encode_raw(self, texts: Sequence[str], raws: Sequence[bytes]) -> Encoded:
        """The same, of texts whose UTF-8 is there already."""
        self._encoded.seen += sum(map(len, raws))
        if self.state == "waiting" and max(self._encoded.seen, self.expected) > self._worth * WORTH:
            self._try(texts, raws)
        if self._engine is None:
            return self.reference.encode_batch(texts)
        try:
            found = self._engine.encode(texts, raws)
        except Exception as error:  # another engine on any text: whatever it raises, the reference answers
            self._dismiss(_stopped(error))
            return self.reference.encode_batch(texts)
        return found if self._still_right(texts, raws, found) else self.reference.encode_batch(texts)

    def byte_ends(self, encoded: Encoded, texts: Sequence[str]) -> np.ndarray:
        """See Tokenizer."""
        if self._engine is None or not self._engine.counts or self.token_bytes is not None:
            return self.reference.byte_ends(encoded, texts)
        raws = _utf8(texts)
        try:
            ends = self._engine.byte_ends(encoded, texts, raws)
        except Exception as error:
            self._dismiss(_stopped(error))
            return self.reference.byte_ends(encoded, texts)
        self._counted.seen += sum(map(len, raws))
        for index in self._counted.due(raws):
            part = slice(int(encoded.offsets[index]), int(encoded.offsets[index + 1]))
            one = Encoded(encoded.ids[part], np.array([0, part.stop - part.start]))
            if not np.array_equal(ends[part], self.reference.byte_ends(one, [texts[index]])):
                self._dismiss(f"in the bytes of a document that begins {texts[index][:30]!r}")
                return self.reference.byte_ends(encoded, texts)
        return ends

    def _try(self, texts: Sequence[str], raws: Sequence[bytes]) -> None:
        """Load it and let it encode what is hard and what is at hand."""
        sample = list(HARD)
        room = TRIAL
        for text, raw in zip(texts, raws, strict=True):
            if len(raw) <= room:
                sample.append(text)
                room -= len(raw)
        right = self.reference.encode_batch(sample)
        raws = _utf8(sample)
        try:
            engine = self._make()
            same = _equal(engine.encode(sample, raws), right)
            if same and engine.counts and self.token_bytes is None:
                same = np.array_equal(engine.byte_ends(right, sample, raws), self.reference.byte_ends(right, sample))
        except ImportError as error:
            self.state = f"{error.name} is not installed"
            return
        except Exception as error:  # another engine on a foreign file: any refusal means the reference
            self.state = f"no fast engine takes this vocabulary ({type(error).__name__}: {str(error)[:60]})"
            return
        self._engine = engine
        self._encoded.done = TRIAL - room  # the documents of the trial are a part of the share
        if same:
            self.state = "fast"
        else:
            self._dismiss("on the trial")

    def _still_right(self, texts: Sequence[str], raws: Sequence[bytes], found: Encoded) -> bool:
        """Encode a document again by the reference where a share of the bytes is due."""
        for index in self._encoded.due(raws):
            if not np.array_equal(found.document(index), self.reference.encode_batch([texts[index]]).ids):
                self._dismiss(f"in a document that begins {texts[index][:30]!r}")
                return False
        return True

    def _dismiss(self, where: str) -> None:
        named = self._engine.name if self._engine else "the fast engine"
        self.state = f"{named} differed from the reference {where}"
        self._engine = None
        print(f"note: {self.name}: {self.state}; going on with the reference, slower.", file=sys.stderr)

    def decode(self, ids: np.ndarray) -> str:
        """See Tokenizer."""
        return self.reference.decode(ids)

    def fallback(self) -> np.ndarray:
        """See Tokenizer."""
        return self.reference.fallback()


def _equal(a: Encoded, b: Encoded) -> bool:
    return np.array_equal(a.ids, b.ids) and np.array_equal(a.offsets, b.offsets)


def _stopped(error: Exception) -> str:
    return f"by stopping ({type(error).__name__}: {str(error)[:60]})"


def _utf8(texts: Sequence[str]) -> list[bytes]:
    """The UTF-8 of each text. Raises VocabError for a lone surrogate, by its name."""
    try:
        return [text.encode("utf-8") for text in texts]
    except UnicodeEncodeError:
        sizes_of(texts)
        raise
