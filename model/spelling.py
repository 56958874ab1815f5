"""Whether tokens were made by a SentencePiece model: the text that they spell is cut by it into the same tokens again.

Another vocabulary of the same size reads any tokens, into some other text, and its byte counts are then wrong without a
sign. But it cuts nine in ten of those tokens as they stand, not all: so nearly no whole document comes back.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np

from .data import BOS
from .errors import ModelError

SPELT_TOKENS, SPELT_DOCUMENTS, SPELT_ALIKE = (
    65_536,
    4,
    0.5,
)  # tokens read; documents wanted for a judgement; part that has to come back


def check_spelling(place: Path, tokens: np.ndarray) -> None:
    """ModelError unless most documents of `(n,)` tokens come back from the model at `place`; few say nothing."""
    from sentencepiece import SentencePieceProcessor

    pieces = SentencePieceProcessor(model_file=str(place))
    begins = np.flatnonzero(tokens[:SPELT_TOKENS] == BOS)
    documents = [tokens[a + 1 : b].tolist() for a, b in pairwise(begins) if b > a + 1]
    same = sum(pieces.encode(pieces.decode(document)) == document for document in documents)
    if len(documents) >= SPELT_DOCUMENTS and same < SPELT_ALIKE * len(documents):
        raise ModelError(
            f"{place}: cuts {same} of the first {len(documents)} documents of the shards into the tokens that stand "
            "there; wanted nearly all. It is another vocabulary than the shards'; set tokenizer_path."
        )
