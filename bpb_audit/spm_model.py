"""Our own reader of SentencePiece `.model` files: pieces, scores, types, and how text was normalised before.

The auditor must not count with the library that made the shards, so it reads the file itself: the format is a small
protobuf (`wire.py`), of which the fields below matter. Field numbers and defaults are those of
`sentencepiece_model.proto` in google/sentencepiece.
"""

import struct
from dataclasses import dataclass, field

import numpy as np

from .errors import AuditError
from .wire import BYTES, FIXED32, VARINT, fields

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
ALGORITHMS = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
MAX_BYTES = 1 << 28  # no public .model is above 10 MB


@dataclass(frozen=True, slots=True)
class Normaliser:
    """What the model does to text before it cuts it: `name` is the rule set, the flags are SentencePiece's own."""

    name: str = ""
    charsmap: bytes = field(default=b"", repr=False)
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True
    escape_whitespaces: bool = True


@dataclass(frozen=True, slots=True)
class SpmModel:
    """One `.model` file.

    pieces: V strings, with U+2581 for a space. scores: (V,) float32. types: (V,) uint8, one of the constants above.
    """

    pieces: tuple[str, ...]
    scores: np.ndarray
    types: np.ndarray
    algorithm: str
    byte_fallback: bool
    whitespace_as_suffix: bool
    special: dict[str, str]  # "unk", "bos", "eos", "pad" -> the piece that plays the part
    normaliser: Normaliser

    def special_id(self, part: str) -> int | None:
        """The id that plays `part`, or None when the vocabulary has no such control piece."""
        piece = self.special[part]
        kind = UNKNOWN if part == "unk" else CONTROL
        found = [i for i in np.flatnonzero(self.types == kind).tolist() if self.pieces[i] == piece]
        return found[0] if found else None


def _text(value: int | bytes, where: str) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            pass
    raise AuditError(f"{where}: {value!r:.60} where UTF-8 text was wanted; the .model file is damaged, fetch it again.")


def _piece(data: bytes, number: int, where: str) -> tuple[str, float, int]:
    text, score, kind = "", 0.0, NORMAL
    for name, wire, value in fields(data, where):
        if name == 1:
            text = _text(value, f"{where}: piece {number}")
        elif name == 2 and wire == FIXED32 and isinstance(value, bytes):
            (score,) = struct.unpack("<f", value)
        elif name == 3 and wire == VARINT and isinstance(value, int):
            kind = value
    if not text or not NORMAL <= kind <= BYTE:
        raise AuditError(f"{where}: piece {number} is {text!r} of type {kind}; wanted a text and a type from 1 to 6.")
    return text, score, kind


def _normaliser(data: bytes, where: str) -> Normaliser:
    names = {3: "add_dummy_prefix", 4: "remove_extra_whitespaces", 5: "escape_whitespaces"}
    flags = dict.fromkeys(names.values(), True)
    name, charsmap = "", b""
    for number, wire, value in fields(data, where):
        if number == 1:
            name = _text(value, f"{where}: normaliser name")
        elif number == 2 and isinstance(value, bytes):
            charsmap = value
        elif number in names and wire == VARINT:
            flags[names[number]] = bool(value)
    return Normaliser(name, charsmap, **flags)


def read_spm_model(data: bytes, where: str) -> SpmModel:
    """The model in `data`; `where` names the file in messages. Raises AuditError for anything that is not one."""
    if len(data) > MAX_BYTES:
        raise AuditError(
            f"{where}: {len(data):,} bytes, above the {MAX_BYTES:,} that any .model needs; name the .model file."
        )
    pieces: list[tuple[str, float, int]] = []
    algorithm, byte_fallback, suffix = 1, False, False
    special = {"unk": "<unk>", "bos": "<s>", "eos": "</s>", "pad": "<pad>"}
    normaliser = Normaliser()
    for number, wire, value in fields(data, where):
        if number in (1, 2, 3) and (wire != BYTES or not isinstance(value, bytes)):
            raise AuditError(f"{where}: field {number} is not a message; this is not a SentencePiece .model file.")
        if number == 1 and isinstance(value, bytes):
            pieces.append(_piece(value, len(pieces), where))
        elif number == 2 and isinstance(value, bytes):
            for name, _, setting in fields(value, where):
                if name == 3 and isinstance(setting, int):
                    algorithm = setting
                elif name == 24 and isinstance(setting, int):
                    suffix = bool(setting)
                elif name == 35 and isinstance(setting, int):
                    byte_fallback = bool(setting)
                elif name in (45, 46, 47, 48):
                    special[("unk", "bos", "eos", "pad")[name - 45]] = _text(setting, f"{where}: special piece")
        elif number == 3 and isinstance(value, bytes):
            normaliser = _normaliser(value, where)
    if not pieces or algorithm not in ALGORITHMS:
        raise AuditError(
            f"{where}: {len(pieces)} pieces and model type {algorithm}; wanted a SentencePiece .model with pieces. "
            "Name the tokenizer with --tokenizer FILE."
        )
    return SpmModel(
        tuple(text for text, _, _ in pieces),
        np.array([score for _, score, _ in pieces], np.float32),
        np.array([kind for _, _, kind in pieces], np.uint8),
        ALGORITHMS[algorithm],
        byte_fallback,
        suffix,
        special,
        normaliser,
    )
