"""WordPiece over bytes without residues: a tenth too many tokens are learnt, and the rarest of them dropped.

Byte-level BPE leaves tokens that were only steps to longer ones. Where the longest token is always taken, no token
needs another, so any but the 256 bytes may go: the ones that the training text itself uses least, as it is cut with
all of them. The file is a `wordpiece` file, lossless as every one of them.
"""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from . import train_bpe, train_wordpiece
from .tokenizer import LARGEST, SMALLEST, SPECIAL_NAMES, Tokenizer, check_size
from .train_wordpiece import open_tokenizer, to_file

__all__ = ["OPTIONS", "open_tokenizer", "train"]

MORE = 10  # percent of learnt tokens that are too many
AT_ONCE = 64  # texts encoded in one call
OPTIONS: dict[str, Any] = {**train_wordpiece.OPTIONS, "tokens": f"of bpe, {MORE}% more, the least used dropped"}


def train(texts: Iterable[str], size: int) -> bytes:
    """A tokenizer.json of `size` ids, 260 at least. Raises VocabError when the text has fewer pairs to merge."""
    more, whole = too_many(size), list(texts)
    learnt = train_bpe.train(whole, more)
    tokens = list(json.loads(learnt)["model"]["vocab"])[len(SPECIAL_NAMES) :]
    return to_file(kept(tokens, open_tokenizer(to_file(tokens), "the tokens before pruning"), whole, size))


def too_many(size: int) -> int:
    """The ids to learn for `size` of them to be kept. Raises VocabError for a size that cannot be."""
    check_size(size)
    return min(size + (size - SMALLEST) * MORE // 100, LARGEST)


def kept(tokens: list[str], tokenizer: Tokenizer, whole: list[str], size: int) -> list[str]:
    """The 256 bytes and the tokens that `tokenizer`, which has them all, uses most in the texts `whole`, in order."""
    first = len(SPECIAL_NAMES)
    used = np.zeros(tokenizer.size, np.int64)
    for at in range(0, len(whole), AT_ONCE):
        used += np.bincount(tokenizer.encode_batch(whole[at : at + AT_ONCE]).ids, minlength=tokenizer.size)
    ranked = sorted(range(256, len(tokens)), key=lambda index: (-used[first + index], index))
    return [*tokens[:256], *(tokens[index] for index in sorted(ranked[: size - first - 256]))]
