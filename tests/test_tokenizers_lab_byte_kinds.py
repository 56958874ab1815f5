"""What every kind over bytes must do: be read alike by Hugging Face, and cut long documents where nobody sees it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tokenizers

from tokenizers_lab import train_superword, train_unigram, train_wordpiece
from tokenizers_lab.tokenizer import SPECIAL_NAMES, Tokenizer

OPENERS: dict[str, Callable[[bytes, str], Tokenizer]] = {
    "superword": train_superword.open_tokenizer,
    "unigram": train_unigram.open_tokenizer,
    "wordpiece": train_wordpiece.open_tokenizer,
}


@pytest.fixture(params=OPENERS)
def both(small_lab: Path, request: pytest.FixtureRequest) -> tuple[tokenizers.Tokenizer, Tokenizer]:
    """Hugging Face's reading of a kind's file, and ours."""
    data = (small_lab / "vocab" / request.param / "tokenizer.json").read_bytes()
    return tokenizers.Tokenizer.from_str(data.decode()), OPENERS[request.param](data, "x")


def test_hugging_face_reads_the_file_as_we_do(
    both: tuple[tokenizers.Tokenizer, Tokenizer], hostile: tuple[str, ...]
) -> None:
    theirs, ours = both
    for text in hostile:
        if not any(name in text for name in SPECIAL_NAMES):
            ids = theirs.encode(text, add_special_tokens=False).ids
            assert ids == ours.encode_batch([text]).ids.tolist()
            assert theirs.decode(ids, skip_special_tokens=False) == text


def test_a_long_document_is_cut_where_the_tokens_stay_the_same(
    both: tuple[tokenizers.Tokenizer, Tokenizer], hostile: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [*hostile, "." * (3 * train_superword.LONGEST) + "a.b..c\n\nd" * 200]
    whole = both[1].encode_batch(texts)
    monkeypatch.setattr("tokenizers_lab.byte_level.LONGEST", 3)
    parts = both[1].encode_batch(texts)
    assert np.array_equal(parts.ids, whole.ids)
    assert np.array_equal(parts.offsets, whole.offsets)
