"""Train byte-level BPE: merges of the most frequent neighbours, never across the words of the GPT-2 split.

Vocabularies of this kind are nested: the merges of a smaller size are the first merges of a larger one.
"""

import json
from collections.abc import Iterable
from typing import Any

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from .byte_level_file import byte_alphabet, to_file
from .errors import VocabError
from .tokenizer import SPECIAL_NAMES

SMALLEST = 256 + len(SPECIAL_NAMES)
OPTIONS: dict[str, Any] = {"split": "gpt2", "ids": "pad bos eos unk, 256 bytes, merges in order"}


def train(texts: Iterable[str], size: int) -> bytes:
    """A tokenizer.json of `size` ids, 260 at least. Raises VocabError when the text has fewer pairs to merge."""
    if not SMALLEST <= size <= 1 << 16:
        raise VocabError(f"--size {size:,}: a byte-level vocabulary has 260 to 65,536 ids.")
    alphabet = byte_alphabet()
    engine = tokenizers.Tokenizer(models.BPE())
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(SPECIAL_NAMES), initial_alphabet=alphabet, special_tokens=[], show_progress=False
    )
    engine.train_from_iterator(iter(texts), trainer)
    merges = json.loads(engine.to_str())["model"]["merges"]
    return to_file([tuple(pair) for pair in merges], size)
