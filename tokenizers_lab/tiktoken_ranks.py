"""A tiktoken ranks file (`gpt2.tiktoken`, `cl100k_base.tiktoken`) as a tokenizer.json with the same ids.

A ranks file is one token a line: base64 of its bytes, a space, its rank, which is its id. It has no merges: tiktoken
merges whatever two neighbours make the token of the lowest rank. So every way to cut a token into two tokens becomes a
merge here, in the order of the ranks, and a word that is a token as a whole is taken as it is. The split into words is
not in the file either and must be named.
"""

import base64
import binascii
import json
from typing import Any

from .byte_level_file import bpe_model, byte_alphabet
from .errors import VocabError

_TAIL = r"\s+(?!\S)|\s+"
SPLITS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|" + _TAIL,
    "cl100k": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    + _TAIL,
}
BEGIN = "<|endoftext|>"


def read_ranks(data: bytes, where: str) -> list[bytes]:
    """Tokens in the order of their ranks. Raises VocabError naming the line for anything else."""
    found: dict[int, bytes] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            coded, rank = line.split()
            found[int(rank)] = base64.b64decode(coded, validate=True)
        except (ValueError, binascii.Error) as error:
            raise VocabError(
                f"{where}:{number}: not a token and its rank ({str(error)[:50]}); wanted as `IQ== 0`. Name ranks."
            ) from None
    tokens = [found[rank] for rank in sorted(found)]
    if sorted(found) != list(range(len(found))) or len(set(tokens)) != len(tokens):
        raise VocabError(
            f"{where}: {len(found):,} ranks that are not 0, 1, 2, ... for different tokens. Fetch it again."
        )
    missing = 256 - sum(len(token) == 1 for token in tokens)
    if missing:
        raise VocabError(f"{where}: {missing} of the 256 single bytes have no token. Fetch it again.")
    return tokens


def to_tokenizer_json(data: bytes, where: str, split: str) -> bytes:
    """The tokenizer.json of a ranks file; one more id at the end begins documents. Raises VocabError."""
    if split not in SPLITS:
        raise VocabError(f"--split {split!r}: wanted one of {', '.join(SPLITS)}; a ranks file does not say.")
    tokens = read_ranks(data, where)
    alphabet = byte_alphabet()
    spelt = {token: "".join(alphabet[byte] for byte in token) for token in tokens}
    rank = {token: index for index, token in enumerate(tokens)}
    merges: list[list[str]] = []
    for token in tokens:
        cuts = [(token[:at], token[at:]) for at in range(1, len(token))]
        known = [cut for cut in cuts if cut[0] in rank and cut[1] in rank]
        known.sort(key=lambda cut: (rank[cut[0]], rank[cut[1]]))
        merges += [[spelt[left], spelt[right]] for left, right in known]
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    words = {"type": "Split", "pattern": {"Regex": SPLITS[split]}, "behavior": "Isolated", "invert": False}
    chain = {"type": "Sequence", "pretokenizers": [words, level]}
    content: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": len(tokens), "content": BEGIN, **special}],
        "normalizer": None,
        "pre_tokenizer": {**level, "use_regex": True} if split == "gpt2" else chain,
        "post_processor": None,
        "decoder": {**level, "use_regex": True},
        "model": bpe_model({spelt[token]: index for index, token in enumerate(tokens)}, merges, whole_words=True),
    }
    return (json.dumps(content, ensure_ascii=False) + "\n").encode("utf-8")
