"""Byte-level BPE with another split than GPT-2's: a named one, or any regular expression of yours.

A split says where words begin, and no merge reaches across. It is written in Hugging Face's own dialect (Oniguruma) and
stands in the tokenizer.json, from where it is read again. What a split leaves out between its matches is a word of its
own, so every split keeps all of the text. Hugging Face learns the merges; gigatoken's trainer knows no split but
GPT-2's.
"""

import json
import re
from collections.abc import Iterable
from functools import partial
from typing import Any

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from . import tiktoken_ranks
from .byte_level import ByteLevelTokenizer, Form
from .byte_level_file import bpe_model, byte_alphabet, framed, written
from .errors import VocabError
from .text_cut import CUT
from .tokenizer import SMALLEST, SPECIAL_NAMES, check_size

SPLITS = {
    **tiktoken_ranks.SPLITS,
    "digits": tiktoken_ranks.SPLITS["cl100k"].replace(r"\p{N}{1,3}", r"\p{N}"),  # each digit a word of its own
    "none": r"[\s\S]+",
}
CUTTABLE = frozenset(SPLITS[name] for name in ("gpt2", "cl100k", "digits"))  # a space between two words begins a word
NEVER = re.compile(r"(?!)")


def options(split: str = "digits") -> dict[str, Any]:
    """What a spec says of it; split: a name, or an expression. Raises VocabError for one that cannot be read."""
    pattern = SPLITS.get(split, split)
    try:
        tokenizers.Regex(pattern)
    except Exception as error:  # the library raises bare Exception
        raise VocabError(
            f"--split {split!r:.60}: {str(error)[:80]}; wanted one of {', '.join(SPLITS)}, or a regular expression."
        ) from None
    return {"split": pattern, "ids": "pad bos eos unk, 256 bytes, merges in order"}


def train(texts: Iterable[str], size: int, split: str = "digits") -> bytes:
    """A tokenizer.json of `size` ids, 260 at least. Raises VocabError when the text has fewer pairs to merge."""
    check_size(size)
    pattern = options(split)["split"]
    engine = tokenizers.Tokenizer(models.BPE())
    words = pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    engine.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(SPECIAL_NAMES), initial_alphabet=byte_alphabet(), special_tokens=[], show_progress=False
    )
    engine.train_from_iterator(iter(texts), trainer)
    return _to_file(json.loads(engine.to_str())["model"]["merges"], pattern, size)


def cut(data: bytes, size: int) -> bytes:
    """The file that `train` makes of the same text at a smaller `size`. Raises VocabError for less than the bytes."""
    check_size(size)
    content = json.loads(data)
    return _to_file(content["model"]["merges"][: size - SMALLEST], _pattern(content), size)


def _to_file(merges: list[list[str]], pattern: str, size: int) -> bytes:
    content = to_content(pattern, merges)
    found = len(content["model"]["vocab"])
    if found != size:
        raise VocabError(
            f"the training text gives {found:,} ids, {size:,} were asked for. Give more text or a smaller --size."
        )
    return written(content)


def to_content(pattern: str, merges: list[list[str]]) -> dict[str, Any]:
    """What stands in the file of merges (in GPT-2 characters)."""
    names = dict.fromkeys([*SPECIAL_NAMES, *byte_alphabet(), *(left + right for left, right in merges)])
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    vocab = {name: token_id for token_id, name in enumerate(names)}
    return framed(bpe_model(vocab, merges), {"type": "Sequence", "pretokenizers": [split, level]})


def _pattern(content: dict[str, Any]) -> str:
    return str(content["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"])


def _again(pattern: str, model: dict[str, Any]) -> dict[str, Any]:
    return to_content(pattern, model["merges"])


def open_tokenizer(data: bytes, where: str) -> ByteLevelTokenizer:
    """The tokenizer in a file of `train`. Raises VocabError for any other file."""
    try:
        pattern = _pattern(json.loads(data.decode("utf-8")))
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        pattern = ""  # then no file is made again like it
    form = Form("bpe_split", partial(_again, pattern), CUT if pattern in CUTTABLE else NEVER)
    return ByteLevelTokenizer(data, where, form)
