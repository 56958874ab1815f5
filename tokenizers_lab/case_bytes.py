"""Case as separate signs, on bytes: "The NASA iPhone" becomes "<title>the <caps>nasa i<next>phone".

A word (a longest run of ASCII letters) then looks the same wherever it stands in a sentence, and a vocabulary needs it
once. Three signs say what the letters lost: title (the first letter of the word is a capital), caps (all of them, two
at least), next (the following letter is one). They are written here as the bytes 0xFF, 0xFE and 0xFD, which occur in no
UTF-8: nothing has to be escaped, no text can forge them, and a sign is a token of zero original bytes, so a plain byte
table stays exact. The public form, with characters in the place of bytes, is made from this one in caseops.py.

All of it is numpy on whole documents; nothing walks over letters in Python.
"""

import numpy as np

from .errors import VocabError

TITLE, CAPS, NEXT = 0xFF, 0xFE, 0xFD
FIRST_SIGN = NEXT  # UTF-8 has no byte from here on
SPACE = 0x20


def _is_upper(data: np.ndarray) -> np.ndarray:
    """(n,) bool for uint8 data: A to Z."""
    return (data - np.uint8(65)) < 26


def _is_letter(data: np.ndarray) -> np.ndarray:
    """(n,) bool for uint8 data: A to Z, a to z."""
    return ((data | np.uint8(32)) - np.uint8(97)) < 26


def fold(text: bytes) -> bytes:
    """UTF-8 with capitals to UTF-8 with signs. Any bytes below 0xFD may come in.

    Raises VocabError for a byte 0xFD, 0xFE or 0xFF, which no UTF-8 has.
    """
    data = np.frombuffer(text, np.uint8)
    capitals = np.flatnonzero(_is_upper(data))
    if text and int(data.max()) >= FIRST_SIGN:
        at = int((data >= FIRST_SIGN).argmax())
        raise VocabError(f"byte {at + 1:,} is 0x{text[at]:02X}, which is a case sign and no UTF-8. Fold only text.")
    if not len(capitals):
        return text
    letter = np.empty(len(data) + 2, bool)  # with a non-letter at either end
    letter[0] = letter[-1] = False
    letter[1:-1] = _is_letter(data)
    begins = ~letter[capitals]  # the sign before is no letter
    # Capitals that follow each other without a gap form runs; a word is all capitals when one run is all of it.
    opens = np.empty(len(capitals), bool)
    opens[0] = True
    opens[1:] = np.diff(capitals) > 1
    first = np.flatnonzero(opens)
    last = np.append(first[1:], len(capitals)) - 1
    whole = begins[first] & ~letter[capitals[last] + 2] & (last > first)  # (runs,)
    signs = np.where(begins, np.uint8(TITLE), np.uint8(NEXT))
    signs[first[whole]] = CAPS
    silent = np.repeat(whole, last - first + 1)
    silent[first] = False  # within a word of capitals only the first has a sign
    places, signs = capitals[~silent], signs[~silent]
    folded = data.copy()
    folded[capitals] |= np.uint8(32)
    out = np.empty(len(data) + len(places), np.uint8)
    at = places + np.arange(len(places))
    kept = np.ones(len(out), bool)
    kept[at] = False
    out[at], out[kept] = signs, folded
    return out.tobytes()


def raise_capitals(folded: bytes) -> bytes:
    """The text behind `folded`. Raises VocabError for a sign that no text leads to.

    That is a sign before anything but a small letter. What `fold` would have written otherwise but means only one thing
    (a capital without a sign, title within a word) is let pass: a normaliser that ran after the transform joins words,
    and a model that generates text does not know our habits.
    """
    data = np.frombuffer(folded, np.uint8)
    sign = data >= FIRST_SIGN
    places = np.flatnonzero(sign)
    if not len(places):
        return folded
    _refuse(data, places)
    raised = np.zeros(len(data), bool)
    raised[places + 1] = True
    caps = places[data[places] == CAPS]
    if len(caps):
        gaps = np.append(np.flatnonzero(~_is_letter(data) & ~sign), len(data))
        ends = gaps[np.searchsorted(gaps, caps, "right")]
        steps = np.zeros(len(data) + 1, np.int8)
        steps[caps + 1] += 1
        np.subtract.at(steps, ends, 1)
        raised |= np.cumsum(steps[:-1], dtype=np.int8).astype(bool)
    out = data.copy()
    out[raised] &= np.uint8(0xDF)
    return out[~sign].tobytes()


def _refuse(data: np.ndarray, places: np.ndarray) -> None:
    after = np.append(data, np.uint8(0))[places + 1]
    wrong = (after - np.uint8(97)) >= 26
    if wrong.any():
        at = int(places[int(wrong.argmax())])
        around = data[max(at - 8, 0) : at + 8].tobytes()
        raise VocabError(
            f"byte {at + 1:,}: the case sign 0x{int(data[at]):02X} stands at no place for one ({around!r})."
        )


def signs_first(folded: bytes) -> bytes:
    """Title and caps moved before a space that stands before them: " <title>the" becomes "<title> the".

    The word keeps its space and looks as it does in small letters. `spaces_first` is the inverse.
    """
    data = np.frombuffer(folded, np.uint8).copy()
    places = np.flatnonzero(data > NEXT)
    places = places[(places > 0) & (np.append(data, np.uint8(0))[places - 1] == SPACE)]
    data[places - 1], data[places] = data[places], SPACE
    return data.tobytes()


def spaces_first(moved: bytes) -> bytes:
    """The inverse of `signs_first`."""
    data = np.frombuffer(moved, np.uint8).copy()
    places = np.flatnonzero(data > NEXT)
    places = places[np.append(data, np.uint8(0))[places + 1] == SPACE]
    data[places + 1], data[places] = data[places], SPACE
    return data.tobytes()


def original_ends(folded: bytes) -> np.ndarray:
    """(n + 1,) int64: original bytes behind each prefix of `folded`; signs stand for none."""
    ends = np.zeros(len(folded) + 1, np.int64)
    np.cumsum(np.frombuffer(folded, np.uint8) < FIRST_SIGN, out=ends[1:])
    return ends
