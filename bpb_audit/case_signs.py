"""Case signs that are bytes no UTF-8 has, read backwards: signs out, capitals in.

    0xFF title   the next letter is a capital                0xFF "the"       -> "The"
    0xFE caps    the ASCII letters that follow are capitals  0xFE "nasa"      -> "NASA"
    0xFD next    the next letter is a capital                "i" 0xFD "phone" -> "iPhone"

Title and caps stand before the space of their word: 0xFF " the" is " The". A sign stands for no byte of the document.
The lab's `pglab-case-level-1` and `-2` vocabularies spell their text so (case_level.py reads them). Written
from that description; the code that makes such text lives elsewhere, and nothing of it is used here.
"""

import re

import numpy as np

FIRST_SIGN = 0xFD

_BEFORE_SPACE = re.compile(rb"([\xfe\xff]) ")
_SIGN = re.compile(rb"\xfe([a-z]+)|[\xfd\xff]([a-z])")
_STRAY = re.compile(rb"[\xfd-\xff]")


def restore_signs(text: bytes) -> bytes | None:
    """The document behind text with signs; None when a sign is left with no small letter to work on."""
    if not _STRAY.search(text):
        return text
    moved = _BEFORE_SPACE.sub(rb" \1", text)
    restored = _SIGN.sub(lambda match: (match[1] or match[2]).upper(), moved)
    return None if _STRAY.search(restored) else restored


def count_signs(flat: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(V,) int64: how many sign bytes each token has. flat: (bytes,) uint8. ends: (V + 1,) int64."""
    so_far = np.append(0, np.cumsum(flat >= FIRST_SIGN, dtype=np.int64))  # (bytes + 1,)
    return np.diff(so_far[ends])
