"""SentencePiece as an engine: any `.model`, with bytes proven against the original document.

A model that normalises (`nmt_nfkc`, the challenge's own) changes text before it cuts it. Its tokens' bytes are then
taken from their spans in the original UTF-8 (spm_spans.py): dropped white space goes to the token after it, and what is
dropped at the end to the last one. A model that changes nothing owns its
bytes by piece, with one repair: sentencepiece writes a space as U+2581, so a U+2581 in a document would come back as a
space; here it is spelt as its three byte tokens instead.
"""

from collections.abc import Sequence

import numpy as np
import sentencepiece

from .byte_counts import ends_from_table, sizes_of
from .byte_table import ByteTable
from .errors import VocabError
from .spm_file import read_normaliser
from .spm_spans import OwnBytes, repair_spans
from .tokenizer import Encoded

SPACE = "\u2581"


class SentencePieceTokenizer:
    """The vocabulary in the bytes of a `.model`. Raises VocabError when they are not one. `where` is for messages."""

    def __init__(self, data: bytes, where: str = "model") -> None:
        self.normaliser = read_normaliser(data, where)
        try:
            self._engine = sentencepiece.SentencePieceProcessor(model_proto=data)
            self.size = int(self._engine.vocab_size())
        except (RuntimeError, ValueError) as error:
            raise VocabError(
                f"{where}: sentencepiece cannot open it ({str(error)[:80]}). Name a .model file."
            ) from None
        self.where = where
        self.lossless = self.normaliser.lossless
        self.bos, self.unk = int(self._engine.bos_id()), int(self._engine.unk_id())
        engine, ids = self._engine, list(range(self.size))
        unused = np.array(engine.is_unused(ids), bool)
        self.unused = bool(unused.any())  # whether there are pieces that text is merged through, and never left as
        self.silent = np.array(engine.is_control(ids)) | engine.is_unknown(ids) | unused
        self._byte = np.array(engine.is_byte(ids), bool)
        self.ordinary = ~self.silent & ~self._byte  # pieces that text is merged into, and user-defined symbols
        self.pieces: list[str] = engine.id_to_piece(ids)
        raw = [piece.encode("utf-8") for piece in self.pieces]
        mark = SPACE.encode("utf-8")
        spaced = np.array([piece.startswith(mark) for piece in raw], bool) & self.ordinary
        sizes = np.array([len(piece) for piece in raw], np.int64)
        marks = np.array([piece.count(mark) for piece in raw], np.int64)
        official, own = sizes - len(mark) * spaced, sizes - (len(mark) - 1) * marks
        for column in (official, own):
            column[self._byte], column[self.silent] = 1, 0
        self.table = ByteTable.of(official, spaced, self.silent)
        self.token_bytes = own if self.lossless == "exact" else None
        blobs = [piece.replace(mark, b"") for piece in raw]
        for i in np.flatnonzero(~self.ordinary).tolist():
            blobs[i] = bytes([int(self.pieces[i][3:5], 16)]) if self._byte[i] else b""
        self._own = OwnBytes(blobs)
        self.divides = self._divides()
        self._spelt_space = [self._engine.piece_to_id(f"<0x{byte:02X}>") for byte in SPACE.encode("utf-8")]

    def __repr__(self) -> str:
        return f"SentencePieceTokenizer({self.where!r})"

    def _divides(self) -> bool:
        """Whether no token reaches from one word into the next."""
        own = self._engine.piece_to_id(SPACE) != self.unk
        return own and self.normaliser.merges and not any(SPACE in piece.lstrip(SPACE) for piece in self.pieces)

    def scores(self) -> list[float]:
        """The score of each piece."""
        return list(self._engine.get_score(list(range(self.size))))

    def byte_pieces(self) -> list[int]:
        """(256,) the piece of each byte."""
        return [self._engine.piece_to_id(f"<0x{byte:02X}>") for byte in range(256)]

    def normalised(self, text: str) -> str:
        """What the normaliser makes of a text."""
        return str(self._engine.normalize(text))

    def encode_batch(self, texts: Sequence[str]) -> Encoded:
        """See Tokenizer."""
        sizes_of(texts)  # a lone surrogate is refused here, by its name
        parts = self._engine.encode(list(texts), return_type="numpy", num_threads=1)
        if self.lossless == "exact":
            for index, text in enumerate(texts):
                if SPACE in text:
                    parts[index] = self._spell(text)
        return Encoded.of(parts, self.size)

    def _spell(self, text: str) -> np.ndarray:
        ids: list[int] = []
        for index, part in enumerate(text.split(SPACE)):
            if index:
                ids += self._spelt_space
            ids += self._engine.encode(part, return_type=int)
        return np.array(ids, np.int32)

    def byte_ends(self, encoded: Encoded, texts: Sequence[str]) -> np.ndarray:
        """See Tokenizer. Slow (spm_spans.py) for documents that the normaliser changes in more than white space."""
        sizes = sizes_of(texts)
        if self.token_bytes is not None:
            return ends_from_table(self.token_bytes, encoded, sizes)
        ends = np.zeros(len(encoded.ids), np.int64)
        for index, text in enumerate(texts):
            part = slice(int(encoded.offsets[index]), int(encoded.offsets[index + 1]))
            if part.stop > part.start:
                ends[part] = self._document_ends(encoded.ids[part], text.encode("utf-8"), index)
        return ends

    def _document_ends(self, ids: np.ndarray, raw: bytes, index: int) -> np.ndarray:
        ends = self._own.ends(ids, raw)
        if ends is None:
            found = self._engine.encode(raw, return_type="offset_mapping")
            if not np.array_equal(found["ids"], ids):
                raise VocabError(f"document {index} of the batch encodes otherwise than before. Encode it again.")
            spans = np.fromiter((end for _, end in found["offsets"]), np.int64, len(ids))
            ends = repair_spans(spans, self._byte[ids], len(raw))
        return ends

    def decode(self, ids: np.ndarray) -> str:
        """See Tokenizer."""
        ids = np.asarray(ids)
        text: str = self._engine.decode(ids[~self.silent[ids]].tolist())
        return text

    def fallback(self) -> np.ndarray:
        """See Tokenizer."""
        return self._byte
