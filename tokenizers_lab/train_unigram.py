"""Train a unigram model over bytes: each word is cut into its most probable pieces, and every byte is a piece.

Words come from the GPT-2 split and are spelt in the GPT-2 alphabet, as for byte-level BPE, so nothing is normalised and
no character is out of reach. The pieces are learnt by sentencepiece from the words and their counts; the file is a
Hugging Face Unigram in a `tokenizer.json`. Hugging Face's own trainer gives other scores each time it runs.

The ids: 0..3 special, the 256 bytes in order, then pieces from the most probable on. The vocabularies are not nested.
"""

import io
import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import sentencepiece
from tokenizers import pre_tokenizers

from .byte_level import ByteLevelTokenizer, Form
from .byte_level_file import byte_alphabet, framed, written
from .errors import VocabError
from .tokenizer import SMALLEST, SPECIAL_NAMES, check_size
from .train_spm import reason

LONGEST_WORD = 1024  # characters of a word that are learnt from at once; a piece has at most 16
OPTIONS: dict[str, Any] = {
    "split": "gpt2",
    "trainer": "sentencepiece unigram",
    "ids": "pad bos eos unk, 256 bytes, pieces",
}
UNREACHABLE = -1e4  # score of the special names, which hold a space and so stand in no word


def count_words(texts: Iterable[str], split: Any = None) -> list[tuple[str, int]]:
    """Words in the GPT-2 alphabet with their counts, most frequent first, ties by the alphabet.

    split: what makes such words of a text; the GPT-2 split without it.
    """
    split = split or pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    counts: Counter[str] = Counter()
    for text in texts:
        for word, _ in split.pre_tokenize_str(text):
            counts.update(word[at : at + LONGEST_WORD] for at in range(0, len(word), LONGEST_WORD))
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))


def train(texts: Iterable[str], size: int) -> bytes:
    """A tokenizer.json of `size` ids, 260 at least. Raises VocabError when the text does not give so many pieces."""
    return to_file(learn(lambda: count_words(texts), size))


def learn(count: Callable[[], list[tuple[str, int]]], size: int) -> list[tuple[str, float]]:
    """The pieces of a vocabulary of `size` ids from counted words, the 256 bytes first. Raises VocabError."""
    check_size(size)
    words = count()
    unseen = set(byte_alphabet()).difference(*(word for word, _ in words))
    scores = _learn(words, size - len(SPECIAL_NAMES) - len(unseen)) if words else {}
    floor = min(scores.values(), default=0.0) - 1.0
    single = [(byte, scores.pop(byte, floor)) for byte in byte_alphabet()]
    if SMALLEST + len(scores) != size:
        raise VocabError(
            f"the training text gives {SMALLEST + len(scores):,} ids, {size:,} were asked for. Give more text or a "
            "smaller --size."
        )
    return [*single, *scores.items()]


def _learn(words: list[tuple[str, int]], pieces: int) -> dict[str, float]:
    """Pieces with the logarithm of their probability, most probable first; every character seen is among them."""
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(f"{word}\t{count}" for word, count in words),
            input_format="tsv",
            model_writer=model,
            model_type="unigram",
            vocab_size=pieces + 1,  # one for its unknown
            character_coverage=1.0,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            split_by_unicode_script=False,
            split_by_number=False,
            split_by_whitespace=False,
            max_sentence_length=1 << 20,
            num_threads=1,  # more threads sum in another order
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            minloglevel=2,
        )
    except (RuntimeError, OSError, ValueError) as error:
        line = reason(" ".join(str(error).split()))
        raise VocabError(
            f"the training text gives no {pieces:,} pieces ({line}). Give more text or another --size."
        ) from None
    learnt = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return {learnt.id_to_piece(i): learnt.get_score(i) for i in range(1, len(learnt))}


def to_file(pieces: list[tuple[str, float]]) -> bytes:
    """The tokenizer.json of pieces, the 256 bytes first. Raises VocabError for anything else."""
    return written(to_content(pieces))


def to_content(pieces: list[tuple[str, float]]) -> dict[str, Any]:
    """What stands in that file."""
    names = [name for name, _ in pieces]
    if names[:256] != byte_alphabet() or len(set(names)) != len(names):
        raise VocabError("the pieces do not begin with the 256 bytes, or one stands there twice.")
    if not all(isinstance(score, float) and math.isfinite(score) and UNREACHABLE < score <= 0 for _, score in pieces):
        raise VocabError("a score is no logarithm of a probability.")
    vocab = [*((name, UNREACHABLE) for name in SPECIAL_NAMES), *pieces]
    model = {"type": "Unigram", "unk_id": None, "vocab": [list(entry) for entry in vocab], "byte_fallback": False}
    return framed(model)


def again(model: dict[str, Any]) -> dict[str, Any]:
    """The content that the pieces of a model make: the one way it may be."""
    return to_content([(name, score) for name, score in model["vocab"][len(SPECIAL_NAMES) :]])


def open_tokenizer(data: bytes, where: str) -> ByteLevelTokenizer:
    """The tokenizer in a file of `train`. Raises VocabError for any other file."""
    return ByteLevelTokenizer(data, where, Form("unigram", again))
