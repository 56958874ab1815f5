"""gigatoken (extra `[fast]`) as a fast engine: for byte-level BPE, and where words do not stand for themselves.

Texts with something that it is known to treat otherwise (fast_odd.py) go to the reference.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .fast_odd import odd
from .tokenizer import SPECIAL_NAMES, Encoded, Tokenizer


def load(data: bytes) -> Any:
    """gigatoken's own object for the bytes of a `.model` or tokenizer.json. Raises whatever it raises."""
    import gigatoken

    if not data.lstrip().startswith(b"{"):
        return gigatoken.Tokenizer.from_sentencepiece(data)
    content = json.loads(data)
    content["added_tokens"] = []
    for name in SPECIAL_NAMES:
        content["model"]["vocab"].pop(name, None)
    return gigatoken.Tokenizer.from_json(json.dumps(content))


class Gigatoken:
    """The vocabulary of `reference`, whose file is `data`. strange: whether a text goes to the reference."""

    name, counts = "gigatoken", False

    def __init__(self, reference: Tokenizer, data: bytes, strange: Callable[[str, bytes], bool] = odd) -> None:
        self.reference, self._odd, self._engine = reference, strange, load(data)

    def encode(self, texts: Sequence[str], raws: Sequence[bytes]) -> Encoded:
        """See Engine. Raises ValueError for an id that does not exist, and whatever gigatoken raises."""
        strange = [index for index, text in enumerate(texts) if self._odd(text, raws[index])]
        known = set(strange)
        parts = [self._engine.encode("" if index in known else text) for index, text in enumerate(texts)]
        if strange:
            other = self.reference.encode_batch([texts[index] for index in strange])
            for number, index in enumerate(strange):
                parts[index] = other.document(number)
        made = Encoded.of(parts, self.reference.size)
        if max((int(part.max(initial=0)) for part in parts), default=0) >= self.reference.size:
            raise ValueError("an id that does not exist")
        return made

    def byte_ends(self, encoded: Encoded, texts: Sequence[str], raws: Sequence[bytes]) -> np.ndarray:
        """Not counted here."""
        return self.reference.byte_ends(encoded, texts)
