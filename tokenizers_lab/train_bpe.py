"""Train byte-level BPE: merges of the most frequent neighbours, never across the words of the GPT-2 split.

Vocabularies of this kind are nested: the merges of a smaller size are the first merges of a larger one.
"""

import json
from collections.abc import Iterable
from typing import Any

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from .byte_level import added_tokens, byte_alphabet
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


def to_file(merges: list[tuple[str, str]], size: int) -> bytes:
    """The tokenizer.json of merges (in GPT-2 characters). Raises VocabError unless they make exactly `size` ids."""
    names = [*SPECIAL_NAMES, *byte_alphabet(), *(left + right for left, right in merges)]
    vocab = {name: token_id for token_id, name in enumerate(names)}
    if len(vocab) != len(names) or len(names) != size:
        raise VocabError(
            f"the training text gives {len(vocab):,} ids, {size:,} were asked for. Give more text or a smaller --size."
        )
    words = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens(),
        "normalizer": None,
        "pre_tokenizer": words,
        "post_processor": None,
        "decoder": words,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": [list(pair) for pair in merges],
        },
    }
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8")
