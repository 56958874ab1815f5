"""Case signs as bytes in front of any byte-level engine: it reads folded text, and a token still has fixed bytes.

The engine inside gets one character of the GPT-2 alphabet for each byte of the folded document (case_bytes.py), so its
file is a `tokenizer.json` that stock readers would read wrongly; it stands inside a file of this lab. UTF-8 never has
the bytes 0xFD to 0xFF, so nothing is escaped, and a token stands for as many bytes of the document as it has bytes that
are no sign, always: the byte table is exact and a sidecar is not needed.

Words are cut on the folded bytes by the rule of the GPT-2 split carried over to them: bytes from 0x80 on are letters,
but for the general punctuation of Unicode (0xE2 0x80 and one more). Title and caps are words of their own and stand
before the space of theirs, so that " The", " the" and " THE" are all the token " the", with a sign before it or not.
That signs stand alone and first was measured, not guessed: see DECISIONS.md.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .byte_counts import ends_from_table, sizes_of
from .byte_level import ByteLevelTokenizer
from .byte_level_file import byte_alphabet, written
from .byte_table import ByteTable
from .case_bytes import CAPS, FIRST_SIGN, TITLE, fold, raise_capitals, signs_first, spaces_first
from .errors import VocabError
from .text_cut import CUT, LONGEST, cut
from .tokenizer import SPECIAL_NAMES, Encoded, Lossless

FORMAT = "pglab-case-level-2"
ALPHABET = byte_alphabet()
CHARACTERS = np.array([ord(character) for character in ALPHABET], np.uint32)  # (256,)


def characters(data: Iterable[int]) -> str:
    """Bytes as a character class of the GPT-2 alphabet; none of its characters is special in a class but \\ ] ^ -."""
    return "".join("\\" + c if c in "\\]^-[&" else c for c in (ALPHABET[byte] for byte in data))


SIGNS = characters([CAPS, TITLE])
SPACES = characters(b" \t\n\x0b\x0c\r")
_LETTERS = characters([*b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", *range(0x80, CAPS)])
_DASH = ALPHABET[0xE2] + ALPHABET[0x80]
SPACE = ALPHABET[0x20]
SPLIT = (
    f"[{SIGNS}]|'(?:s|t|re|ve|m|ll|d)|{SPACE}?(?:(?!{_DASH})[{_LETTERS}])+|{SPACE}?[0-9]+"
    f"|{SPACE}?(?:{_DASH}.|[^{SPACES}{_LETTERS}{SIGNS}0-9])+|[{SPACES}]+(?![^{SPACES}])|[{SPACES}]+"
)
WORDS: dict[str, Any] = {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}


def visible(text: str) -> str:
    """The folded bytes of a document in the GPT-2 alphabet, one character a byte."""
    return spelt(signs_first(fold(text.encode("utf-8"))))


def spelt(folded: bytes) -> str:
    """Bytes in the GPT-2 alphabet."""
    return CHARACTERS[np.frombuffer(folded, np.uint8)].astype("<u4").tobytes().decode("utf-32-le")


def wrapped(kind: str, tokenizer: dict[str, Any], **more: str) -> bytes:
    """The file of a kind: the tokenizer.json of its engine, which reads spelt text only, under a name of this lab."""
    return written({"format": FORMAT, "kind": kind, **more, "tokenizer": tokenizer})


def unwrapped(kind: str, data: bytes, where: str, *more: str) -> tuple[dict[str, str], bytes]:
    """The strings `more` of a file of `wrapped`, and the tokenizer.json in it. Raises VocabError for any other file."""
    try:
        content = json.loads(data.decode("utf-8"))
        told = {name: content[name] for name in more}
        if list(content) != ["format", "kind", *more, "tokenizer"] or content["format"] != FORMAT:
            raise ValueError("another format")
        if content["kind"] != kind or not all(isinstance(value, str) for value in told.values()):
            raise ValueError(f"kind {content['kind']!r:.30}")
        return told, written(content["tokenizer"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise VocabError(
            f"{where}: no {FORMAT} vocabulary of {kind} ({type(error).__name__}: {str(error)[:60]}). "
            f"Make one: pglab vocab train {kind}"
        ) from None


class Folded(ByteLevelTokenizer):
    """An engine over folded text in the GPT-2 alphabet; `tokens` are folded bytes, the special ones empty."""

    @property
    def tokens(self) -> list[bytes]:
        return self._tokens


class CaseTokenizer:
    """`inner`, reading what `spell` makes of a text. where: a long text may be cut there before it is spelt."""

    lossless: Lossless = "exact"

    def __init__(self, inner: Folded, spell: Callable[[str], str] = visible, where: re.Pattern[str] = CUT) -> None:
        self.inner, self._spell, self._where = inner, spell, where
        self.size, self.bos, self.unk = inner.size, inner.bos, inner.unk
        lengths = np.array([sum(byte < FIRST_SIGN for byte in token) for token in inner.tokens], np.int64)
        self.token_bytes: np.ndarray | None = lengths
        self.table = ByteTable.of(lengths, np.zeros(self.size, bool), np.arange(self.size) < len(SPECIAL_NAMES))

    def __repr__(self) -> str:
        return f"CaseTokenizer({self.inner!r})"

    def encode_batch(self, texts: Sequence[str]) -> Encoded:
        """See Tokenizer."""
        sizes_of(texts)  # a lone surrogate is refused here, by its name
        parts = [[self._spell(part) for part in cut(text, LONGEST, self._where)] for text in texts]
        found = self.inner.encode_batch([part for whole in parts for part in whole])
        return Encoded(found.ids, found.offsets[np.cumsum([0, *map(len, parts)])])

    def byte_ends(self, encoded: Encoded, texts: Sequence[str]) -> np.ndarray:
        """See Tokenizer."""
        assert self.token_bytes is not None
        return ends_from_table(self.token_bytes, encoded, sizes_of(texts))

    def decode(self, ids: np.ndarray) -> str:
        """See Tokenizer. Signs at no place for one become U+FFFD."""
        folded = b"".join([self.inner.tokens[i] for i in np.asarray(ids).tolist()])
        try:
            return raise_capitals(spaces_first(folded)).decode("utf-8", errors="replace")
        except VocabError:
            return folded.decode("utf-8", errors="replace")

    def fallback(self) -> np.ndarray:
        """(V,) bool: single bytes above ASCII that are no sign: a part of a character."""
        return np.array([len(token) == 1 and 0x80 <= token[0] < FIRST_SIGN for token in self.inner.tokens], bool)
