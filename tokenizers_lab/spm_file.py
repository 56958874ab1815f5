"""What a SentencePiece `.model` says about its normaliser: the few fields that decide whether text survives.

A `.model` is a protobuf; ours is a reader of that wire format in a page, so that no protobuf package is needed. Field
numbers are from sentencepiece_model.proto: 2 trainer_spec (35 byte_fallback, 3 model_type, of which 2 is BPE), 3
normalizer_spec (1 name, 2 precompiled_charsmap, 3 add_dummy_prefix, 4 remove_extra_whitespaces, 5 escape_whitespaces);
1 a piece (1 its name, 3 its type, 4 of them user-defined).
"""

from dataclasses import dataclass

from .errors import VocabError
from .tokenizer import Lossless

PIECE, NAME, SCORE, TYPE = 1 << 3 | 2, 1 << 3 | 2, 2 << 3 | 5, 3 << 3  # keys: a field's number and how it is written
USER_DEFINED = 4


@dataclass(frozen=True, slots=True)
class Normaliser:
    """The declared treatment of text. `table`: of replacements, as it lies in the file; b"" for none."""

    name: str
    table: bytes
    dummy_prefix: bool
    removes_spaces: bool
    escapes_spaces: bool
    byte_fallback: bool
    merges: bool  # a BPE model
    user_defined: tuple[int, ...]  # ids of the symbols that text is cut at; -1 for pieces where or as none should be

    @property
    def lossless(self) -> Lossless:
        """exact only when nothing is replaced, added or removed and every character has tokens."""
        if not self.byte_fallback:
            return "lossy"
        if not (self.table or self.dummy_prefix or self.removes_spaces) and self.escapes_spaces:
            return "exact"
        return "normalised" if self.name in ("identity", "nfkc", "nmt_nfkc") else "lossy"


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("a number has no end")


def _fields(data: bytes) -> dict[int, int | bytes]:
    """The last value of each field; raises ValueError for what is no protobuf."""
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        field, wire = key >> 3, key & 7
        if wire == 0:
            found[field], at = _varint(data, at)
        else:
            if wire == 2:
                size, at = _varint(data, at)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                raise ValueError(f"wire type {wire}")
            if at + size > len(data):
                raise ValueError("a field is cut off")
            found[field] = data[at : at + size]
            at += size
    return found


def read_normaliser(data: bytes, where: str) -> Normaliser:
    """The normaliser of a `.model`. Raises VocabError for bytes that are no such file."""
    try:
        begin, symbols = _pieces(data)
        top = _fields(data[begin:])
        trainer, normalizer = (_fields(part) if isinstance(part := top.get(n, b""), bytes) else {} for n in (2, 3))
        name = normalizer.get(1, b"")
        known = bytes(name).decode("utf-8") if isinstance(name, bytes) else ""
    except ValueError as error:
        raise VocabError(f"{where}: no SentencePiece model ({error}). Name a .model file.") from None
    if not begin:
        raise VocabError(f"{where}: a SentencePiece model without pieces. Name a .model file.")
    return Normaliser(
        name=known,
        table=table if isinstance(table := normalizer.get(2, b""), bytes) else b"",
        dummy_prefix=bool(normalizer.get(3, 1)),
        removes_spaces=bool(normalizer.get(4, 1)),
        escapes_spaces=bool(normalizer.get(5, 1)),
        byte_fallback=bool(trainer.get(35, 0)),
        merges=trainer.get(3, 1) == 2,
        user_defined=(*symbols, -1) if 1 in top else tuple(symbols),
    )


def _pieces(data: bytes) -> tuple[int, list[int]]:
    """Where the pieces end that a model begins with, and the ids of user-defined symbols among them.

    -1 stands for a piece that is written otherwise than as name, score and, where it is not an ordinary one, type.
    """
    symbols: list[int] = []
    at = index = 0
    while at < len(data) and data[at] == PIECE:
        size, begin = _varint(data, at + 1)
        at = begin + size
        if at > len(data):
            raise ValueError("a field is cut off")
        length, name = _varint(data, begin + 1)
        rest = at - name - length
        if data[begin] != NAME or rest not in (5, 7) or data[at - rest] != SCORE:
            symbols.append(-1)
        elif rest == 7 and (data[at - 2] != TYPE or data[at - 1] == USER_DEFINED or data[at - 1] >= 0x80):
            symbols.append(index if data[at - 2] == TYPE and data[at - 1] == USER_DEFINED else -1)
        index += 1
    return at, symbols
