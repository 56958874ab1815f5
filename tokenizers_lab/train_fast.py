"""Byte-level BPE training by gigatoken, where it is installed and agrees with the reference.

gigatoken counts and merges an order of magnitude faster than Hugging Face and, asked for its tie-breaking, learns the
same merges in the same order. That is not taken on trust: each time, both train on a sample of the very text, and a
single different merge sends the whole training to the reference, with a word about it.
"""

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator

from .byte_level_file import byte_alphabet

Merges = list[tuple[str, str]]
SAMPLE_BYTES, SAMPLE_MERGES = 1_000_000, 500
LARGEST = 4 << 30  # bytes of text held in memory at once
SEPARATOR = b"\xff"  # never a byte of UTF-8


def fast_merges(texts: list[str], merges: int, reference: Callable[[list[str], int], Merges]) -> Merges | None:
    """The first `merges` merges of `texts`, in GPT-2 characters; None when the reference has to learn them.

    reference(texts, merges) is asked for a sample.
    """
    if importlib.util.find_spec("gigatoken") is None or sum(map(len, texts)) > LARGEST:
        return None
    sample: list[str] = []
    size = 0
    for text in texts:
        sample.append(text[: SAMPLE_BYTES - size])
        size += len(sample[-1])
        if size >= SAMPLE_BYTES:
            break
    wanted = min(merges, SAMPLE_MERGES)
    expected = reference(sample, wanted)
    if len(expected) < wanted:  # too little text: the reference says so
        return None
    if _gigatoken(sample, wanted) != expected:
        print("note: gigatoken learnt other merges than the reference on a sample, so it is not used.", file=sys.stderr)
        return None
    return _gigatoken(texts, merges)


def _gigatoken(texts: list[str], merges: int) -> Merges:
    import gigatoken

    data = SEPARATOR.join(text.encode("utf-8") for text in texts)
    with _silence():
        _, pairs = gigatoken.train_bpe(data, 256 + merges, [], separator=SEPARATOR)
    alphabet = byte_alphabet()

    def spelt(token: bytes) -> str:
        return "".join(alphabet[byte] for byte in token)

    return [(spelt(left), spelt(right)) for left, right in pairs]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """gigatoken reports to stdout and stderr from Rust; a user of --json must not meet that."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(number, os.dup(number)) for number in (1, 2)]
    try:
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123 - a device, not a path of ours
            for number, _ in kept:
                os.dup2(nothing.fileno(), number)
        yield
    finally:
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)
