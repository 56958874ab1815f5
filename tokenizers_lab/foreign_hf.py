"""Any Hugging Face `tokenizer.json` as an engine, with its bytes proven and its added tokens disarmed.

A tokenizer.json declares strings such as `<s>` or `<|endoftext|>` that the library looks for in the text itself: a
document that contains one would lose those bytes to a special id. Often they stand among the model's own pieces too,
where a Unigram or WordPiece model finds them in text by itself. Here both are taken out before anything is encoded;
text is only text.

Byte-level vocabularies (the GPT-2 alphabet, nothing changed before the cut) give every byte a token: exact, and a
token's bytes never depend on its neighbours. For all others the bytes come from the spans in the document that the
library reports: a token owns what ends at its span, and what was dropped belongs to the token after it.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import tokenizers

from .byte_counts import ends_from_table, sizes_of
from .byte_level_file import byte_alphabet
from .byte_table import ByteTable
from .errors import VocabError
from .tokenizer import Encoded, Lossless

BEGINNINGS = ("<bos >", "<s>", "<|begin_of_text|>", "<bos>", "[BOS]", "<|startoftext|>", "[CLS]", "<|endoftext|>")
SPACE = "\u2581"


def _parts(stage: Any, list_name: str) -> list[dict[str, Any]]:
    """A stage and, for a Sequence, what is in it."""
    if not isinstance(stage, dict):
        return []
    return (
        [part for part in stage.get(list_name, []) if isinstance(part, dict)]
        if stage.get("type") == "Sequence"
        else [stage]
    )


class ForeignTokenizer:
    """The vocabulary in the bytes of a tokenizer.json. Raises VocabError when it is none, or names no beginning."""

    def __init__(self, data: bytes, where: str = "tokenizer.json") -> None:
        self.where = where
        try:
            content: dict[str, Any] = json.loads(data.decode("utf-8"))
            added = {entry["content"]: int(entry["id"]) for entry in content["added_tokens"]}
            tokens = {**_vocabulary(content["model"]), **added}
            self._engine = tokenizers.Tokenizer.from_str(json.dumps(_disarmed(content, added)))
            self.size = max(tokens.values()) + 1
        except Exception as error:  # tokenizers raises bare Exception for what it cannot read
            raise VocabError(
                f"{where}: no tokenizer.json ({type(error).__name__}: {str(error)[:80]}). Name a Hugging Face file."
            ) from None
        begin = next((name for name in BEGINNINGS if name in added), None)
        if begin is None:
            raise VocabError(
                f"{where}: none of its added tokens begins a document ({', '.join(list(added)[:5]) or 'it has none'}); "
                f"wanted one of {', '.join(BEGINNINGS)}. Add one to the file."
            )
        self.bos, self.unk = added[begin], _unknown(content["model"], tokens)
        names: list[str | None] = [None] * self.size
        for name, token_id in tokens.items():
            names[token_id] = name
        special = np.zeros(self.size, bool)
        special[list(added.values())] = True
        special[[i for i, name in enumerate(names) if name is None]] = True
        self._silent = special
        stages = [
            *_parts(content.get("pre_tokenizer"), "pretokenizers"),
            *_parts(content.get("normalizer"), "normalizers"),
        ]
        levels = [part for part in stages if part.get("type") == "ByteLevel"]
        self._byte_level = bool(levels) and content["model"]["type"] in ("BPE", "Unigram")
        untouched = content.get("normalizer") is None and not any(part.get("add_prefix_space") for part in stages)
        own, spaced = self._lengths(names, content)
        self.table = ByteTable.of(np.where(special, 0, own - spaced), spaced & ~special, special)
        self.token_bytes: np.ndarray | None = np.where(special, 0, own) if self._byte_level and untouched else None
        self.lossless: Lossless = "exact" if self.token_bytes is not None else self._declared(content)
        self._pieces = [(name or "").encode("utf-8", errors="replace") for name in names]
        if self._byte_level:
            byte_of = {character: byte for byte, character in enumerate(byte_alphabet())}
            self._pieces = [bytes(byte_of.get(c, 0x3F) for c in name or "") for name in names]

    def __repr__(self) -> str:
        return f"ForeignTokenizer({self.where!r})"

    def _declared(self, content: dict[str, Any]) -> Lossless:
        """normalised when bytes without a piece have tokens and spaces alone are replaced; else lossy."""
        model, stages = content["model"], _parts(content.get("normalizer"), "normalizers")
        tame = all(part.get("type") in ("Prepend", "Replace", "NFC", "NFKC") for part in stages)
        return "normalised" if (model.get("byte_fallback") or self._byte_level) and tame else "lossy"

    def _lengths(self, names: list[str | None], content: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """(V,) bytes of each token's own text, a U+2581 counted as one, and (V,) whether it begins with a space.

        A WordPiece decoder puts that space before a word itself, but not before ".", "'s" and the like.
        """
        own = np.zeros(len(names), np.int64)
        spaced = np.zeros(len(names), bool)
        words, decoder, model = None, content.get("decoder"), content["model"]
        inside = str(model.get("continuing_subword_prefix", "##")) if model["type"] == "WordPiece" else ""
        if isinstance(decoder, dict) and decoder.get("type") == "WordPiece":
            words = tokenizers.decoders.WordPiece(decoder.get("prefix", "##"), decoder.get("cleanup", True))
        for index, name in enumerate(names):
            if name is None:
                continue
            if self._byte_level:
                own[index] = len(name)
            elif len(name) == 6 and name.startswith("<0x") and name.endswith(">"):
                own[index] = 1
            elif words is not None:
                behind = words.decode(["a", name])[1:]
                own[index], spaced[index] = len(behind.encode("utf-8", errors="replace")), behind.startswith(" ")
            else:
                spaced[index] = name.startswith(SPACE)
                own[index] = len(name.replace(SPACE, " ").removeprefix(inside).encode("utf-8", errors="replace"))
        return own, spaced

    def encode_batch(self, texts: Sequence[str]) -> Encoded:
        """See Tokenizer."""
        sizes_of(texts)  # a lone surrogate is refused here, by its name
        encodings = self._engine.encode_batch_fast(list(texts), add_special_tokens=False)
        return Encoded.of([np.array(encoding.ids, np.uint32) for encoding in encodings], self.size)

    def byte_ends(self, encoded: Encoded, texts: Sequence[str]) -> np.ndarray:
        """See Tokenizer."""
        sizes = sizes_of(texts)
        if self.token_bytes is not None:
            return ends_from_table(self.token_bytes, encoded, sizes)
        ends = np.zeros(len(encoded.ids), np.int64)
        for index, text in enumerate(texts):
            part = slice(int(encoded.offsets[index]), int(encoded.offsets[index + 1]))
            found = self._engine.encode(text, add_special_tokens=False)
            if not np.array_equal(np.array(found.ids, np.int64), encoded.ids[part]):
                raise VocabError(f"document {index} of the batch encodes otherwise than before. Encode it again.")
            if part.stop > part.start:
                spans = np.fromiter((end for _, end in found.offsets), np.int64, part.stop - part.start)
                np.maximum.accumulate(spans, out=spans)
                spans[-1] = len(text)
                ends[part] = _bytes_before(text)[np.minimum(spans, len(text))]
        return ends

    def decode(self, ids: np.ndarray) -> str:
        """See Tokenizer."""
        ids = np.asarray(ids)
        kept = ids[~self._silent[ids]].tolist()
        if self._byte_level:
            return b"".join([self._pieces[i] for i in kept]).decode("utf-8", errors="replace")
        text: str = self._engine.decode(kept, skip_special_tokens=False)
        return text

    def fallback(self) -> np.ndarray:
        """(V,) bool: tokens of one byte above ASCII, or spelt `<0xNN>`."""
        if self._byte_level:
            return np.array([len(piece) == 1 and piece[0] >= 0x80 for piece in self._pieces], bool) & ~self._silent
        return np.array([len(piece) == 6 and piece.startswith(b"<0x") for piece in self._pieces], bool)


def _disarmed(content: dict[str, Any], added: dict[str, int]) -> dict[str, Any]:
    """The file without added tokens, and with none of their names among the pieces that can be found in text."""
    model = dict(content["model"])
    if isinstance(model["vocab"], list):  # Unigram: the place is the id, so the piece stays, out of reach
        model["vocab"] = [
            [f"\uffff{index} \uffff", -1e30] if piece in added else [piece, weight]
            for index, (piece, weight) in enumerate(model["vocab"])
        ]
    else:
        unknown = model.get("unk_token")
        model["vocab"] = {name: i for name, i in model["vocab"].items() if name not in added or name == unknown}
    return {**content, "model": model, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}


def _vocabulary(model: dict[str, Any]) -> dict[str, int]:
    """Name -> id; Unigram writes a list, the others an object."""
    if isinstance(model["vocab"], list):
        return {str(name): index for index, (name, _) in enumerate(model["vocab"])}
    return {str(name): int(token_id) for name, token_id in model["vocab"].items()}


def _unknown(model: dict[str, Any], tokens: dict[str, int]) -> int:
    """The id a model gives to what it has no token for, -1 for none; Unigram names it by its id, the others by name."""
    found = model.get("unk_id") if model["type"] == "Unigram" else tokens.get(str(model.get("unk_token")))
    return -1 if found is None else int(found)


def _bytes_before(text: str) -> np.ndarray:
    """(len(text) + 1,) int64: bytes of UTF-8 before each character."""
    points = np.frombuffer(text.encode("utf-32-le"), "<u4")
    ends = np.zeros(len(points) + 1, np.int64)
    np.cumsum(1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000), out=ends[1:])
    return ends
