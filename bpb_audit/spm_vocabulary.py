"""From a SentencePiece `.model` to the one view of a vocabulary, with the challenge's byte table computed from scratch.

The table is the official rule read off FACTS, not the official code: control, unknown and unused pieces count 0 and
are boundaries; byte pieces count 1; any other piece counts its UTF-8 bytes without a leading U+2581, plus one for that
leading space unless the token before it is a boundary.
"""

import numpy as np

from .byte_alphabet import byte_fallback
from .errors import AuditError
from .spm_model import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, SpmModel
from .vocabulary import ByteTable, Vocabulary, build, merges_of

SPACE = "\u2581"


def spm_vocabulary(model: SpmModel, where: str) -> Vocabulary:
    """The vocabulary of one `.model`. Raises AuditError when a byte piece is not named `<0xNN>`."""
    tokens: list[bytes] = []
    base: list[int] = []
    spaced: list[bool] = []
    for token_id, (piece, kind) in enumerate(zip(model.pieces, model.types.tolist(), strict=True)):
        spaced.append(False)
        if kind in (CONTROL, UNKNOWN, UNUSED):
            tokens.append(b"")
        elif kind == BYTE:
            value = byte_fallback(piece)
            if value is None:
                raise AuditError(f"{where}: byte piece {token_id} is named {piece!r}, wanted <0x00> to <0xFF>.")
            tokens.append(bytes([value]))
        else:
            spaced[-1] = piece.startswith(SPACE)
            tokens.append(piece.replace(SPACE, " ").encode("utf-8"))
        rest = piece[1:] if spaced[-1] else piece
        base.append(1 if kind == BYTE else len(rest.encode("utf-8")) if tokens[-1] else 0)
    silent = np.isin(model.types, (CONTROL, UNKNOWN, UNUSED))
    rules = model.normaliser
    return build(
        f"sentencepiece {model.algorithm}",
        tokens,
        ByteTable(np.array(base, np.int64), np.array(spaced, bool), silent.copy()),
        silent,
        bos=model.special_id("bos"),
        unknown=next(iter(np.flatnonzero(model.types == UNKNOWN).tolist()), None),
        start_space="all" if rules.remove_extra_whitespaces else "first" if rules.add_dummy_prefix else "keep",
        normaliser=rules.name or ("custom" if rules.charsmap else "identity"),
        merges=mergeable(model) if model.algorithm == "bpe" else None,
        merges_exact=model.algorithm == "bpe" and not (model.types == UNUSED).any(),
    )


def mergeable(model: SpmModel) -> np.ndarray:
    """(m,) int64, sorted: left * V + right for every pair of pieces whose concatenation is a piece as well.

    SentencePiece BPE merges neighbours until no such pair is left, so its own output never holds one. Shards that do
    were made with another vocabulary.
    """
    ids = {piece: i for i, (piece, kind) in enumerate(zip(model.pieces, model.types, strict=True)) if kind == NORMAL}
    return merges_of(ids, len(model.pieces))
