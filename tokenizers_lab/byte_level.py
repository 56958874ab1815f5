"""Byte-level vocabularies as an engine: every byte has a token, so every document comes back exactly.

BPE is one model over the bytes; the unigram, WordPiece and superword kinds are others (`Form`), read by the same class.

The vocabulary is a Hugging Face `tokenizer.json` (byte_level_file.py). The four special ids are declared there as added
tokens, so that any reader of the file knows them; our own encoder takes them out before it encodes, since an added
token would be looked for in the text, and the bytes of a document that contains one would vanish.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tokenizers

from .byte_counts import ends_from_table, sizes_of
from .byte_level_file import again, byte_alphabet, framed
from .byte_table import ByteTable
from .errors import VocabError
from .text_cut import CUT, LONGEST, cut
from .tokenizer import BOS, SPECIAL_NAMES, UNK, Encoded, Lossless

FOREIGN = "no byte-level vocabulary of this lab"
AT_ONCE = 64  # texts in one call
GPT2_SPLIT = framed({})["pre_tokenizer"]


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of byte-level file: what makes its content again from its "model", and where a long text may be cut."""

    kind: str
    again: Callable[[dict[str, Any]], dict[str, Any]]
    cut: re.Pattern[str] = CUT


BPE = Form("bpe", again)


class ByteLevelTokenizer:
    """The vocabulary in the bytes of a tokenizer.json of ours. Raises VocabError for any other file."""

    lossless: Lossless = "exact"
    bos, unk = BOS, UNK

    def __init__(self, data: bytes, where: str = "tokenizer.json", form: Form = BPE) -> None:
        self.where, self.form = where, form
        fix = f"Make one: pglab vocab train {form.kind}"
        try:
            content = json.loads(data.decode("utf-8"))
            ours = content == form.again(content["model"])
            vocab = _names(content["model"]["vocab"])
            split = content["pre_tokenizer"]
            self.gpt2 = GPT2_SPLIT in (split, split.get("pretokenizers", [None])[0])  # splits of its words are well
            self.merges: list[tuple[str, str]] | None = content["model"].get("merges")
            if not set().union(*vocab) <= set(byte_alphabet()) or "" in vocab:
                raise ValueError("a token that is spelt in other characters than bytes")
            content["added_tokens"] = []
            self._engine = tokenizers.Tokenizer.from_str(json.dumps(content))
        except Exception as error:  # tokenizers raises bare Exception for what it cannot read
            raise VocabError(f"{where}: {FOREIGN} ({type(error).__name__}: {str(error)[:60]}). {fix}") from None
        if not ours:
            raise VocabError(f"{where}: {FOREIGN} (what it holds makes another file than this). {fix}")
        byte_of = {ord(character): byte for byte, character in enumerate(byte_alphabet())}
        self.names = vocab
        self._tokens = [b""] * (len(SPECIAL_NAMES) + len(vocab))
        for token, token_id in vocab.items():
            self._tokens[token_id] = token.translate(byte_of).encode("latin-1")
        self.size = len(self._tokens)
        lengths = np.array([len(token) for token in self._tokens], np.int64)
        self.token_bytes: np.ndarray | None = lengths
        self.table = ByteTable.of(lengths, np.zeros(self.size, bool), np.arange(self.size) < len(SPECIAL_NAMES))

    def __repr__(self) -> str:
        return f"ByteLevelTokenizer({self.where!r})"

    def encode_batch(self, texts: Sequence[str]) -> Encoded:
        """See Tokenizer."""
        sizes_of(texts)  # a lone surrogate is refused here, by its name
        parts = [list(cut(text, LONGEST, self.form.cut)) for text in texts]
        flat = [part for whole in parts for part in whole]
        ids: list[np.ndarray] = []
        for at in range(0, len(flat), AT_ONCE):
            encodings = self._engine.encode_batch_fast(flat[at : at + AT_ONCE], add_special_tokens=False)
            ids += [np.array(encoding.ids, np.uint32) for encoding in encodings]
        found = Encoded.of(ids, self.size)
        firsts = np.cumsum([0, *map(len, parts)])
        return Encoded(found.ids, found.offsets[firsts])

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


def _names(vocab: Any) -> dict[str, int]:
    """Token -> id without the special ones, which are taken out of an object (no text can spell them in a list)."""
    if isinstance(vocab, list):
        return {name: index for index, (name, _) in enumerate(vocab) if index >= len(SPECIAL_NAMES)}
    for name in SPECIAL_NAMES:
        del vocab[name]
    return dict(vocab)
