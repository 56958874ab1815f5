"""WordPiece over bytes: each word is cut from the left, always taking the longest token that fits.

The tokens are those of byte-level BPE of the same size (Hugging Face's WordPiece trainer, too, learns BPE and keeps its
tokens), spelt in the GPT-2 alphabet; what differs is how a word is cut. There is no `##`: a token that begins a word
shows it by the space it begins with, a text that contains `##` could not be told from a continuation, and so the same
token serves both. Every byte is a token, so no word is unknown. Words are cut every 64 bytes first, because the search
for the longest token costs the square of the length.
"""

import json
from collections.abc import Iterable
from typing import Any

from . import train_bpe
from .byte_level import ByteLevelTokenizer, Form
from .byte_level_file import byte_alphabet, framed, written
from .errors import VocabError
from .tokenizer import SPECIAL_NAMES, UNK

LONGEST_WORD = 64  # bytes
OPTIONS: dict[str, Any] = {
    "split": f"gpt2, then every {LONGEST_WORD} bytes",
    "tokens": "of bpe",
    "ids": "pad bos eos unk, 256 bytes, tokens",
}


def train(texts: Iterable[str], size: int) -> bytes:
    """A tokenizer.json of `size` ids, 260 at least. Raises VocabError when the text has fewer pairs to merge."""
    return to_file(list(json.loads(train_bpe.train(texts, size))["model"]["vocab"])[len(SPECIAL_NAMES) :])


def to_file(tokens: list[str]) -> bytes:
    """The tokenizer.json of tokens, the 256 bytes first. Raises VocabError for anything else."""
    return written(to_content(tokens))


def to_content(tokens: list[str]) -> dict[str, Any]:
    """What stands in that file."""
    if tokens[:256] != byte_alphabet() or len(set(tokens)) != len(tokens):
        raise VocabError("the tokens do not begin with the 256 bytes, or one stands there twice.")
    words = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    pattern = {"Regex": f".{{1,{LONGEST_WORD}}}"}
    split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    model = {
        "type": "WordPiece",
        "unk_token": SPECIAL_NAMES[UNK],
        "continuing_subword_prefix": "",
        "max_input_chars_per_word": LONGEST_WORD,
        "vocab": {name: token_id for token_id, name in enumerate([*SPECIAL_NAMES, *tokens])},
    }
    return framed(model, {"type": "Sequence", "pretokenizers": [words, split]})


def again(model: dict[str, Any]) -> dict[str, Any]:
    """The content that the tokens of a model make: the one way it may be."""
    return to_content(list(model["vocab"])[len(SPECIAL_NAMES) :])


def open_tokenizer(data: bytes, where: str) -> ByteLevelTokenizer:
    """The tokenizer in a file of `train`. Raises VocabError for any other file."""
    return ByteLevelTokenizer(data, where, Form("wordpiece", again))
