"""How the file of our byte-level vocabularies, a `tokenizer.json`, is written: there is one way only.

Tokens are spelt in the GPT-2 alphabet, which gives each of the 256 bytes a visible character. The ids: 0..3 special,
then the 256 bytes in order, then the merges in the order they were learnt. Everything a reader needs follows from the
merges, and a file that says anything else is not one of ours.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from .errors import VocabError
from .tokenizer import SPECIAL_NAMES


def byte_alphabet() -> list[str]:
    """The GPT-2 character of each byte 0..255: printable Latin-1 stands for itself, the rest follow from U+0100."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = iter(range(0x100, 0x200))
    visible = set(plain)
    return [chr(byte) if byte in visible else chr(next(rest)) for byte in range(256)]


def added_tokens() -> list[dict[str, Any]]:
    """The special ids as a tokenizer.json declares them."""
    rules = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return [{"id": token_id, "content": name, **rules} for token_id, name in enumerate(SPECIAL_NAMES)]


def to_file(merges: list[tuple[str, str]], size: int) -> bytes:
    """The tokenizer.json of merges (in GPT-2 characters). Raises VocabError unless they make exactly `size` ids."""
    return written(to_content(merges, size))


def to_content(merges: list[tuple[str, str]], size: int) -> dict[str, Any]:
    """What stands in that file."""
    names = [*SPECIAL_NAMES, *byte_alphabet(), *(left + right for left, right in merges)]
    vocab = {name: token_id for token_id, name in enumerate(names)}
    if len(vocab) != len(names) or len(names) != size:
        raise VocabError(
            f"the training text gives {len(vocab):,} ids, {size:,} were asked for. Give more text or a smaller --size."
        )
    return framed(bpe_model(vocab, merges))


def bpe_model(vocab: dict[str, int], merges: Iterable[Sequence[str]], whole_words: bool = False) -> dict[str, Any]:
    """The "model" of a BPE tokenizer.json. whole_words: a word that is a token is one, whatever the merges say."""
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": whole_words,
        "vocab": vocab,
        "merges": [list(pair) for pair in merges],
    }


def framed(model: dict[str, Any], split: dict[str, Any] | None = None) -> dict[str, Any]:
    """The content of a tokenizer.json around a model over the byte alphabet; `split` instead of the GPT-2 split."""
    words = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens(),
        "normalizer": None,
        "pre_tokenizer": split or words,
        "post_processor": None,
        "decoder": words,
        "model": model,
    }


def written(content: dict[str, Any]) -> bytes:
    """The bytes of the file."""
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


def again(model: dict[str, Any]) -> dict[str, Any]:
    """The content that the merges of a model make: the one way it may be."""
    merges = [(left, right) for left, right in model["merges"]]
    return to_content(merges, len(SPECIAL_NAMES) + 256 + len(merges))
