"""Does the text survive? The three levels at which decoded tokens can agree with a document, and what is lost first.

- exact: byte for byte.
- loose: equal once white space and the invisible characters that SentencePiece's nmt rules drop are taken out, in one
  Unicode compatibility form (NFKC decides the same question), and with the same word boundaries. White space may shrink
  or change its kind, but neither vanish nor move: words that run together are lost text, and words cut elsewhere are
  another text. The challenge's own tokenizers are at this level.
- lossy: anything else: case folded, accents stripped, unknown characters or spaces dropped. Byte sums can agree all the
  same ("ABC" and "abc" have three bytes each), so the texts themselves are compared, never their lengths.

A document that runs past the end of the shards (or began before them) is `cut`, not lossy.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate

# What the nmt rules turn into a space or drop, beyond what str.split() knows as white space. Source: the
# "nmt" rules in google/sentencepiece, builder.cc.
_DROPPED = re.compile("[\x00-\x1f\x7f-\x9f\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd\\s]+")

_SPACES = re.compile("[\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]+")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]+")
_C1 = re.compile("[\x80-\x84\x86-\x9f]+")
GAPS = 0.01  # share of word boundaries that may come or go where odd characters stand, beyond two in any document


class Level(IntEnum):
    """How well one document survived; lower is better."""

    EXACT = 0
    LOOSE = 1
    CUT = 2
    LOSSY = 3


@dataclass(frozen=True, slots=True)
class Loss:
    """The first loss in a document: character offset in the original, what stood there, what was decoded, the kind."""

    offset: int
    original: str
    decoded: str
    kind: str


def loose(text: str) -> str:
    """`text` without white space or the characters that nmt rules drop, in compatibility form.

    NFKD and not NFKC: a spacing accent is a space and a mark, and the mark must not grow onto the letter before it.
    """
    joined = "".join(text.split())
    if joined.isascii():
        return _DROPPED.sub("", joined) if not joined.isprintable() else joined
    bare = _DROPPED.sub("", unicodedata.normalize("NFKD", joined))
    return unicodedata.normalize("NFKD", bare)  # once more: marks on both sides of a dropped character have met


def normal_size(text: str) -> int:
    """UTF-8 bytes of `text` as the challenge's normaliser leaves it: NFKC, one space for a run of white space, none at
    the ends. Computed here from its description, to tell what normalising may add from what nothing explains."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _CONTROLS.sub("", _SPACES.sub(" ", text)))
    return len(" ".join(text.split()).encode("utf-8"))


def boundaries(text: str) -> set[int]:
    """Where words end, as nmt rules see words: offsets into the text without white space, the last end included."""
    if not (text.isascii() and text.isprintable()):
        text = _SPACES.sub(" ", unicodedata.normalize("NFKD", _CONTROLS.sub("", text)))
        text = _C1.sub("", text)
    return set(accumulate(map(len, text.split())))


def as_text(decoded: bytes) -> str:
    """Decoded bytes as text; bytes that are not UTF-8 become lone surrogates, which equal nothing in a document."""
    return decoded.decode("utf-8", "surrogateescape")


def compare(raw: str, decoded: str, *, head_cut: bool = False, tail_cut: bool = False) -> Level:
    """The level of one document. `head_cut`/`tail_cut`: the stream may have begun or ended in the middle of it."""
    if raw == decoded:
        return Level.EXACT
    if " ".join(raw.split()) == decoded:  # most documents under the challenge's normaliser: no need to look closer
        return Level.LOOSE
    if unicodedata.normalize("NFKD", raw).split() == unicodedata.normalize("NFKD", decoded).split():
        return Level.LOOSE  # the same words in the same form: nearly all others
    left, right = loose(raw), loose(decoded)
    if left == right:
        ends = boundaries(raw)
        return Level.LOOSE if len(ends ^ boundaries(decoded)) <= 2 + GAPS * len(ends) else Level.LOSSY
    if (tail_cut and left.startswith(right)) or (head_cut and left.endswith(right)):
        return Level.CUT
    return Level.LOSSY


def first_loss(raw: str, decoded: str) -> Loss:
    """Where two texts that differ beyond the loose level part first, and by what kind of change.

    The offset counts characters of `raw`; `original` and `decoded` are up to 12 characters from there.
    """
    left, right = loose(raw), loose(decoded)
    if left == right:
        return _lost_space(raw, decoded)
    at = _common(left, right)
    offset = _raw_offset(raw, at)
    kind = "other text"
    if left.casefold() == right.casefold():
        kind = "case folded"
    elif _bare(left) == _bare(right):
        kind = "accents stripped"
    elif _bare(left).casefold() == _bare(right).casefold():
        kind = "case folded and accents stripped"
    elif len(right) < len(left) and _is_subsequence(right, left):
        kind = "characters dropped"
    elif at > len(left) // 2:
        kind = "changed from here on"
    return Loss(offset, raw[offset : offset + 12], right[at : at + 12], kind)


def _lost_space(raw: str, decoded: str) -> Loss:
    """The first word of both texts whose end is not the end of a word in the other: joined, split, or cut elsewhere."""
    left, right = boundaries(raw), boundaries(decoded)
    gone, new = left - right, right - left
    first = min(gone | new, default=0)
    start = max((end for end in left & right if end < first), default=0)
    kind = "white space moved" if gone and new else "white space dropped" if gone else "white space added"
    offset, there = _raw_offset(raw, start), _raw_offset(decoded, start)
    return Loss(offset, raw[offset : offset + 12], decoded[there : there + 12], kind)


def same_document(raw: str, decoded: str) -> bool:
    """Whether two texts that differ are one document, damaged, or two documents.

    Letters only, case and accents aside: they share two in five of their runs of five characters, in the first 4,000
    (unrelated English pages share about one in ten), or one is the other with characters left out.
    """
    left, right = (_bare(loose(text[:4000])).casefold() for text in (raw, decoded))
    grams = [{text[i : i + 5] for i in range(max(len(text) - 4, 1))} for text in (left, right)]
    return len(grams[0] & grams[1]) >= 0.4 * max(map(len, grams)) or _is_subsequence(right[:500], left)


def _common(left: str, right: str) -> int:
    """Length of the common prefix, by halving."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _raw_offset(raw: str, loose_length: int) -> int:
    """The offset in `raw` whose loose prefix is `loose_length` characters long, by halving (prefixes grow together)."""
    low, high = 0, len(raw)
    while low < high:
        middle = (low + high) // 2
        if len(loose(raw[: middle + 1])) > loose_length:
            high = middle
        else:
            low = middle + 1
    return low


def _bare(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def _is_subsequence(short: str, long: str) -> bool:
    rest = iter(long)
    return all(character in rest for character in short)
