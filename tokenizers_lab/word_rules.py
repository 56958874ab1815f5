"""What the word table has to know of a vocabulary: where its words end, and how it spells one.

`rules_of` answers None where a word's tokens may depend on its neighbours. A SentencePiece BPE model divides at a space
when no piece holds one behind another character; its normaliser must be none at all, or one of sentencepiece's own
`nmt_nfkc` tables, in which nothing that is replaced reaches across a space, and extra spaces go (left in, they would
join those that other characters become; without a table, a U+2581 at the end would go with them). Unused pieces, which
merge and are taken apart again, are left to the reference. (A unigram model divides there too, but adds its scores up
from the beginning of the document in 32 bits, so near ties fall as the place is.) The GPT-2 split begins a word
wherever white space follows something else.

A character stands for itself, or for what the model's own normaliser makes of it alone, where nothing around it can
change that: no marks, no jamo. Its kind for the split is taken where Unicode 3.2 and today's agree. Whatever else a
word holds, the reference spells it.
"""

import hashlib
import unicodedata
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from .byte_level import ByteLevelTokenizer
from .byte_level_file import byte_alphabet
from .caseops import CAPS, NEXT, OPERATORS, TITLE
from .spm_engine import SPACE, SentencePieceTokenizer
from .tokenizer import Tokenizer
from .transformed import CaseOpsTokenizer

ODD = -2
OTHER, LETTER, NUMBER, WHITE = range(4)
POINTS = 0x10000  # characters beyond are left to the reference
LARGEST = (1 << 20) - POINTS  # ids; they and the characters are 20 bits together in the table of pairs
NMT_NFKC = ("1e2c7b43d3ee9755", "51d3684747b35ef9", "79372c41389c2b9b")  # sha256 of the tables that were looked through
LOOKED_AT = (
    range(0x21, 0x7F),
    range(0xA1, 0x1100),
    range(0x1200, 0x3100),
    range(0xFB00, 0xFB07),
    range(0xFF01, 0xFF5F),
)
BETWEEN = "\u9fa5"  # no character is replaced by it
SAME = (range(0x3105, 0x3130), range(0x4E00, 0x9FA6), range(0xAC00, 0xD7A4))  # letters that nothing replaces
UNICODE_WHITE = [
    *range(0x09, 0x0E),
    0x20,
    0x85,
    0xA0,
    0x1680,
    *range(0x2000, 0x200B),
    0x2028,
    0x2029,
    0x202F,
    0x205F,
    0x3000,
]


@dataclass(slots=True)
class Rules:
    """See word_loops.find and word_spell.spell for the fields.

    spells: whether words are spelt here at all; without it the reference spells each new one. around: what is put
    before and behind a word that the reference spells, so that it is not taken for the begin or end of a document; the
    tokens of it are dropped. pairs: (3, m) left, right, and what they merge to; ranks: (size,), by which the lowest
    comes first.
    """

    size: int
    white: bytes
    runs: bool
    led: bool = False
    spells: bool = True
    around: str = ""
    by_bytes: bool = False
    signs: tuple[int, int, int] = (-1, -1, -1)
    symbols: np.ndarray = field(default_factory=lambda: np.full(POINTS, ODD, np.int32))
    kinds: np.ndarray = field(default_factory=lambda: np.zeros(POINTS, np.uint8))
    means: np.ndarray = field(default_factory=lambda: np.zeros((POINTS, 3), np.int32))
    byte_ids: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int32))
    pairs: np.ndarray = field(default_factory=lambda: np.zeros((3, 0), np.int64))
    ranks: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.ranks = np.zeros(self.size, np.int32)


def rules_of(tokenizer: Tokenizer) -> Rules | None:
    """The rules of a vocabulary; None where its words do not stand for themselves."""
    if isinstance(tokenizer, ByteLevelTokenizer):
        return _byte_level(tokenizer)
    if isinstance(tokenizer, CaseOpsTokenizer):
        return _sentencepiece(tokenizer.inner, OPERATORS)
    return _sentencepiece(tokenizer, ()) if isinstance(tokenizer, SentencePieceTokenizer) else None


def _byte_level(tokenizer: ByteLevelTokenizer) -> Rules | None:
    if not tokenizer.gpt2:
        return None
    rules = Rules(tokenizer.size, b"\t\n\v\f\r ", runs=True, by_bytes=True, spells=tokenizer.merges is not None)
    if tokenizer.merges is None:
        return rules
    names = tokenizer.names
    rules.byte_ids[:] = [names[c] for c in byte_alphabet()]
    merges = [(names[a], names[b], names[a + b]) for a, b in tokenizer.merges]
    if merges:
        rules.pairs = np.ascontiguousarray(np.array(merges, np.int64).T)
        rules.ranks[rules.pairs[2]] = np.arange(len(merges))
    _kinds(rules.kinds, rules.symbols)
    return rules


def _kinds(kinds: np.ndarray, known: np.ndarray) -> None:
    """Fill in what the split takes a character for, and 0 in `known` where that is certain."""
    of = {"L": LETTER, "N": NUMBER}
    now, then = unicodedata.category, unicodedata.ucd_3_2_0.category
    for point in chain(range(0x1C), range(0x20, 0x3100), range(0xFF01, 0xFF5F)):
        sort = now(chr(point))
        if sort != "Cn" and sort[0] == then(chr(point))[0]:
            kinds[point], known[point] = of.get(sort[0], OTHER), 0
    for letters in SAME:
        kinds[letters], known[letters] = LETTER, 0
    kinds[UNICODE_WHITE], known[UNICODE_WHITE] = WHITE, 0


def _sentencepiece(tokenizer: SentencePieceTokenizer, operators: tuple[str, ...]) -> Rules | None:
    said = tokenizer.normaliser
    table = said.table
    folds = said.removes_spaces
    if not tokenizer.divides or not said.byte_fallback or not said.escapes_spaces or (said.dummy_prefix and not folds):
        return None
    if (
        bool(table) != folds
        or tokenizer.unused
        or tokenizer.size > LARGEST
        or not np.isfinite(tokenizer.scores()).all()
    ):
        return None
    if table and hashlib.sha256(table).hexdigest()[:16] not in NMT_NFKC:
        return None
    pieces = tokenizer.pieces
    ids = {piece: index for index, piece in enumerate(pieces)}
    if -1 in said.user_defined or {pieces[index] for index in said.user_defined} != set(operators):
        return None
    if any(operator in piece and piece != operator for operator in operators for piece in ids):
        return None
    white = b" \t\n\r" if folds else b" "
    rules = Rules(tokenizer.size, white, runs=not folds, led=said.dummy_prefix)
    if operators:
        rules.signs = (ids[TITLE], ids[CAPS], ids[NEXT])
    own = {piece: index for piece, index in ids.items() if tokenizer.ordinary[index] and piece not in operators}
    _characters(rules, tokenizer, own, bool(table))
    rules.symbols[0x20] = own[SPACE]
    rules.around = "a" if folds else ""
    rules.byte_ids[:] = tokenizer.byte_pieces()
    rules.pairs = _piece_pairs(own, tokenizer.size)
    rules.ranks[:] = np.unique(-np.array(tokenizer.scores()), return_inverse=True)[1]
    return rules


def _characters(rules: Rules, tokenizer: SentencePieceTokenizer, own: dict[str, int], replaces: bool) -> None:
    """Fill in the symbol of each character, and what it is replaced by."""
    points = [p for p in chain(*LOOKED_AT) if p != ord(SPACE) and unicodedata.category(chr(p))[0] in "LNPS"]
    made = [chr(point) for point in points]
    if replaces:
        made = tokenizer.normalised(BETWEEN.join(made)).split(BETWEEN)
    if len(made) != len(points):
        return
    for letters in SAME:
        text = "".join(map(chr, letters))
        if not replaces or tokenizer.normalised(text) == text:
            rules.symbols[letters] = np.arange(letters.start, letters.stop) + rules.size
    same = [point for point, text in zip(points, made, strict=True) if text == chr(point)]
    rules.symbols[same] = np.array(same) + rules.size
    if not replaces:
        rules.symbols[[0x09, 0x0A, 0x0D]] = np.array([0x09, 0x0A, 0x0D]) + rules.size
    for piece, token_id in own.items():
        if len(piece) == 1 and ord(piece) < POINTS and rules.symbols[ord(piece)] != ODD:
            rules.symbols[ord(piece)] = token_id
    for point, text in zip(points, made, strict=True):
        if text != chr(point) and 0 < len(text) < 4 and all(0 <= _symbol(rules, c) < rules.size for c in text):
            rules.symbols[point] = 0
            rules.means[point, : len(text)] = [ord(c) for c in text]


def _symbol(rules: Rules, c: str) -> int:
    point = ord(c)
    known = point < POINTS and point != 0x20 and not rules.means[point, 0]
    return int(rules.symbols[point]) if known else ODD


def _piece_pairs(own: dict[str, int], size: int) -> np.ndarray:
    """(3, m) int64: whatever two symbols make a piece."""
    found: list[tuple[int, int, int]] = []
    for piece, token_id in own.items():
        for at in range(1, len(piece)):
            left, right = own.get(piece[:at]), own.get(piece[at:])
            if left is None and at == 1 and ord(piece[0]) < POINTS:
                left = size + ord(piece[0])  # a character without a piece of its own
            if right is None and at == len(piece) - 1 and ord(piece[-1]) < POINTS:
                right = size + ord(piece[-1])
            if left is not None and right is not None:
                found.append((left, right, token_id))
    return np.ascontiguousarray(np.array(found, np.int64).reshape(-1, 3).T)
