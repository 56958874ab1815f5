"""What a document's tokens cannot say, as edits of what they do say.

The decoded text is words with one space between any two. A document differs from it in its gaps (a newline, two spaces,
a no-break space where there is a space now) and, rarely, in a word (an ellipsis where there are three dots now). So a
document is told as: for each word, the gap before it and whether it stands; where it does not, how many decoded words
fall, how much of them stays in front and behind, and the bytes between; at last what follows the last word.

    gap 0, word 0, gap 1, word 1, ..., tail

Any two texts can be told so, at worst as one edit of everything.
"""

import re
from dataclasses import dataclass

# white space as nmt_nfkc sees it, in UTF-8: what it turns into a space
_GAP = re.compile(
    rb"(?:[\t-\r ]|\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2\x80[\x80-\x8b\xa8\xa9\xaf]|\xe2\x81\x9f|\xe3\x80\x80|\xef\xbb\xbf)+"
)
REACH = 40  # words looked ahead for where two texts meet again


@dataclass(frozen=True, slots=True)
class Script:
    """gaps: (w + 1,) strings, what stands before each decoded word, and the tail after the last. edits: word number ->
    (how many decoded words fall, the text that comes instead); the gaps between those words do not count."""

    gaps: list[bytes]
    edits: dict[int, tuple[int, bytes]]


def script_of(decoded: bytes, raw: bytes) -> Script:
    """How `raw` is told, given `decoded`."""
    words = decoded.split(b" ")
    theirs: list[bytes] = []
    spaces: list[bytes] = []
    at = 0
    for found in _GAP.finditer(raw):
        if found.start() == 0:
            spaces.append(found[0])
        else:
            if not spaces:
                spaces.append(b"")
            theirs.append(raw[at : found.start()])
            spaces.append(found[0])
        at = found.end()
    if not spaces:
        spaces.append(b"")
    if at < len(raw) or not theirs:
        theirs.append(raw[at:])
        spaces.append(b"")
    return _align(words, theirs, spaces)


def _align(words: list[bytes], theirs: list[bytes], spaces: list[bytes]) -> Script:
    """words (w,), theirs (t,), spaces (t + 1,): what stands before each of theirs, and after the last."""
    gaps: list[bytes] = []
    edits: dict[int, tuple[int, bytes]] = {}
    i = j = 0
    while i < len(words):
        if j < len(theirs) and words[i] == theirs[j]:
            gaps.append(spaces[j])
            i, j = i + 1, j + 1
            continue
        a, b = _meet(words, theirs, i, j)
        new = b"".join(theirs[k] + (spaces[k + 1] if k + 1 < j + b else b"") for k in range(j, j + b))
        gaps += [spaces[j] if b else b"", *[b" "] * (a - 1)]  # with no word of theirs, the gap goes to the next one
        edits[i] = (a, new)
        i, j = i + a, j + b
    tail = b"".join(spaces[k] + theirs[k] for k in range(j, len(theirs)))
    return Script([*gaps, tail + spaces[-1]], edits)


def _meet(words: list[bytes], theirs: list[bytes], i: int, j: int) -> tuple[int, int]:
    """How many words of each side to give up, at least one decoded word, until two in a row are the same again."""
    for total in range(1, REACH):
        for a in range(1, total + 1):
            b = total - a
            if i + a == len(words) and j + b == len(theirs):
                return a, b
            if words[i + a : i + a + 2] == theirs[j + b : j + b + 2] and i + a < len(words) and j + b < len(theirs):
                return a, b
    return len(words) - i, len(theirs) - j


def cuts(old: bytes, new: bytes) -> dict[int, tuple[int, bytes]]:
    """Offset in `old` -> (bytes that fall there, bytes that come instead), so that `old` becomes `new`."""
    made: dict[int, tuple[int, bytes]] = {}
    p = q = 0
    while p < len(old) or q < len(new):
        if p < len(old) and q < len(new) and old[p] == new[q]:
            p, q = p + 1, q + 1
            continue
        a, b = _meet_again(old, new, p, q)
        made[p] = (a, new[q : q + b])
        p, q = p + a, q + b
    return made


def _meet_again(old: bytes, new: bytes, p: int, q: int) -> tuple[int, int]:
    """How many bytes of each to give up until three in a row are the same again, or both have ended."""
    for total in range(1, REACH):
        for a in range(total + 1):
            b = total - a
            if p + a > len(old) or q + b > len(new):
                continue
            left, right = old[p + a : p + a + 3], new[q + b : q + b + 3]
            if left == right and (left or (p + a == len(old) and q + b == len(new))):
                return a, b
    return len(old) - p, len(new) - q
