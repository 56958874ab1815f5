"""The peer of the CaseOps rows of `pglab bench vocab`: the public way, in its steps, character by character in Python.

A document is walked letter by letter to write its operators; sentencepiece gives a list of ids; for validation
documents the pieces are walked again, and each character adds its UTF-8 to its token unless it is an operator. The
record that is public decodes the text anew for every token instead, which costs the square of a document: this peer is
the kinder one.
"""

import json
from pathlib import Path

import numpy as np

from .caseops import CAPS, ESCAPE, NEXT, OPERATORS, TITLE
from .shard_format import header, shard_name

LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def by_character(text: str) -> str:
    """The CaseOps form of a document, as caseops.encode gives it."""
    out: list[str] = []
    at = 0
    while at < len(text):
        c = text[at]
        if c not in LETTERS:
            if c in OPERATORS:
                out.append(ESCAPE)
            out.append(c)
            at += 1
            continue
        end = at + 1
        while end < len(text) and text[end] in LETTERS:
            end += 1
        word, at = text[at:end], end
        if len(word) > 1 and word.isupper():
            out += (CAPS, word.lower())
            continue
        for place, letter in enumerate(word):
            if letter.isupper():
                out.append(NEXT if place else TITLE)
            out.append(letter.lower())
    return "".join(out)


def counts(pieces: list[str]) -> list[int]:
    """Original bytes of each piece of a CaseOps text; an operator has none unless it is escaped."""
    found, escaped = [], False
    for piece in pieces:
        size = 0
        for c in piece.replace("\u2581", " "):
            if escaped or c not in OPERATORS:
                size += len(c.encode("utf-8"))
                escaped = False
            else:
                escaped = c == ESCAPE
        found.append(size)
    return found


def plain_caseops_export(docs: Path, model: Path, out: Path, validation: int, shard_tokens: int) -> None:
    """Shards of `docs`, and for validation the sidecar under its public name, in the public way."""
    import sentencepiece

    engine = sentencepiece.SentencePieceProcessor(model_file=str(model))
    out.mkdir(parents=True, exist_ok=True)
    buffers: dict[str, list[int]] = {"val": [], "train": [], "val_bytes": []}
    index = dict.fromkeys(buffers, 0)

    def flush(split: str, least: int) -> None:
        while len(buffers[split]) >= least and buffers[split]:
            values, buffers[split] = buffers[split][:shard_tokens], buffers[split][shard_tokens:]
            data = header(len(values)) + np.array(values, np.uint16).tobytes()
            (out / shard_name(split, index[split])).write_bytes(data)
            index[split] += 1

    with docs.open(encoding="utf-8") as file:
        for number, line in enumerate(file):
            text = by_character(json.loads(line)["text"])
            split = "val" if number < validation else "train"
            buffers[split] += [1, *engine.encode(text, return_type=int)]
            if split == "val":
                buffers["val_bytes"] += [0, *counts(engine.encode(text, return_type=str))]
            for name in buffers:
                flush(name, shard_tokens)
    for name in buffers:
        flush(name, 1)
