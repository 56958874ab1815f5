"""The byte-level kinds over folded case, NAME_case for each NAME: the transform of case_tokenizer.py before its engine.

What is learnt and how a word is cut is the kind's own; only the words are those of folded text. bpe_case has a file of
its own (case_level.py); the others stand as the kind's `tokenizer.json` inside `{"format", "kind", "tokenizer"}`,
bpe_split_case with its split beside them (case_split.py).
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import tokenizers
from tokenizers import pre_tokenizers

from . import case_level, train_superword, train_unigram, train_wordpiece, train_wordpiece_pruned
from .byte_level import Form
from .byte_level_file import written
from .case_tokenizer import (
    ALPHABET,
    SIGNS,
    SPACE,
    SPLIT,
    WORDS,
    CaseTokenizer,
    Folded,
    characters,
    unwrapped,
    visible,
    wrapped,
)
from .text_cut import CUT
from .tokenizer import SPECIAL_NAMES

Content = dict[str, Any]
_BLANK = characters(b" \t\r\n")
_END = f"(?<=[.!?])(?=[{SIGNS}]?{SPACE}[^{_BLANK}])|(?<={ALPHABET[10]})(?=[^{_BLANK}])"
SENTENCE = rf"[\s\S]{{1,{train_superword.LONGEST}}}?(?:{_END}|(?![\s\S]))|[\s\S]{{{train_superword.LONGEST}}}"


@dataclass(frozen=True, slots=True)
class CaseKind:
    """learn(texts, size) -> the tokenizer.json of spelt words; again(its "model") -> the same; where: see Form.cut."""

    learn: Callable[[Iterable[str], int], Content]
    again: Callable[[Content], Content]
    options: Content
    where: re.Pattern[str] = CUT


def _isolated(pattern: str) -> Content:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _unigram(model: Content) -> Content:
    return {**train_unigram.again(model), "pre_tokenizer": WORDS}


def _learn_unigram(texts: Iterable[str], size: int) -> Content:
    words = pre_tokenizers.Split(tokenizers.Regex(SPLIT), "isolated")
    pieces = train_unigram.learn(lambda: train_unigram.count_words(map(visible, texts), words), size)
    return {**train_unigram.to_content(pieces), "pre_tokenizer": WORDS}


def _wordpiece(model: Content) -> Content:
    return _of_tokens(list(model["vocab"])[len(SPECIAL_NAMES) :])


def _of_tokens(tokens: list[str]) -> Content:
    every = _isolated(f".{{1,{train_wordpiece.LONGEST_WORD}}}")
    return {
        **train_wordpiece.to_content(tokens),
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [WORDS, every]},
    }


def _tokens(spelt: Iterable[str], size: int) -> list[str]:
    return [*ALPHABET, *(left + right for left, right in case_level.learn(spelt, size))]


def _learn_wordpiece(texts: Iterable[str], size: int) -> Content:
    return _of_tokens(_tokens(map(visible, texts), size))


def _learn_pruned(texts: Iterable[str], size: int) -> Content:
    more, spelt = train_wordpiece_pruned.too_many(size), [visible(text) for text in texts]
    tokens = _tokens(spelt, more)
    whole = _inner("wordpiece_pruned_case", written(_of_tokens(tokens)), "the tokens before pruning")
    return _of_tokens(train_wordpiece_pruned.kept(tokens, whole, spelt, size))


def _superword(model: Content) -> Content:
    return {**train_superword.again(model), "pre_tokenizer": _isolated(SENTENCE)}


def _learn_superword(texts: Iterable[str], size: int) -> Content:
    stage, spelt = train_superword.first_stage(size), [visible(text) for text in texts]
    merges = [(left, right) for left, right in case_level.learn(spelt, stage)]
    first = _inner("superword_case", written(_superword({"merges": merges})), "the first stage")
    return _superword({"merges": train_superword.joined(merges, size, first, spelt, SENTENCE)})


def _options(of: Content, **more: str) -> Content:
    return {**of, "signs": case_level.OPTIONS["signs"], **more}


_GPT2 = str(case_level.OPTIONS["split"])
CASE_KINDS = {
    "unigram_case": CaseKind(_learn_unigram, _unigram, _options(train_unigram.OPTIONS, split=_GPT2)),
    "wordpiece_case": CaseKind(
        _learn_wordpiece,
        _wordpiece,
        _options(train_wordpiece.OPTIONS, split=f"{_GPT2}, then every {train_wordpiece.LONGEST_WORD} bytes"),
    ),
    "wordpiece_pruned_case": CaseKind(
        _learn_pruned,
        _wordpiece,
        _options(train_wordpiece_pruned.OPTIONS, split=f"{_GPT2}, then every {train_wordpiece.LONGEST_WORD} bytes"),
    ),
    "superword_case": CaseKind(
        _learn_superword,
        _superword,
        _options(train_superword.OPTIONS, split=str(train_superword.OPTIONS["split"]).replace("gpt2", _GPT2)),
        train_superword.CUT,
    ),
}


def train(kind: str, texts: Iterable[str], size: int) -> bytes:
    """The file of a vocabulary of `size` ids, 260 at least. Raises VocabError when the text does not give so many."""
    return wrapped(kind, CASE_KINDS[kind].learn(texts, size))


def _inner(kind: str, data: bytes, where: str) -> Folded:
    return Folded(data, where, Form(kind, CASE_KINDS[kind].again))


def open_tokenizer(kind: str, data: bytes, where: str) -> CaseTokenizer:
    """The tokenizer in a file of `train`. Raises VocabError for any other file."""
    _, inner = unwrapped(kind, data, where)
    return CaseTokenizer(_inner(kind, inner, where), visible, CASE_KINDS[kind].where)
