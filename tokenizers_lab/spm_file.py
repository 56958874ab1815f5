"""What a SentencePiece `.model` says about its normaliser: the few fields that decide whether text survives.

A `.model` is a protobuf; ours is a reader of that wire format in a page, so that no protobuf package is needed. Field
numbers are from sentencepiece_model.proto: 2 trainer_spec (35 byte_fallback, 3 model_type, of which 2 is BPE), 3
normalizer_spec (1 name, 2 precompiled_charsmap, 3 add_dummy_prefix, 4 remove_extra_whitespaces, 5 escape_whitespaces);
1 a piece (1 its name, 3 its type, 4 of them user-defined).
"""

from dataclasses import dataclass

from .errors import VocabError
from .tokenizer import Lossless

PIECE, TYPE = 1 << 3 | 2, 3 << 3  # keys: a field's number and how it is written
USER_DEFINED = 4


@dataclass(frozen=True, slots=True)
class Normaliser:
    """The declared treatment of text. `maps` is whether a table of replacements is there."""

    name: str
    maps: bool
    dummy_prefix: bool
    removes_spaces: bool
    escapes_spaces: bool
    byte_fallback: bool
    merges: bool  # a BPE model

    @property
    def lossless(self) -> Lossless:
        """exact only when nothing is replaced, added or removed and every character has tokens."""
        if not self.byte_fallback:
            return "lossy"
        if not (self.maps or self.dummy_prefix or self.removes_spaces) and self.escapes_spaces:
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
        top = _fields(data)
        trainer, normalizer = (_fields(part) if isinstance(part := top.get(n, b""), bytes) else {} for n in (2, 3))
        name = normalizer.get(1, b"")
        known = bytes(name).decode("utf-8") if isinstance(name, bytes) else ""
    except ValueError as error:
        raise VocabError(f"{where}: no SentencePiece model ({error}). Name a .model file.") from None
    if 1 not in top:
        raise VocabError(f"{where}: a SentencePiece model without pieces. Name a .model file.")
    return Normaliser(
        name=known,
        maps=bool(normalizer.get(2, b"")),
        dummy_prefix=bool(normalizer.get(3, 1)),
        removes_spaces=bool(normalizer.get(4, 1)),
        escapes_spaces=bool(normalizer.get(5, 1)),
        byte_fallback=bool(trainer.get(35, 0)),
        merges=trainer.get(3, 1) == 2,
    )


def replacements(data: bytes) -> bytes:
    """The normaliser's table of replacements, b"" for none. Raises ValueError for what is no protobuf."""
    normalizer = _fields(data).get(3, b"")
    table = _fields(normalizer).get(2, b"") if isinstance(normalizer, bytes) else b""
    return table if isinstance(table, bytes) else b""


def user_defined(data: bytes) -> list[int]:
    """The ids of user-defined symbols. Raises ValueError for what is no protobuf."""
    found: list[int] = []
    at = index = 0
    while at < len(data):
        key, at = _varint(data, at)
        size, at = _varint(data, at) if key & 7 == 2 else ({1: 8, 5: 4}.get(key & 7, 0), at)
        if key == PIECE:
            if data[at : at + size].endswith(bytes([TYPE, USER_DEFINED])):
                found.append(index)
            index += 1
        at += size
    return found
