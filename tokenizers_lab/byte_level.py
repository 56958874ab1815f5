"""Byte-level BPE as an engine: every byte has a token, so every document comes back exactly.

The vocabulary is written as a Hugging Face `tokenizer.json`. Tokens are spelt there in the GPT-2 alphabet, which gives
each of the 256 bytes a visible character. The four special ids are declared as added tokens, so that any reader of the
file knows them; our own encoder takes them out before it encodes, since an added token would be looked for in the text,
and the bytes of a document that contains one would vanish.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import tokenizers

from .byte_counts import ends_from_table, sizes_of
from .byte_table import ByteTable
from .errors import VocabError
from .tokenizer import BOS, SPECIAL_NAMES, Encoded, Lossless


def byte_alphabet() -> list[str]:
    """The GPT-2 character of each byte 0..255: printable Latin-1 stands for itself, the rest follow from U+0100."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = iter(range(0x100, 0x200))
    visible = set(plain)
    return [chr(byte) if byte in visible else chr(next(rest)) for byte in range(256)]


def added_tokens() -> list[dict[str, Any]]:
    """The special ids as a tokenizer.json declares them."""
    rules = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return [{"id": token_id, "content": name, **rules} for token_id, name in enumerate(SPECIAL_NAMES)]


class ByteLevelTokenizer:
    """The vocabulary in the bytes of a tokenizer.json of ours. Raises VocabError for any other file."""

    lossless: Lossless = "exact"
    bos = BOS

    def __init__(self, data: bytes, where: str = "tokenizer.json") -> None:
        self.where = where
        try:
            content = json.loads(data.decode("utf-8"))
            vocab: dict[str, int] = content["model"]["vocab"]
            ours = content.pop("added_tokens") == added_tokens()
            tokens: list[bytes | None] = [None] * len(vocab)
            byte_of = {character: byte for byte, character in enumerate(byte_alphabet())}
            for token, token_id in vocab.items():
                special = token_id < len(SPECIAL_NAMES)
                tokens[token_id] = b"" if special else bytes(byte_of[character] for character in token)
            for name in SPECIAL_NAMES:
                del content["model"]["vocab"][name]
            self._engine = tokenizers.Tokenizer.from_str(json.dumps({**content, "added_tokens": []}))
        except Exception as error:  # tokenizers raises bare Exception for what it cannot read
            raise VocabError(
                f"{where}: no byte-level vocabulary of this lab ({type(error).__name__}: {str(error)[:60]}). "
                "Make one: pglab vocab train bpe"
            ) from None
        if not ours or any(token is None for token in tokens):
            raise VocabError(f"{where}: ids 0..3 are not {SPECIAL_NAMES}. Make one: pglab vocab train bpe")
        self._tokens: list[bytes] = [token or b"" for token in tokens]
        self.size = len(tokens)
        lengths = np.array([len(token) for token in self._tokens], np.int64)
        self.token_bytes: np.ndarray | None = lengths
        self.table = ByteTable.of(lengths, np.zeros(self.size, bool), np.arange(self.size) < len(SPECIAL_NAMES))

    def __repr__(self) -> str:
        return f"ByteLevelTokenizer({self.where!r})"

    def encode_batch(self, texts: Sequence[str]) -> Encoded:
        """See Tokenizer."""
        sizes_of(texts)  # a lone surrogate is refused here, by its name
        encodings = self._engine.encode_batch_fast(list(texts), add_special_tokens=False)
        return Encoded.of([np.array(encoding.ids, np.uint32) for encoding in encodings], self.size)

    def byte_ends(self, encoded: Encoded, texts: Sequence[str]) -> np.ndarray:
        """See Tokenizer."""
        assert self.token_bytes is not None
        return ends_from_table(self.token_bytes, encoded, sizes_of(texts))

    def decode(self, ids: np.ndarray) -> str:
        """See Tokenizer."""
        return b"".join([self._tokens[i] for i in np.asarray(ids).tolist()]).decode("utf-8", errors="replace")

    def fallback(self) -> np.ndarray:
        """(V,) bool: single bytes above ASCII, which stand for a part of a character."""
        return np.array([len(token) == 1 and token[0] >= 0x80 for token in self._tokens], bool)
