"""CaseOps, the public form of case as separate signs: four private-use characters in ordinary text.

The challenge's records call it `lossless_caps_caseops_v1`: U+E001 title, U+E002 caps, U+E003 next as in case_bytes.py,
and U+E004 before each of the four where it stands in the document itself. The text is bit for bit what the public
transform writes. It is made by escaping, folding bytes, and replacing each sign byte by its character; a word ends at
an operator as at any other sign that is no ASCII letter, so the detour changes nothing.

What a token stands for is then no longer a matter of the token alone: U+E001 is no byte of the document, but three
bytes of it behind U+E004. `original_ends` maps every place of the transformed text back.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from . import case_bytes
from .errors import VocabError

TITLE, CAPS, NEXT, ESCAPE = "\ue001", "\ue002", "\ue003", "\ue004"
OPERATORS = (TITLE, CAPS, NEXT, ESCAPE)
_SIGNS = ((case_bytes.TITLE, TITLE), (case_bytes.CAPS, CAPS), (case_bytes.NEXT, NEXT))
_TOGETHER, _BETWEEN = 1 << 17, "\0"  # characters; no letter, so no word reaches from one text into the next
_LITERAL = re.compile(f"([{''.join(OPERATORS)}])")
_ESCAPED = re.compile(f"{ESCAPE}([{''.join(OPERATORS)}]?)")
_OPERATOR_BYTES = re.compile(b"\xee\x80(?:\x84\xee\x80[\x81-\x84]|[\x81-\x84])")


def encode(text: str) -> str:
    """The transformed text. Raises VocabError for a lone surrogate."""
    escaped = _LITERAL.sub(ESCAPE + r"\1", text) if _has_operator(text) else text
    try:
        folded = case_bytes.fold(escaped.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise VocabError(
            f"character {error.start + 1:,} is a lone surrogate, which has no UTF-8. Repair or drop the document."
        ) from None
    for sign, operator in _SIGNS:
        folded = folded.replace(bytes([sign]), operator.encode("utf-8"))
    return folded.decode("utf-8")


def encode_all(texts: Sequence[str]) -> list[str]:
    """Each text transformed; many at the price of few long ones. Raises VocabError for a lone surrogate."""
    made: list[str] = []
    for group in _groups(texts):
        joined = _BETWEEN.join(group)
        if joined.count(_BETWEEN) >= len(group):
            made += map(encode, group)
        else:
            made += encode(joined).split(_BETWEEN)
    return made


def _groups(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts in groups that fill a processor's cache and no more."""
    group: list[str] = []
    size = 0
    for text in texts:
        group.append(text)
        size += len(text)
        if size >= _TOGETHER:
            yield group
            group, size = [], 0
    if group:
        yield group


def decode(transformed: str) -> str:
    """The text behind `transformed`. Raises VocabError for operators that no text leads to."""
    parts = _ESCAPED.split(transformed)  # text, literal, text, literal, ..., text
    if "" in parts[1::2]:
        raise VocabError("a CaseOps escape (U+E004) stands before no operator; wanted U+E001 to U+E004 after it.")
    for index in range(0, len(parts), 2):
        folded = parts[index].encode("utf-8", errors="surrogatepass")
        for sign, operator in _SIGNS:
            folded = folded.replace(operator.encode("utf-8"), bytes([sign]))
        parts[index] = case_bytes.raise_capitals(folded).decode("utf-8", errors="surrogatepass")
    return "".join(parts)


def original_ends(transformed: str) -> np.ndarray:
    """(n + 1,) int64: original UTF-8 bytes behind each prefix of the n bytes of `transformed`. Operators have none."""
    data = transformed.encode("utf-8")
    counts = np.ones(len(data) + 1, np.int64)
    counts[0] = 0
    if ESCAPE in transformed:
        starts = [
            found.start() for found in _OPERATOR_BYTES.finditer(data)
        ]  # an escaped literal counts, its escape not
        at = np.array(starts, np.int64)
    else:
        values = np.frombuffer(data, np.uint8)
        lead = np.flatnonzero(values[:-2] == 0xEE) if len(values) > 2 else np.empty(0, np.int64)
        at = lead[(values[lead + 1] == 0x80) & ((values[lead + 2] - np.uint8(0x81)) < 3)]
    for step in (1, 2, 3):
        counts[at + step] = 0
    return np.cumsum(counts)


def _has_operator(text: str) -> bool:
    return any(operator in text for operator in OPERATORS)
