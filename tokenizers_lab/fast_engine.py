"""A fast encoder in front of the reference one, believed only as far as it was checked.

gigatoken (extra `[fast]`) encodes the same vocabularies 10 to 50 times faster than sentencepiece and Hugging Face. It
is another implementation, so it is tried first: on strings that have broken tokenizers, and on the head of the
documents at hand. While it works, one byte in 200 is encoded by the reference as well. At the first difference it is
dismissed, the batch is encoded again by the reference, and a sentence is said on stderr. Documents with what it is
known to treat otherwise (`<s>` and the like, U+2581, combining marks, parts of Hangul) always go to the reference.

Loading and trying it takes a moment, so that it is only called from the second megabyte on.
"""

import json
import re
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from .byte_counts import sizes_of
from .byte_table import ByteTable
from .tokenizer import SPECIAL_NAMES, Encoded, Lossless, Tokenizer

WORTH = 1 << 20  # bytes encoded before the fast engine is loaded
TRIAL = 1 << 16  # bytes of real documents it is tried on
RECHECK = 200  # one byte in so many is encoded twice
MARKS = re.compile("[\u0080-\u009f\u0300-\u036f\u1100-\u11ff\u2581\u3099\u309a\ua960-\ua97f\ud7b0-\ud7ff\ue000-\uf8ff]")
WITHOUT_CASEOPS = re.compile(MARKS.pattern.replace("\ue000-", "\ue000\ue005-"))  # whose operators are in every text
TAGS = re.compile("</?s>|<pad>|<unk>|<bos>|<eos>|<0x")
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


def odd(text: str, marks: re.Pattern[str] = MARKS) -> bool:
    """Whether a document holds what gigatoken is known to treat otherwise than the references."""
    if "<" in text and TAGS.search(text):
        return True
    return not text.isascii() and marks.search(text) is not None


def load(data: bytes) -> Any:
    """gigatoken's own object for the bytes of a `.model` or tokenizer.json. Raises whatever it raises."""
    import gigatoken

    if not data.lstrip().startswith(b"{"):
        return gigatoken.Tokenizer.from_sentencepiece(data)
    content = json.loads(data)
    content["added_tokens"] = []
    for name in SPECIAL_NAMES:
        content["model"]["vocab"].pop(name, None)
    return gigatoken.Tokenizer.from_json(json.dumps(content))


class FastTokenizer:
    """`reference`, encoded by gigatoken where that gives the same ids. Everything but encoding is the reference's.

    marks: which documents always go to the reference. state: "waiting" before it is worth loading, "fast", or why it is
    not used.
    """

    def __init__(self, reference: Tokenizer, data: bytes, name: str = "", marks: re.Pattern[str] = MARKS) -> None:
        self.reference, self._data, self.name, self._marks = reference, data, name, marks
        self.state = "waiting"
        self._engine: Any = None
        self._seen = self._checked = 0
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
        sizes = sizes_of(texts)  # a lone surrogate is refused here, by its name
        self._seen += int(sizes.sum())
        if self.state == "waiting" and self._seen > WORTH:
            self._try(texts, sizes)
        if self.state != "fast":
            return self.reference.encode_batch(texts)
        strange = [index for index, text in enumerate(texts) if odd(text, self._marks)]
        found = self._fast(texts)
        if not self._still_right(texts, sizes, found, set(strange)):
            return self.reference.encode_batch(texts)
        if not strange:
            return found
        return _replaced(found, strange, self.reference.encode_batch([texts[i] for i in strange]), self.size)

    def _fast(self, texts: Sequence[str]) -> Encoded:
        layout = self._engine.encode_batch(list(texts), parallel=False).layout
        offsets = np.asarray(layout.offsets, np.int64)
        ids = np.asarray(layout.content.data)[: int(offsets[-1])]
        return Encoded(ids.astype(np.uint16 if self.size <= 1 << 16 else np.uint32), offsets)

    def _try(self, texts: Sequence[str], sizes: np.ndarray) -> None:
        """Load it and let it encode what is hard and what is at hand."""
        sample = [text for text in HARD if not odd(text, self._marks)]
        room = TRIAL
        for text, size in zip(texts, sizes.tolist(), strict=True):
            if size <= room and not odd(text, self._marks):
                sample.append(text)
                room -= size
        try:
            self._engine = load(self._data)
            same = _equal(self._fast(sample), self.reference.encode_batch(sample))
        except ImportError:
            self.state = "gigatoken is not installed"
            return
        except Exception as error:  # a foreign library on a foreign file: any refusal means the reference
            self.state = f"gigatoken refuses this vocabulary ({type(error).__name__})"
            return
        if same:
            self.state = "fast"
        else:
            self._dismiss("on the trial")

    def _still_right(self, texts: Sequence[str], sizes: np.ndarray, found: Encoded, strange: set[int]) -> bool:
        """Encode a document again by the reference where a share of the bytes is due."""
        if int(found.ids.max(initial=0)) >= self.size:
            self._dismiss("with an id that does not exist")
            return False
        start = self._seen // 4096 % max(len(texts), 1)  # another place in each batch
        for step in range(len(texts)):
            index = (start + step) % len(texts)
            due = self._seen // RECHECK - self._checked
            if due <= 0:
                break
            if index in strange or int(sizes[index]) > max(due, TRIAL):
                continue
            self._checked += int(sizes[index]) + 1
            if not np.array_equal(found.document(index), self.reference.encode_batch([texts[index]]).ids):
                self._dismiss(f"in a document that begins {texts[index][:30]!r}")
                return False
        return True

    def _dismiss(self, where: str) -> None:
        self.state = f"gigatoken differed from the reference {where}"
        self._engine = None
        print(f"note: {self.name}: {self.state}; going on with the reference, slower.", file=sys.stderr)

    def byte_ends(self, encoded: Encoded, texts: Sequence[str]) -> np.ndarray:
        """See Tokenizer."""
        return self.reference.byte_ends(encoded, texts)

    def decode(self, ids: np.ndarray) -> str:
        """See Tokenizer."""
        return self.reference.decode(ids)

    def fallback(self) -> np.ndarray:
        """See Tokenizer."""
        return self.reference.fallback()


def _equal(a: Encoded, b: Encoded) -> bool:
    return np.array_equal(a.ids, b.ids) and np.array_equal(a.offsets, b.offsets)


def _replaced(found: Encoded, places: list[int], other: Encoded, size: int) -> Encoded:
    """`found` with the documents at `places` taken from `other`, in order."""
    parts = [found.document(index) for index in range(found.documents)]
    for number, index in enumerate(places):
        parts[index] = other.document(number)
    return Encoded.of(parts, size)
