"""Train byte-level BPE: merges of the most frequent neighbours, never across the words of the GPT-2 split.

Vocabularies of this kind are nested: the merges of a smaller size are the first merges of a larger one.
"""

import json
from collections.abc import Iterable
from typing import Any

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from .byte_level_file import byte_alphabet, to_file
from .tokenizer import SMALLEST, check_size
from .train_fast import fast_merges

OPTIONS: dict[str, Any] = {"split": "gpt2", "ids": "pad bos eos unk, 256 bytes, merges in order"}


def train(texts: Iterable[str], size: int, fast: bool = True) -> bytes:
    """A tokenizer.json of `size` ids, 260 at least; fast engines may learn it where they agree with the reference.

    Raises VocabError when the text has fewer pairs to merge.
    """
    check_size(size)
    whole = list(texts)
    merges = fast_merges(whole, size - SMALLEST, reference_merges) if fast else None
    return to_file(reference_merges(whole, size - SMALLEST) if merges is None else merges, size)


def reference_merges(texts: list[str], merges: int) -> list[tuple[str, str]]:
    """At most `merges` merges in the order Hugging Face learns them, spelt in the GPT-2 alphabet."""
    engine = tokenizers.Tokenizer(models.BPE())
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    trainer = trainers.BpeTrainer(
        vocab_size=256 + merges, initial_alphabet=byte_alphabet(), special_tokens=[], show_progress=False
    )
    engine.train_from_iterator(iter(texts), trainer)
    return [(left, right) for left, right in json.loads(engine.to_str())["model"]["merges"]]


def cut(data: bytes, size: int) -> bytes:
    """The file that `train` makes of the same text at a smaller `size`. Raises VocabError for less than the bytes."""
    check_size(size)
    merges = json.loads(data)["model"]["merges"][: size - SMALLEST]
    return to_file([(left, right) for left, right in merges], size)
