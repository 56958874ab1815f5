"""The kind bpe_case: byte-level BPE over folded case (case_tokenizer.py), 256 bytes of which three are case signs.

Its file lists the special ids and the merges, from which the ids follow as in `bpe`: vocabularies are nested.
"""

import json
from collections.abc import Iterable
from typing import Any

import tokenizers
from tokenizers import trainers

from .byte_level import Form
from .byte_level_file import added_tokens, bpe_model, framed, written
from .case_tokenizer import ALPHABET, WORDS, CaseTokenizer, Folded, visible
from .errors import VocabError
from .tokenizer import SMALLEST, SPECIAL_NAMES, check_size

FORMAT = "pglab-case-level-1"
OPTIONS: dict[str, Any] = {"split": "gpt2-bytes-1", "signs": "0xFF title, 0xFE caps, 0xFD next"}


def train(texts: Iterable[str], size: int) -> bytes:
    """The file of a vocabulary of `size` ids, 260 at least. Raises VocabError when the text has too few pairs."""
    return _to_file(learn(map(visible, texts), size))


def learn(spelt: Iterable[str], size: int, words: dict[str, Any] = WORDS) -> list[list[str]]:
    """The merges of a vocabulary of `size` ids from spelt texts; words: its pre-tokenizer. Raises VocabError."""
    check_size(size)
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(SPECIAL_NAMES), initial_alphabet=ALPHABET, special_tokens=[], show_progress=False
    )
    engine = tokenizers.Tokenizer.from_str(json.dumps({**framed(bpe_model({}, []), words), "added_tokens": []}))
    engine.train_from_iterator(spelt, trainer)
    merges = json.loads(engine.to_str())["model"]["merges"]
    if SMALLEST + len(merges) != size:
        raise VocabError(
            f"the training text gives {SMALLEST + len(merges):,} ids, {size:,} were asked for. Give more text or a "
            "smaller --size."
        )
    return [list(pair) for pair in merges]


def cut(data: bytes, size: int) -> bytes:
    """The file that `train` makes of the same text at a smaller `size`. Raises VocabError for less than the bytes."""
    check_size(size)
    return _to_file(json.loads(data)["merges"][: size - SMALLEST])


def _to_file(merges: list[list[str]]) -> bytes:
    return written({"format": FORMAT, "added_tokens": added_tokens(), "merges": merges})


def inner_content(merges: list[list[str]], words: dict[str, Any] = WORDS) -> dict[str, Any]:
    """The tokenizer.json of merges over spelt text. Raises VocabError where two merges make one token."""
    names = [*SPECIAL_NAMES, *ALPHABET, *(str(left) + str(right) for left, right in merges)]
    vocab = {name: token_id for token_id, name in enumerate(names)}
    if len(vocab) != len(names):
        raise VocabError("two merges make one token")
    return framed(bpe_model(vocab, merges), words)


def _again(model: dict[str, Any]) -> dict[str, Any]:
    return inner_content(model["merges"])


def open_tokenizer(data: bytes, where: str = "tokenizer.json") -> CaseTokenizer:
    """The tokenizer in a file of `train`. Raises VocabError for any other file."""
    try:
        content = json.loads(data.decode("utf-8"))
        if content["format"] != FORMAT or content["added_tokens"] != added_tokens():
            raise ValueError("another format")
        inner = written(inner_content(content["merges"]))
        return CaseTokenizer(Folded(inner, where, Form("bpe_case", _again)))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise VocabError(
            f"{where}: no {FORMAT} vocabulary ({type(error).__name__}: {str(error)[:60]}). "
            "Make one: pglab vocab train bpe_case"
        ) from None
