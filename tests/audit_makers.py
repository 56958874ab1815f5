"""Small vocabularies, shards and documents for the auditor's recount tests: made by hand, byte by byte, on purpose.

Nothing here comes from the rooms under test: models are written as protobuf by three lines, shards by `struct`, and
tokens by greedy longest match, so that a reader and its test cannot share a fault.
"""

import functools
import io
import json
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SPACE = "\u2581"
NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = range(1, 7)
BOS = 1
DOCS = [
    "The cat sat on the mat.",
    "A second line\nand a third,  with two spaces.",
    "caf\u00e9 na\u00efve \u2014 \u201cquoted\u201d \U0001f600 end",
    "",
    "MIXED Case iPhone NASA e.g. THE end",
    "tabs\tand <s> tags </s> and <pad> in text",
    "the the the the the the the the the the the the the the the the the end of the matter",
    "\u65e5\u672c\u8a9e text and \u0440\u0443\u0441\u0441\u043a\u0438\u0439",
]
WORDS = ["the", "cat", "sat", "on", "end", "and", "text", "second", "line", "with", "th", "he", "an", "en"]


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def piece(text: str, kind: int = NORMAL, score: float = 0.0) -> bytes:
    return message(1, message(1, text.encode()) + varint(2 << 3 | 5) + struct.pack("<f", score) + number(3, kind))


def model_bytes(
    pieces: list[tuple[str, int]],
    *,
    algorithm: int = 1,
    rules: str = "identity",
    dummy_prefix: bool = False,
    trim: bool = False,
) -> bytes:
    """A SentencePiece .model, written by hand. algorithm: 1 unigram, 2 BPE."""
    trainer = number(3, algorithm) + number(35, 1)
    normaliser = message(1, rules.encode()) + number(3, dummy_prefix) + number(4, trim) + number(5, 1)
    return b"".join(piece(*each) for each in pieces) + message(2, trainer) + message(3, normaliser)


def byte_pieces() -> list[tuple[str, int]]:
    return [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]


def plain_pieces(extra: list[str] | None = None) -> list[tuple[str, int]]:
    """pad, bos, eos, unk, the bytes, a space, letters, and words with and without a space before them."""
    specials = [("<pad>", CONTROL), ("<s>", CONTROL), ("</s>", CONTROL), ("<unk>", UNKNOWN)]
    letters = [chr(code) for code in range(33, 127)]
    words = [SPACE, *letters, *WORDS, *[SPACE + word for word in WORDS], *(extra or [])]
    return specials + byte_pieces() + [(word, NORMAL) for word in words]


def greedy(pieces: list[tuple[str, int]]) -> Callable[[str], list[int]]:
    """An encoder: the longest piece that fits, else bytes."""
    ids = {text: i for i, (text, kind) in enumerate(pieces) if kind in (NORMAL, USER)}
    byte = {int(text[3:5], 16): i for i, (text, kind) in enumerate(pieces) if kind == BYTE}
    longest = max(map(len, ids))

    def encode(text: str) -> list[int]:
        text, at, out = text.replace(" ", SPACE), 0, []
        while at < len(text):
            for size in range(min(longest, len(text) - at), 0, -1):
                if text[at : at + size] in ids:
                    out.append(ids[text[at : at + size]])
                    break
            else:
                size = 1
                out += [byte[b] for b in text[at].encode()]
            at += size
        return out

    return encode


def shard_bytes(values: list[int], *, magic: int = 20240520, version: int = 1, count: int | None = None) -> bytes:
    head = struct.pack("<3i", magic, version, len(values) if count is None else count)
    return head.ljust(1024, b"\0") + struct.pack(f"<{len(values)}H", *values)


def docs_bytes(docs: list[str]) -> bytes:
    return b"".join(json.dumps({"text": text}, ensure_ascii=False).encode() + b"\n" for text in docs)


def write_set(
    folder: Path,
    docs: list[str],
    encode: Callable[[str], list[int]],
    tokenizer: bytes,
    *,
    name: str = "tokenizer.model",
    sidecar: Callable[[str, list[int]], list[int]] | None = None,
    train: list[str] | None = None,
) -> Path:
    """A shards folder and its docs.jsonl. `sidecar(text, ids)` gives the bytes of each token of one document."""
    folder.mkdir(parents=True, exist_ok=True)
    ids: list[int] = []
    sides: list[int] = []
    for text in docs:
        tokens = encode(text)
        ids += [BOS, *tokens]
        if sidecar:
            sides += [0, *sidecar(text, tokens)]
    (folder / "fineweb_val_000000.bin").write_bytes(shard_bytes(ids))
    if sidecar:
        (folder / "fineweb_val_000000.bytes").write_bytes(shard_bytes(sides))
    if train is not None:
        flat = [token for text in train for token in (BOS, *encode(text))]
        (folder / "fineweb_train_000000.bin").write_bytes(shard_bytes(flat))
    (folder / name).write_bytes(tokenizer)
    (folder / "docs.jsonl").write_bytes(docs_bytes(docs))
    return folder


def honest_sidecar(text: str, ids: list[int]) -> list[int]:
    """Some split of the document's bytes over its tokens; only the sum matters to these tests."""
    raw, count = len(text.encode()), len(ids)
    return [raw // count + (place < raw % count) for place in range(count)]


@functools.cache
def trained(algorithm: str = "bpe", size: int = 420, lossless: bool = False) -> bytes:
    """A throwaway model by the sentencepiece library, with the challenge's options (or lossless ones)."""
    spm = pytest.importorskip("sentencepiece")
    out = io.BytesIO()
    kind = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False} if lossless else {}
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter([*DOCS * 3, *(f"{a} {b} {c}" for a in WORDS for b in WORDS for c in WORDS[:4])]),
        model_writer=out,
        model_type=algorithm,
        vocab_size=size,
        hard_vocab_limit=False,
        character_coverage=0.999,
        byte_fallback=True,
        split_digits=True,
        add_dummy_prefix=False,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        minloglevel=2,
        **({"normalization_rule_name": "nmt_nfkc"} | kind),
    )
    return out.getvalue()


def damaged(data: bytes, flips: int = 400, seed: int = 0) -> Iterator[bytes]:
    """Every truncation (of at most 600 evenly spread ones), then seeded flips, cuts and insertions."""
    for end in range(0, len(data), max(len(data) // 600, 1)):
        yield data[:end]
    rng = random.Random(seed)
    for _ in range(flips):
        copy = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(copy))
            match rng.randrange(3):
                case 0:
                    copy[at] = rng.randrange(256)
                case 1:
                    del copy[at : at + rng.randint(1, 9)]
                case _:
                    copy[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 9)))
        yield bytes(copy)
