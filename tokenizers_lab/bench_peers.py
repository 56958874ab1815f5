"""The peers that `pglab bench vocab` runs against: the public exporter's way, and each library called as it comes.

The exporter's way, in its steps: documents parsed one by one and gathered to batches of 1,024; the library returns
lists of Python integers; each document's list becomes an int32 array with BOS before it, is checked against the
vocabulary's range, cast, and copied into a buffer that is written when it is full. No bytes are counted and no hash is
made.
"""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from .shard_format import header, shard_name

BATCH = 1024
Encode = Callable[[list[str]], list[list[int]]]


def sentencepiece_lists(path: Path) -> Encode:
    """sentencepiece, asked for Python integers on one thread, as the exporter asks."""
    import sentencepiece

    engine = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return lambda texts: list(engine.encode(texts, return_type=int, num_threads=1))


def hugging_face_lists(path: Path) -> Encode:
    """Hugging Face tokenizers on a file of ours, called in the way its documentation shows."""
    import tokenizers

    engine = tokenizers.Tokenizer.from_file(str(path))
    return lambda texts: [found.ids for found in engine.encode_batch(texts, add_special_tokens=False)]


def _batches(docs: Path) -> Iterator[list[str]]:
    with docs.open(encoding="utf-8") as file:
        texts = (json.loads(line)["text"] for line in file)
        while batch := list(islice(texts, BATCH)):
            yield batch


def plain_export(docs: Path, encode: Encode, size: int, out: Path, validation: int, shard_tokens: int) -> None:
    """Write token shards of `docs` in the exporter's way. Raises ValueError for an id outside `size`."""
    out.mkdir(parents=True, exist_ok=True)
    buffer = np.empty(shard_tokens, np.uint16)
    fill, done, split = 0, 0, "val"
    index = {"val": 0, "train": 0}

    def flush() -> None:
        nonlocal fill
        if fill:
            path = out / shard_name(split, index[split])
            path.write_bytes(header(fill) + buffer[:fill].astype("<u2").tobytes())
            index[split] += 1
            fill = 0

    for batch in _batches(docs):
        for ids in encode(batch):
            wanted = "val" if done < validation else "train"
            done += 1
            if wanted != split:
                flush()
                split = wanted
            tokens = np.empty(len(ids) + 1, np.int32)
            tokens[0] = 1
            tokens[1:] = np.asarray(ids, np.int32)
            if not ((tokens >= 0).all() and (tokens < size).all()):
                raise ValueError("an id outside the vocabulary")
            at = 0
            while at < len(tokens):
                take = min(shard_tokens - fill, len(tokens) - at)
                buffer[fill : fill + take] = tokens[at : at + take]
                fill += take
                at += take
                if fill == shard_tokens:
                    flush()
    flush()
