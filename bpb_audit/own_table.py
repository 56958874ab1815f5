"""Runs a submission's byte-table builder on a vocabulary and compares what it counts, id by id, with the true table.

The vocabulary is the submission's own tokenizer where there is one, and always a small probe that holds one piece of
every kind, so that a wrong table shows without any file. What counts is the effect: base bytes, plus one for a leading
space when the loop adds it; a table that already holds the space is right if the loop does not add it again.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from .builder_finder import Builder
from .errors import AuditError
from .isolation import level, run_isolated
from .spm_model import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED, Normaliser, SpmModel
from .spm_vocabulary import SPACE, spm_vocabulary
from .vocabulary import ByteTable

PROBE = [("<pad>", CONTROL), ("<s>", CONTROL), ("</s>", CONTROL), ("<unk>", UNKNOWN), ("<unused0>", UNUSED)]
PROBE += [(f"<0x{value:02X}>", BYTE) for value in range(256)]
PROBE += [(piece, NORMAL) for piece in (SPACE, f"{SPACE}the", "the", "s", f"{SPACE}é", "é", "日本", f"{SPACE}日", "😀")]
PROBE += [("a", NORMAL), (f"{SPACE}a", NORMAL), ("\ue001", USER_DEFINED), ("0", NORMAL)]


@dataclass(frozen=True, slots=True)
class OwnTable:
    """What a builder returned: base (V,) int64; lead and boundary (V,) bool, or None when it returns none."""

    base: np.ndarray
    lead: np.ndarray | None
    boundary: np.ndarray | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Ids that count something else: how many, the first, what it is and counts, and what it should; a `cause`."""

    count: int
    first: int
    piece: str
    found: int
    expected: int
    cause: str


def probe_model() -> SpmModel:
    """A vocabulary with one piece of every kind."""
    pieces, kinds = zip(*PROBE, strict=True)
    types = np.array(kinds, np.uint8)
    special = {"unk": "<unk>", "bos": "<s>", "eos": "</s>", "pad": "<pad>"}
    return SpmModel(pieces, np.zeros(len(pieces), np.float32), types, "bpe", True, False, special, Normaliser())


def run_builder(builder: Builder, model: SpmModel) -> OwnTable | None:
    """Its tables on `model`, or None when it returns no byte table. Raises AuditError when it cannot be run."""
    pieces = tuple((piece, int(kind)) for piece, kind in zip(model.pieces, model.types, strict=True))
    answer = _answer(builder, pieces, level())
    if "error" in answer:
        raise AuditError(f"{builder.function} does not run by itself ({answer['error']}).")
    try:
        arrays = [(str(one["kind"]), np.array(one["values"], np.float64)) for one in answer["arrays"]]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise AuditError(f"{builder.function} gave no tables.") from error
    if any(array.ndim != 1 for _, array in arrays):
        raise AuditError(f"{builder.function} gave tables that are no columns.")
    size = len(pieces)
    numbers = [np.nan_to_num(a[:size]) for kind, a in arrays if kind in ("i", "u", "f") and len(a) >= size]
    flags = [a[:size].astype(bool) for kind, a in arrays if kind == "b" and len(a) >= size]
    if not numbers:
        return None
    base = np.clip(numbers[0], -(2**40), 2**40).astype(np.int64)
    return OwnTable(base, flags[0] if flags else None, flags[1] if len(flags) > 1 else None)


@lru_cache(maxsize=16)
def _answer(builder: Builder, pieces: tuple[tuple[str, int], ...], held: str) -> dict[str, Any]:
    """What the function answers on these pieces; asked once, though records copy it from one another (`held`: how)."""
    task = {"code": builder.code, "function": builder.function, "roles": list(builder.roles)}
    return run_isolated(task | {"pieces": pieces, "size": len(pieces)})


def compare(own: OwnTable, model: SpmModel, loop_adds: bool) -> tuple[list[Difference], str]:
    """(differences, note): what each id counts behind an ordinary token, against the true table."""
    true = spm_vocabulary(model, "the tokenizer").table
    expected = true.base_bytes + true.has_leading_space
    spaced = own.lead is not None and (loop_adds or np.array_equal(own.base, true.base_bytes))
    found = own.base + (own.lead if spaced and own.lead is not None else 0)
    wrong = np.flatnonzero(found != expected)
    if len(wrong):
        kinds = model.types
        silent = np.isin(kinds[wrong], (CONTROL, UNKNOWN, UNUSED))
        groups = [wrong[silent], wrong[(kinds[wrong] == BYTE)], wrong[~silent & (kinds[wrong] != BYTE)]]
        return [_difference(group, found, expected, model, own, true) for group in groups if len(group)], ""
    if own.boundary is not None and not np.array_equal(own.boundary, true.is_boundary):
        return [], "its boundary tokens differ, which moves one byte at such tokens"
    if own.boundary is None and not spaced:
        return [], "it counts the leading space also behind a boundary, one byte a document more"
    return [], ""


def _difference(
    ids: np.ndarray, found: np.ndarray, expected: np.ndarray, model: SpmModel, own: OwnTable, true: ByteTable
) -> Difference:
    first = int(ids[0])
    off = found[ids] - expected[ids]
    kind = int(model.types[first])
    cause = "another count than the official one"
    if kind in (CONTROL, UNKNOWN, UNUSED):
        cause = "pieces of no text are charged"
    elif kind == BYTE:
        known = {2: "byte tokens sized by U+FFFD, three bytes", 5: "byte tokens sized by the six characters of <0xNN>"}
        cause = next((text for by, text in known.items() if np.median(off) == by), "byte tokens are not one byte")
    elif true.has_leading_space[ids].all() and (off == 1).all():
        cause = "the leading space is counted twice, in the table and in the loop"
    elif true.has_leading_space[ids].all() and (off == 2).all():
        cause = "the leading U+2581 is not stripped: three bytes for a space"
    elif true.has_leading_space[ids].all() and (off == -1).all():
        cause = "the leading space is not counted"
    elif len(set(own.base[model.types == NORMAL].tolist())) == 1:
        cause = f"a constant, {int(own.base[first])} bytes a token"
    elif (off < 0).any() and not (off > 0).any():
        cause = "characters counted instead of UTF-8 bytes"
    return Difference(len(ids), first, model.pieces[first], int(found[first]), int(expected[first]), cause)
