"""Byte-level BPE over folded case: 256 bytes of which three are case signs, merged as any others.

UTF-8 never uses the bytes 0xFD to 0xFF, so the usual base alphabet of 256 wastes 13 places; here three of them carry
the signs of case_bytes.py. Title and caps are tokens of their own and stand before the space of their word, so that
" The", " the" and " THE" are all the token " the", with a sign before it or not. A token stands for as many bytes of
the document as it has bytes that are no sign, always: the byte table is exact and a sidecar is not needed.

Words are cut on the GPT-2 alphabet, where each byte is one character, by the rule of the GPT-2 split carried over to
bytes: bytes from 0x80 on are letters, but for the general punctuation of Unicode (0xE2 0x80 and one more).

That signs stand alone and first was measured, not guessed: see DECISIONS.md.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from .byte_counts import ends_from_table, sizes_of
from .byte_level_file import added_tokens, byte_alphabet
from .byte_table import ByteTable
from .case_bytes import CAPS, FIRST_SIGN, TITLE, fold, raise_capitals, signs_first, spaces_first
from .errors import VocabError
from .tokenizer import BOS, SPECIAL_NAMES, UNK, Encoded, Lossless

SMALLEST = 256 + len(SPECIAL_NAMES)
FORMAT = "pglab-case-level-1"
OPTIONS: dict[str, Any] = {"split": "gpt2-bytes-1", "signs": "0xFF title, 0xFE caps, 0xFD next"}

_ALPHABET = byte_alphabet()
_CHARACTERS = np.array([ord(character) for character in _ALPHABET], np.uint32)  # (256,)


def _of(data: Iterable[int]) -> str:
    """Bytes as a character class of the GPT-2 alphabet; none of its characters is special in a class but \\ ] ^ -."""
    return "".join("\\" + c if c in "\\]^-[&" else c for c in (_ALPHABET[byte] for byte in data))


_SPACES = _of(b" \t\n\x0b\x0c\r")
_LETTERS = _of([*b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", *range(0x80, CAPS)])
_DASH = _ALPHABET[0xE2] + _ALPHABET[0x80]
_SPACE = _ALPHABET[0x20]
SPLIT = (
    f"[{_of([CAPS, TITLE])}]|'(?:s|t|re|ve|m|ll|d)|{_SPACE}?(?:(?!{_DASH})[{_LETTERS}])+|{_SPACE}?[0-9]+"
    f"|{_SPACE}?(?:{_DASH}.|[^{_SPACES}{_LETTERS}{_of([CAPS, TITLE])}0-9])+|[{_SPACES}]+(?![^{_SPACES}])|[{_SPACES}]+"
)


def visible(text: str) -> str:
    """The folded bytes of a document in the GPT-2 alphabet, one character a byte."""
    folded = np.frombuffer(signs_first(fold(text.encode("utf-8"))), np.uint8)
    return _CHARACTERS[folded].astype("<u4").tobytes().decode("utf-32-le")


def _engine(model: models.BPE) -> tokenizers.Tokenizer:
    engine = tokenizers.Tokenizer(model)
    engine.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(SPLIT), "isolated")
    return engine


def train(texts: Iterable[str], size: int) -> bytes:
    """The file of a vocabulary of `size` ids, 260 at least. Raises VocabError when the text has too few pairs."""
    if not SMALLEST <= size <= 1 << 16:
        raise VocabError(f"--size {size:,}: a byte-level vocabulary has 260 to 65,536 ids.")
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(SPECIAL_NAMES), initial_alphabet=_ALPHABET, special_tokens=[], show_progress=False
    )
    engine = _engine(models.BPE())
    engine.train_from_iterator((visible(text) for text in texts), trainer)
    merges = json.loads(engine.to_str())["model"]["merges"]
    if SMALLEST + len(merges) != size:
        raise VocabError(
            f"the training text gives {SMALLEST + len(merges):,} ids, {size:,} were asked for. Give more text or a "
            "smaller --size."
        )
    return _to_file([list(pair) for pair in merges])


def cut(data: bytes, size: int) -> bytes:
    """The file that `train` makes of the same text at a smaller `size`. Raises VocabError for less than the bytes."""
    if size < SMALLEST:
        raise VocabError(f"--size {size:,}: a byte-level vocabulary has 260 to 65,536 ids.")
    return _to_file(json.loads(data)["merges"][: size - SMALLEST])


def _to_file(merges: list[list[str]]) -> bytes:
    content = {"format": FORMAT, "added_tokens": added_tokens(), "merges": merges}
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


class CaseLevelTokenizer:
    """The vocabulary in a file of `train`. Raises VocabError for any other file."""

    lossless: Lossless = "exact"
    bos, unk = BOS, UNK

    def __init__(self, data: bytes, where: str = "tokenizer.json") -> None:
        self.where = where
        try:
            content = json.loads(data.decode("utf-8"))
            if content["format"] != FORMAT or content["added_tokens"] != added_tokens():
                raise ValueError("another format")
            merges = [(str(left), str(right)) for left, right in content["merges"]]
            names = [*_ALPHABET, *(left + right for left, right in merges)]
            byte_of = {character: byte for byte, character in enumerate(_ALPHABET)}
            self._tokens = [b""] * len(SPECIAL_NAMES) + [bytes(byte_of[c] for c in name) for name in names]
            vocab = {name: index + len(SPECIAL_NAMES) for index, name in enumerate(names)}
            if len(vocab) != len(names):
                raise ValueError("two merges make one token")
            self._engine = _engine(models.BPE(vocab=vocab, merges=merges))
        except Exception as error:  # tokenizers raises bare Exception for what it cannot read
            raise VocabError(
                f"{where}: no {FORMAT} vocabulary ({type(error).__name__}: {str(error)[:60]}). "
                "Make one: pglab vocab train bpe_case"
            ) from None
        self.size = len(self._tokens)
        lengths = np.array([sum(byte < FIRST_SIGN for byte in token) for token in self._tokens], np.int64)
        self.token_bytes: np.ndarray | None = lengths
        self.table = ByteTable.of(lengths, np.zeros(self.size, bool), np.arange(self.size) < len(SPECIAL_NAMES))

    def __repr__(self) -> str:
        return f"CaseLevelTokenizer({self.where!r})"

    def encode_batch(self, texts: Sequence[str]) -> Encoded:
        """See Tokenizer."""
        sizes_of(texts)  # a lone surrogate is refused here, by its name
        encodings = self._engine.encode_batch_fast([visible(text) for text in texts], add_special_tokens=False)
        return Encoded.of([np.array(encoding.ids, np.uint32) for encoding in encodings], self.size)

    def byte_ends(self, encoded: Encoded, texts: Sequence[str]) -> np.ndarray:
        """See Tokenizer."""
        assert self.token_bytes is not None
        return ends_from_table(self.token_bytes, encoded, sizes_of(texts))

    def decode(self, ids: np.ndarray) -> str:
        """See Tokenizer. Signs at no place for one become U+FFFD."""
        folded = b"".join([self._tokens[i] for i in np.asarray(ids).tolist()])
        try:
            return raise_capitals(spaces_first(folded)).decode("utf-8", errors="replace")
        except VocabError:
            return folded.decode("utf-8", errors="replace")

    def fallback(self) -> np.ndarray:
        """(V,) bool: single bytes above ASCII that are no sign: a part of a character."""
        return np.array([len(token) == 1 and 0x80 <= token[0] < FIRST_SIGN for token in self._tokens], bool)
