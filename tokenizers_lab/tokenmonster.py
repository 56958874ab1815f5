"""TokenMonster's `.vocab` files: read, shown and decoded, never encoded with.

The file holds every token with the links of a search that looks ahead; which tokens a text becomes is decided by that
search, and an encoder that is not theirs to the last branch would make other shards under the same name. So this lab
reads what a token is, and says no when it is asked to encode.

The format, little-endian: capcode level, charset, normaliser, training mode, reserve, three zeros (a byte each); unk,
size, ids, entries, delete token (24 bits each), longest token (a byte). An entry is its length and bytes, flag, words,
two links (24 bits), id (24 bits), score (float32). Then 256 bytes, and the deleted tokens: count, and for each its
bytes, id, score. Entries may share an id where they decode alike.

Capcode writes capitals as marks: C before a letter, W before a word, and D (0x7F at level 1), which takes back the
space behind it. What a token stands for then depends on its neighbours.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .byte_table import ByteTable
from .errors import VocabError
from .tokenizer import Encoded, Lossless

NONE = 0xFFFFFF  # of a 24-bit field
SPECIAL = 64  # bit of a flag
LONGEST = 40  # bytes of a token
LEVELS = {0: "", 1: "\x7f", 2: "D"}  # capcode level -> the mark that takes back a space


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """tokens: bytes by id, empty where an id is unused. special: ids of special tokens. unk: -1 for none."""

    capcode: int
    charset: int
    normaliser: int
    unk: int
    tokens: list[bytes]
    special: set[int]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        part = self.data[self.at : self.at + count]
        if len(part) != count:
            raise ValueError(f"cut off at byte {self.at:,}")
        self.at += count
        return part

    def number(self, count: int = 3) -> int:
        return int.from_bytes(self.take(count), "little")


def looks_like(data: bytes) -> bool:
    """Whether a file may be one: no other vocabulary begins with these eight small bytes."""
    head = data[:8]
    return len(head) == 8 and head[0] < 3 and head[1] < 3 and head[3] < 6 and head[5:] == b"\0\0\0"


def read(data: bytes, where: str) -> Vocabulary:
    """The vocabulary in a file. Raises VocabError for anything else."""
    reader = _Reader(data)
    try:
        if not looks_like(data):
            raise ValueError("begins otherwise")
        capcode, charset, normaliser = reader.take(8)[:3]
        unk, _, ids, entries, _ = (reader.number() for _ in range(5))
        reader.take(1)
        if ids > entries or entries > len(data):
            ids = min(ids, len(data))  # gaps are few; a length that lies takes no memory
        tokens, special = [b""] * ids, set()
        for _ in range(entries):
            token = reader.take(reader.number(1))
            flag = reader.take(8)[0]  # flag, words, two links
            token_id = reader.number()
            reader.take(4)
            if len(token) > LONGEST or token_id >= ids:
                raise ValueError(f"token {token[:20]!r} with id {token_id:,}")
            tokens[token_id] = tokens[token_id] or token
            if flag & SPECIAL:
                special.add(token_id)
        reader.take(256)
        for _ in range(reader.number()):
            reader.take(reader.number(1) + 7)
        if reader.at != len(data):
            raise ValueError(f"{len(data) - reader.at:,} bytes too many")
    except ValueError as error:
        raise VocabError(f"{where}: no TokenMonster vocabulary ({error}). Fetch it again.") from None
    return Vocabulary(capcode, charset, normaliser, -1 if unk == NONE else unk, tokens, special)


def raise_capitals(text: str, level: int) -> str:
    """The text behind capcode. Marks at no place for one vanish, as TokenMonster's own decoder lets them."""
    back = LEVELS[level]
    out: list[str] = []
    letter = word = fresh = drop = False
    for c in text:
        if c == back:
            drop = True
        elif level == 2 and c == "C":
            letter, word = True, False
        elif level == 2 and c == "W":
            letter, word, fresh = False, True, True
        else:
            if drop:
                drop = False
            elif c == " ":
                out.append(c)
                word = word and fresh
            elif letter or (word and unicodedata.category(c) in ("Ll", "Lu")):
                letter = False
                out.append(c.upper() if len(c.upper()) == 1 else c)
            else:
                out.append(c)
                word = word and (c in "'’" or unicodedata.category(c)[0] == "M" or unicodedata.category(c) == "Nd")
            fresh = False
    return "".join(out)


class TokenMonsterTokenizer:
    """The vocabulary in the bytes of a `.vocab`, for decoding. One more id at the end begins documents, as it has none.

    Raises VocabError for another file, or for text in UTF-16.
    """

    def __init__(self, data: bytes, where: str = "vocab") -> None:
        self.where, self._vocab = where, read(data, where)
        if self._vocab.charset == 2:
            raise VocabError(f"{where}: a vocabulary of UTF-16; shards are made of UTF-8. Name another file.")
        tokens, level = self._vocab.tokens, self._vocab.capcode
        self.size, self.bos, self.unk = len(tokens) + 1, len(tokens), self._vocab.unk
        self._silent = np.array([not token or i in self._vocab.special for i, token in enumerate([*tokens, b""])], bool)
        covered = len({token for token in tokens if len(token) == 1}) == 256
        plain = level == 0 and self._vocab.normaliser == 0
        self.lossless: Lossless = "lossy" if not covered else "exact" if plain else "normalised"
        sizes = np.array(
            [len(token) if plain else len(self._text(token).encode()) for token in [*tokens, b""]], np.int64
        )
        sizes[self._silent] = 0
        self.token_bytes: np.ndarray | None = sizes if plain else None
        self.table = ByteTable.of(sizes, np.zeros(self.size, bool), self._silent)

    def __repr__(self) -> str:
        return f"TokenMonsterTokenizer({self.where!r})"

    def _text(self, data: bytes) -> str:
        text = data.decode("utf-8", errors="replace")
        return raise_capitals(text, self._vocab.capcode) if self._vocab.capcode else text

    def encode_batch(self, texts: Sequence[str]) -> Encoded:
        """Raises VocabError always: see the module."""
        raise VocabError(
            f"{self.where}: TokenMonster cuts text by a search of its own, which this lab does not imitate; it "
            "can only decode this vocabulary. Encode with the tokenmonster package, or train a kind of this lab."
        )

    def byte_ends(self, encoded: Encoded, texts: Sequence[str]) -> np.ndarray:
        """Raises VocabError always: what was not encoded here cannot be proven here."""
        self.encode_batch(texts)
        raise AssertionError

    def decode(self, ids: np.ndarray) -> str:
        """See Tokenizer."""
        ids = np.asarray(ids)
        kept = ids[~self._silent[ids]].tolist()
        return self._text(b"".join([self._vocab.tokens[i] for i in kept]))

    def fallback(self) -> np.ndarray:
        """(V,) bool: single bytes above ASCII, which stand for a part of a character."""
        tokens = [*self._vocab.tokens, b""]
        return np.array([len(token) == 1 and token[0] >= 0x80 for token in tokens], bool)
