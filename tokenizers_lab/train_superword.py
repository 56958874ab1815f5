"""Superwords: byte-level BPE whose last merges may join whole words, " of the" and the like (the idea of SuperBPE).

Learnt in two stages on stock libraries. The first three quarters of the ids are ordinary byte-level BPE, never across
words. Then the text is cut into sentences instead of words, each sentence is written with one private character for
each token of the first stage, and Hugging Face's trainer learns merges of those characters. Spelt in bytes again, the
merges of both stages are one list, so the file is an ordinary `tokenizer.json` that any reader encodes with, and every
document comes back exactly: a token is its bytes, whatever it joins.

Two stages may spell one token in two ways; both merges stand in the list, the token has one id.
"""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import tokenizers
from tokenizers import models, trainers

from . import train_bpe
from .byte_level import ByteLevelTokenizer, Form
from .byte_level_file import bpe_model, byte_alphabet, framed, written
from .errors import VocabError
from .tokenizer import SMALLEST, SPECIAL_NAMES, Tokenizer, check_size

Merges = list[tuple[str, str]]
SHARE = 0.75  # of the ids belong to the first stage
MOST_TOKENS = 8  # of the first stage in one superword
LONGEST = 512  # characters of a sentence; BPE costs n log n of it
_END = r"(?<=[.!?])(?= [^ \t\r\n])|(?<=\n)(?=[^ \t\r\n])"  # before a space or after a line: no word crosses it
SENTENCE = rf"[\s\S]{{1,{LONGEST}}}?(?:{_END}|(?![\s\S]))|[\s\S]{{{LONGEST}}}"
CUT = re.compile(_END)  # a sentence begins here, whatever stands around it
PRIVATE = 0xF0000  # the character of token 0
AT_ONCE = 1024  # sentences encoded in one call
OPTIONS: dict[str, Any] = {
    "split": f"gpt2 for the first {SHARE:.0%} of the ids, then sentences of at most {LONGEST} characters",
    "superwords": f"at most {MOST_TOKENS} tokens of the first stage",
    "ids": "pad bos eos unk, 256 bytes, merges in order",
}


def train(texts: Iterable[str], size: int) -> bytes:
    """A tokenizer.json of `size` ids, 260 at least. Raises VocabError when the text has fewer pairs to merge."""
    first, whole = first_stage(size), list(texts)
    learnt = json.loads(train_bpe.train(whole, first))["model"]["merges"]
    merges = [(left, right) for left, right in learnt]
    return to_file(joined(merges, size, open_tokenizer(to_file(merges), "the first stage"), whole, SENTENCE))


def first_stage(size: int) -> int:
    """The ids of the first stage. Raises VocabError for a size that cannot be."""
    check_size(size)
    return min(max(SMALLEST, int(size * SHARE)), size)


def joined(merges: Merges, size: int, first: Tokenizer, texts: list[str], sentence: str) -> Merges:
    """The merges of both stages. first: the tokenizer of the first stage's `merges`; sentence: the expression for one.

    Raises VocabError when the text has fewer pairs to merge.
    """
    more = 2 * (size - first_stage(size))
    merges = list(merges)
    names = dict.fromkeys(_names(merges))
    for left, right in _second_stage(texts, merges, more, first, sentence) if more else []:
        if len(names) + len(SPECIAL_NAMES) == size:
            break
        merges.append((left, right))
        names[left + right] = None  # it may have been there, spelt by other merges; hence twice as many were learnt
    if len(names) + len(SPECIAL_NAMES) != size:
        raise VocabError(
            f"the training text gives {len(names) + len(SPECIAL_NAMES):,} ids, {size:,} were asked for. Give more "
            "text or a smaller --size."
        )
    return merges


def _second_stage(texts: list[str], merges: Merges, more: int, first: Tokenizer, sentence: str) -> Merges:
    """At most `more` merges of tokens within sentences, spelt in the GPT-2 alphabet."""
    names = _names(merges)

    def sentences() -> Iterator[str]:
        for text in texts:
            parts = re.findall(sentence, text)
            for begin in range(0, len(parts), AT_ONCE):
                found = first.encode_batch(parts[begin : begin + AT_ONCE])
                letters = (found.ids.astype(np.uint32) + PRIVATE).astype("<u4").tobytes().decode("utf-32-le")
                yield from (letters[start:end] for start, end in pairwise(found.offsets.tolist()))

    letters = [chr(PRIVATE + token_id) for token_id in range(len(SPECIAL_NAMES), len(SPECIAL_NAMES) + len(names))]
    trainer = trainers.BpeTrainer(
        vocab_size=len(letters) + more,
        initial_alphabet=letters,
        special_tokens=[],
        max_token_length=MOST_TOKENS,
        show_progress=False,
    )
    learner = tokenizers.Tokenizer(models.BPE())
    learner.train_from_iterator(sentences(), trainer)
    spelt = dict(zip(letters, names, strict=True))
    found = json.loads(learner.to_str())["model"]["merges"]
    return [("".join(spelt[c] for c in left), "".join(spelt[c] for c in right)) for left, right in found]


def _names(merges: Merges) -> list[str]:
    """The tokens in the order of their ids: the bytes, then what each merge makes, once."""
    return list(dict.fromkeys([*byte_alphabet(), *(left + right for left, right in merges)]))


def to_file(merges: Merges) -> bytes:
    """The tokenizer.json of merges (in GPT-2 characters). Raises VocabError for a merge of what is no token yet."""
    return written(to_content(merges))


def to_content(merges: Merges) -> dict[str, Any]:
    """What stands in that file."""
    known = set(byte_alphabet())
    for left, right in merges:
        if left not in known or right not in known:
            raise VocabError(f"a merge joins {left!r:.40} and {right!r:.40}, which are not both tokens before it.")
        known.add(left + right)
    pattern = {"type": "Split", "pattern": {"Regex": SENTENCE}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    vocab = {name: token_id for token_id, name in enumerate([*SPECIAL_NAMES, *_names(merges)])}
    return framed(bpe_model(vocab, merges), {"type": "Sequence", "pretokenizers": [pattern, level]})


def again(model: dict[str, Any]) -> dict[str, Any]:
    """The content that the merges of a model make: the one way it may be."""
    return to_content([(left, right) for left, right in model["merges"]])


def open_tokenizer(data: bytes, where: str) -> ByteLevelTokenizer:
    """The tokenizer in a file of `train`. Raises VocabError for any other file."""
    return ByteLevelTokenizer(data, where, Form("superword", again, CUT))
