"""The kind bpe_split_case: byte-level BPE over folded case, with a split of your own.

The split is found in the document, before it is folded, and kept: no merge reaches across. A case sign goes with the
letter it speaks of, and stands before the space of its word where that space begins the same word. The words are handed
over with a blank between them, which the GPT-2 alphabet does not have. Vocabularies are nested.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tokenizers
from tokenizers import pre_tokenizers

from . import case_level, train_bpe_split
from .byte_level import Form
from .case_bytes import NEXT, fold, original_ends
from .case_bytes import SPACE as BLANK
from .case_tokenizer import CHARACTERS, CaseTokenizer, Folded, unwrapped, wrapped
from .text_cut import CUT
from .tokenizer import SMALLEST, check_size

KIND = "bpe_split_case"
BLANKS: dict[str, Any] = {"type": "Split", "pattern": {"String": " "}, "behavior": "Removed", "invert": False}


def options(split: str = "digits") -> dict[str, Any]:
    """What a spec says of it; split: as for bpe_split. Raises VocabError for one that cannot be read."""
    return {**train_bpe_split.options(split), "signs": case_level.OPTIONS["signs"]}


def speller(pattern: str) -> Callable[[str], str]:
    """What spells a text in the GPT-2 alphabet, folded, with a blank between the words of `pattern`."""
    split = pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")

    def spell(text: str) -> str:
        raw = text.encode("utf-8")
        data = np.frombuffer(folded := fold(raw), np.uint8).copy()
        firsts = np.array([first for _, (first, _) in split.pre_tokenize_str(text)], np.int64)
        if not text.isascii():  # characters to bytes
            starts = np.flatnonzero((np.frombuffer(raw, np.uint8) & 0xC0) != 0x80)
            firsts = starts[firsts]
        bound = np.zeros(len(data) + 1, bool)
        bound[np.searchsorted(original_ends(folded), firsts)] = True  # before the sign of a letter
        signs = np.flatnonzero(data > NEXT)
        moved = signs[(signs > 0) & ~bound[signs]]
        moved = moved[data[moved - 1] == BLANK]
        data[moved - 1], data[moved] = data[moved], BLANK
        signs = np.flatnonzero(data > NEXT)
        bound[signs] = bound[signs + 1] = True
        parted = np.insert(CHARACTERS[data], np.flatnonzero(bound[1:-1]) + 1, BLANK)
        return parted.astype("<u4").tobytes().decode("utf-32-le")

    return spell


def train(texts: Iterable[str], size: int, split: str = "digits") -> bytes:
    """The file of a vocabulary of `size` ids, 260 at least. Raises VocabError when the text has too few pairs."""
    pattern = options(split)["split"]
    return _to_file(pattern, case_level.learn(map(speller(pattern), texts), size, BLANKS))


def cut(data: bytes, size: int) -> bytes:
    """The file that `train` makes of the same text at a smaller `size`. Raises VocabError for less than the bytes."""
    check_size(size)
    content = json.loads(data)
    return _to_file(content["split"], content["tokenizer"]["model"]["merges"][: size - SMALLEST])


def _to_file(pattern: str, merges: list[list[str]]) -> bytes:
    return wrapped(KIND, case_level.inner_content(merges, BLANKS), split=pattern)


def _again(model: dict[str, Any]) -> dict[str, Any]:
    return case_level.inner_content(model["merges"], BLANKS)


def open_tokenizer(data: bytes, where: str) -> CaseTokenizer:
    """The tokenizer in a file of `train`. Raises VocabError for any other file."""
    told, inner = unwrapped(KIND, data, where, "split")
    pattern = options(told["split"])["split"]
    place = CUT if pattern in train_bpe_split.CUTTABLE else train_bpe_split.NEVER
    return CaseTokenizer(Folded(inner, where, Form(KIND, _again)), speller(pattern), place)
