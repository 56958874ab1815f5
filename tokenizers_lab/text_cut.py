"""Where a text may be cut so that its parts have the tokens of the whole.

The GPT-2 split begins a new word at a single space between two words, whatever stands around it. Long documents are cut
there to keep memory flat.
"""

import re
from collections.abc import Iterator

LONGEST = 1 << 16  # characters handed over at once; Hugging Face needs some 100 bytes of memory for each
CUT = re.compile(r"(?<=\w) (?=\w)")


def cut(text: str, longest: int = LONGEST, where: re.Pattern[str] = CUT) -> Iterator[str]:
    """`text` in parts of `longest` characters and on to the next place; a stretch without one stays whole."""
    start = 0
    while len(text) - start > longest and (place := where.search(text, start + longest)):
        yield text[start : place.start()]
        start = place.start()
    yield text[start:]
