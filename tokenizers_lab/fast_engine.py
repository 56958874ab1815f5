"""A fast encoder in front of the reference one, believed only as far as it was checked.

gigatoken (extra `[fast]`) encodes the same vocabularies 10 to 50 times faster than sentencepiece and Hugging Face. It
is another implementation, so it is tried first: on strings that have broken tokenizers, and on the head of the
documents at hand. While it works, one byte in 200 is encoded by the reference as well. At the first difference it is
dismissed, the batch is encoded again by the reference, and a sentence is said on stderr. What it is known to treat
otherwise (fast_odd.py) always goes to the reference: the part of the document that holds it, where the vocabulary says
how a text may be cut (`Cuts`), else all of it.

Loading and trying it takes a moment, so that it is only called from the second megabyte on.
"""

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .byte_counts import sizes_of
from .byte_table import ByteTable
from .fast_odd import odd
from .text_cut import cut
from .tokenizer import SPECIAL_NAMES, Encoded, Lossless, Tokenizer

WORTH = 1 << 20  # bytes encoded before the fast engine is loaded
TRIAL = 1 << 16  # bytes of real documents it is tried on
RECHECK = 200  # one byte in so many is encoded twice
PART = 512  # characters at least in a part of a document that holds something odd
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


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where a text falls into parts that give the tokens of the whole.

    where: before the space at such a place. lead: what a part behind a cut needs before it, if it is not to be taken
    for the beginning of a document; its own tokens are dropped.
    """

    where: re.Pattern[str]
    lead: str = ""


class FastTokenizer:
    """`reference`, encoded by gigatoken where that gives the same ids. Everything but encoding is the reference's.

    data: the vocabulary's file. told: what is done to texts before gigatoken gets them. cuts: how a text may be cut.
    strange: whether a text goes to the reference. state: "waiting" before it is worth loading, "fast", or why it is not
    used.
    """

    def __init__(
        self,
        reference: Tokenizer,
        data: bytes,
        name: str = "",
        told: Callable[[Sequence[str]], Sequence[str]] | None = None,
        cuts: Cuts | None = None,
        strange: Callable[[str], bool] = odd,
    ) -> None:
        self.reference, self._data, self.name = reference, data, name
        self._told, self._cuts, self._odd = told, cuts, strange
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
        try:
            found = self._fast(texts)
        except Exception as error:  # a foreign library on any text: whatever it raises, the reference answers
            self._dismiss(f"by stopping ({type(error).__name__}: {str(error)[:60]})")
            return self.reference.encode_batch(texts)
        return found if self._still_right(texts, sizes, found) else self.reference.encode_batch(texts)

    def _raw(self, texts: Sequence[str]) -> Encoded:
        """gigatoken's answer."""
        told = self._told(texts) if self._told else texts
        made = Encoded.of([self._engine.encode(text) for text in told], self.size)
        if int(made.ids.max(initial=0)) >= self.size:
            raise ValueError("an id that does not exist")
        return made

    def _fast(self, texts: Sequence[str]) -> Encoded:
        """gigatoken's answer, the reference's where a text is odd."""
        strange = [index for index, text in enumerate(texts) if self._odd(text)]
        if not strange:
            return self._raw(texts)
        known = set(strange)
        made = self._raw(["" if index in known else text for index, text in enumerate(texts)])
        if self._cuts is None:
            return replaced(made, strange, self.reference.encode_batch([texts[index] for index in strange]))
        return replaced(made, strange, self._in_parts([texts[index] for index in strange], self._cuts))

    def _in_parts(self, texts: Sequence[str], cuts: Cuts) -> Encoded:
        """Odd texts: only their odd parts by the reference."""
        parts = [list(cut(text, PART, cuts.where)) for text in texts]
        flat = [cuts.lead * (number > 0) + part for whole in parts for number, part in enumerate(whole)]
        some = [number for number, part in enumerate(flat) if self._odd(part)]
        known = set(some)
        made = self._raw(["" if number in known else part for number, part in enumerate(flat)])
        made = replaced(made, some, self.reference.encode_batch([flat[number] for number in some]))
        lead = self.reference.encode_batch([cuts.lead]).ids
        firsts = np.cumsum([0, *map(len, parts)])
        follows = np.ones(len(flat), bool)
        follows[firsts[:-1]] = False
        drop = (made.offsets[:-1][follows, None] + np.arange(len(lead))).ravel()
        if not np.array_equal(made.ids[drop], np.tile(lead, int(follows.sum()))):
            raise ValueError("a part changed what stands before it")
        kept = np.diff(made.offsets) - len(lead) * follows
        return Encoded(np.delete(made.ids, drop), np.concatenate([[0], np.cumsum(kept)])[firsts])

    def _try(self, texts: Sequence[str], sizes: np.ndarray) -> None:
        """Load it and let it encode what is hard and what is at hand."""
        sample = list(HARD)
        room = TRIAL
        for text, size in zip(texts, sizes.tolist(), strict=True):
            if size <= room:
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

    def _still_right(self, texts: Sequence[str], sizes: np.ndarray, found: Encoded) -> bool:
        """Encode a document again by the reference where a share of the bytes is due."""
        start = self._seen // 4096 % max(len(texts), 1)  # another place in each batch
        for step in range(len(texts)):
            index = (start + step) % len(texts)
            due = self._seen // RECHECK - self._checked
            if due <= 0:
                break
            if int(sizes[index]) > max(due, TRIAL):
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


def replaced(made: Encoded, places: Sequence[int], other: Encoded) -> Encoded:
    """`made` with the documents at `places` taken from `other`, in order."""
    parts = [made.document(index) for index in range(made.documents)]
    for number, index in enumerate(places):
        parts[index] = other.document(number)
    offsets = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(part) for part in parts], out=offsets[1:])
    return Encoded(np.concatenate(parts), offsets)
