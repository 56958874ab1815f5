"""Train SentencePiece BPE or unigram: with the challenge's options, or so that no text is lost.

Sentencepiece leaves out, without a word, every training text above `max_sentence_length` bytes (4,192 by default), and
the public exporter hands it whole documents, so its vocabularies come from the short documents only. Here the limit is
set above the longest text, and a document above 1 MiB is cut at white space first, so every document takes part.
"""

import io
import re
from collections.abc import Iterable, Iterator
from typing import Any

import sentencepiece

from .errors import VocabError

CHALLENGE: dict[str, Any] = {
    "model_type": "bpe",
    "character_coverage": 0.999,
    "byte_fallback": True,
    "split_digits": True,
    "normalization_rule_name": "nmt_nfkc",
    "add_dummy_prefix": False,
    "pad_id": 0,
    "bos_id": 1,
    "eos_id": 2,
    "unk_id": 3,
    "hard_vocab_limit": False,
}
LOSSLESS: dict[str, Any] = {
    **CHALLENGE,
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
}
UNIGRAM: dict[str, Any] = {**CHALLENGE, "model_type": "unigram", "num_threads": 1}  # more threads: other scores
UNIGRAM_LOSSLESS: dict[str, Any] = {**LOSSLESS, "model_type": "unigram", "num_threads": 1}
LONGEST = 1 << 20  # bytes of one training text


def pieces(text: str, limit: int = LONGEST) -> Iterator[str]:
    """`text` in parts of at most `limit` bytes, cut before white space where there is some. They join to `text`."""
    room = limit // 4  # characters: UTF-8 has at most four bytes each
    start = 0
    while len(text) - start > room:
        end = max(text.rfind(" ", start + 1, start + room), text.rfind("\n", start + 1, start + room))
        end = end if end > start else start + room
        yield text[start:end]
        start = end
    yield text[start:]


def train(texts: Iterable[str], size: int, options: dict[str, Any]) -> bytes:
    """A `.model` of `size` pieces (fewer when the text has no more). Raises VocabError when it cannot be trained."""
    if not 260 <= size <= 1 << 16:
        raise VocabError(f"--size {size:,}: a SentencePiece vocabulary with byte fallback has 260 to 65,536 ids.")
    strip = options["normalization_rule_name"] != "identity"
    failed: list[Exception] = []

    def feed() -> Iterator[str]:
        try:
            for text in texts:
                text = text.replace("\x00", " ")  # sentencepiece refuses it; it is encoded by its byte piece
                for part in pieces(text.strip() if strip else text):
                    if part:
                        yield part
        except Exception as error:  # of the documents; sentencepiece would say it in its own words
            failed.append(error)
            raise

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=feed(),
            model_writer=model,
            vocab_size=size,
            max_sentence_length=LONGEST,
            minloglevel=2,
            **options,
        )
    except (RuntimeError, OSError, ValueError) as error:
        if failed:
            raise failed[0] from None
        line = " ".join(str(error).split())
        if "sentences_.empty()" in line:
            raise VocabError("the training text is empty or white space alone. Name other documents.") from None
        wish = "more text or a smaller" if "too high" in line else "a larger"
        raise VocabError(
            f"sentencepiece could not train {size:,} pieces ({reason(line)}). Give {wish} --size."
        ) from None
    return model.getvalue()


def reason(line: str) -> str:
    """What sentencepiece said of a failure, without where in its source, and without its own options."""
    return re.sub(r"\. (Increase|Please) .*", "", line.rpartition(")] ")[2])[:160]
