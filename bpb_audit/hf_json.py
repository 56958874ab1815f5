"""Reader of Hugging Face `tokenizer.json`: BPE, Unigram, WordPiece, WordLevel, added tokens, the decoder's rules.

What a token stands for is decided by the file's decoder, not by its model: a byte-level decoder reads the GPT-2
alphabet, a metaspace decoder turns U+2581 into a space, a WordPiece decoder puts spaces before whole words. The
challenge's own `pure_byte` JSON (byte260) is read here as well, and the lab's case vocabularies by case_level.py.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .byte_alphabet import byte_fallback, character_to_byte, to_bytes
from .case_level import FORMAT, WRAPPED, case_level, signs_not_counted
from .errors import AuditError
from .vocabulary import MAX_IDS, ByteTable, StartSpace, Vocabulary, build

SPACE = "\u2581"
BOS_NAMES = ("<s>", "<bos>", "[BOS]", "<|bos|>", "<|endoftext|>", "<|begin_of_text|>", "<bos >", "[CLS]")

# WordPiece clean-up joins these to the word before them; it sees one token at a time, so the longer rules of that list
# never apply. Source: `cleanup` in huggingface/tokenizers, decoders/wordpiece.rs.
JOINED = (".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re")


@dataclass(slots=True)
class _Decoder:
    """How token strings become bytes, gathered from the decoder entry."""

    byte_level: bool = False
    byte_fallback: bool = False
    word_prefix: str | None = None
    cleanup: bool = False
    start_space: StartSpace = "keep"
    replaced: list[tuple[str, str]] = field(default_factory=list)


def _want(condition: bool, where: str, met: str, wanted: str) -> None:
    if not condition:
        raise AuditError(f"{where}: {met}; wanted {wanted}. Name a tokenizer.json with --tokenizer FILE.")


def _read_decoder(entry: Any, found: _Decoder, where: str) -> _Decoder:
    _want(isinstance(entry, dict), where, f"decoder {entry!r:.40}", "an object")
    kind = entry.get("type")
    if kind == "Sequence":
        parts = entry.get("decoders")
        _want(isinstance(parts, list) and len(parts) < 32, where, f"decoders {parts!r:.40}", "a short list")
        for part in parts:
            _want(isinstance(part, dict) and part.get("type") != "Sequence", where, "nested decoders", "a flat list")
            _read_decoder(part, found, where)
    elif kind == "ByteLevel":
        found.byte_level = True
    elif kind == "ByteFallback":
        found.byte_fallback = True
    elif kind == "Metaspace":
        sign = entry.get("replacement", SPACE)
        _want(isinstance(sign, str) and len(sign) == 1, where, f"metaspace {sign!r:.20}", "one character")
        found.replaced.append((sign, " "))
        scheme = entry.get("prepend_scheme", "always" if entry.get("add_prefix_space", True) else "never")
        found.start_space = "keep" if scheme == "never" else "first"
    elif kind == "Replace":
        pattern = entry.get("pattern")
        literal = pattern.get("String") if isinstance(pattern, dict) else None
        content = entry.get("content")
        known = isinstance(literal, str) and literal and isinstance(content, str) and len(content) <= 8
        _want(
            bool(known) and len(found.replaced) < 4, where, f"decoder replaces {pattern!r:.60}", "a few literal strings"
        )
        found.replaced.append((str(literal), str(content)))
    elif kind == "Strip":
        _want(entry.get("content") == " ", where, f"decoder strips {entry.get('content')!r}", "spaces")
        found.start_space = "first" if entry.get("start") == 1 else "keep"
    elif kind == "WordPiece":
        found.word_prefix = str(entry.get("prefix", "##"))
        found.cleanup = bool(entry.get("cleanup", True))
        found.start_space = "first"
    elif kind != "Fuse":
        _want(
            False,
            where,
            f"a decoder of type {kind!r}",
            "ByteLevel, Metaspace, ByteFallback, Replace, Strip or WordPiece",
        )
    return found


def _vocabulary_entries(model: dict[str, Any], where: str) -> dict[int, str]:
    vocab = model.get("vocab")
    pairs: list[tuple[Any, Any]] = []
    if isinstance(vocab, list):  # Unigram: [[piece, score], ...]
        pairs = [(e[0] if isinstance(e, list) and e else None, i) for i, e in enumerate(vocab)]
    elif isinstance(vocab, dict):
        pairs = list(vocab.items())
    _want(bool(pairs), where, f"a vocab of type {type(vocab).__name__}", "tokens in an object or a list")
    entries: dict[int, str] = {}
    for token, token_id in pairs:
        good = isinstance(token, str) and type(token_id) is int and 0 <= token_id < MAX_IDS
        _want(good, where, f"the vocab entry {token!r:.40}: {token_id!r:.20}", f"a string and an id below {MAX_IDS:,}")
        entries[token_id] = token
    return entries


def _merges(model: dict[str, Any], entries: dict[int, str], size: int) -> np.ndarray | None:
    merges = model.get("merges")
    if model.get("type") != "BPE" or not isinstance(merges, list):
        return None
    ids = {token: token_id for token_id, token in entries.items()}
    pairs = []
    for merge in merges:
        parts = merge.split(" ") if isinstance(merge, str) else merge
        if isinstance(parts, list) and len(parts) == 2 and all(isinstance(p, str) and p in ids for p in parts):
            pairs.append(ids[parts[0]] * size + ids[parts[1]])
    return np.unique(np.array(pairs, np.int64))


def _token_bytes(token: str, rules: _Decoder, alphabet: dict[str, int]) -> tuple[bytes, int, bool]:
    """(bytes, base bytes of the official table, leading space) of one ordinary token."""
    if rules.byte_level:
        value = to_bytes(token, alphabet)
        return value, len(value), False
    byte = byte_fallback(token) if rules.byte_fallback else None
    if byte is not None:
        return bytes([byte]), 1, False
    if rules.word_prefix is not None:
        inside = token.startswith(rules.word_prefix)
        joined = inside or (rules.cleanup and token.startswith(JOINED))
        token = (token[len(rules.word_prefix) :] if inside else token) if joined else " " + token
    for old, new in rules.replaced:
        token = token.replace(old, new)
    value = token.encode("utf-8")
    spaced = value.startswith(b" ")
    return value, len(value) - spaced, spaced


def read_tokenizer_json(data: bytes, where: str) -> Vocabulary:
    """The vocabulary in a tokenizer.json or pure_byte JSON. Raises AuditError for anything else."""
    try:
        top = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise AuditError(
            f"{where}: not JSON ({str(error)[:80]}). Name a tokenizer.json with --tokenizer FILE."
        ) from None
    _want(isinstance(top, dict), where, f"a {type(top).__name__}", "an object")
    if top.get("tokenizer_type") == "pure_byte":
        return _pure_byte(top, where)
    if top.get("format") == FORMAT:
        return case_level(top, where)
    if top.get("format") == WRAPPED:
        inner = top.get("tokenizer")
        _want(isinstance(inner, dict), where, f"a tokenizer of type {type(inner).__name__}", "an object")
        return signs_not_counted(_ordinary(inner, where), where)
    return _ordinary(top, where)


def _ordinary(top: dict[str, Any], where: str) -> Vocabulary:
    model: Any = top.get("model")
    _want(isinstance(model, dict), where, f"keys {sorted(map(str, top))[:6]}", 'an object under "model"')
    entries = _vocabulary_entries(model, where)
    decoder, before = top.get("decoder"), top.get("pre_tokenizer")
    if decoder is None and isinstance(before, dict) and before.get("type") == "ByteLevel":
        decoder = before  # a byte-level file without its decoder still means bytes
    rules = _read_decoder(decoder, _Decoder(), where)
    special: set[int] = set()
    literal: set[int] = set()
    extra = top.get("added_tokens") or []
    _want(isinstance(extra, list), where, f"added tokens {extra!r:.40}", "a list")
    for added in extra:
        _want(isinstance(added, dict), where, f"the added token {added!r:.60}", "an object")
        token_id, content = added.get("id"), added.get("content")
        good = type(token_id) is int and 0 <= token_id < MAX_IDS and isinstance(content, str)
        _want(good, where, f"the added token {added!r:.60}", "an id and a content")
        entries[token_id] = content
        (special if added.get("special") else literal).add(token_id)
    unknown_name = model.get("unk_token")
    unknown = next((i for i, t in entries.items() if t == unknown_name), None) if unknown_name else model.get("unk_id")
    _want(bool(entries), where, "an empty vocab", "at least one token")
    size = max(entries) + 1
    alphabet = character_to_byte()
    tokens, base, spaced = [b""] * size, np.zeros(size, np.int64), np.zeros(size, bool)
    silent = np.ones(size, bool)
    for token_id, token in entries.items():
        if token_id in special or (type(unknown) is int and token_id == unknown):
            continue
        silent[token_id] = False
        try:
            if token_id in literal:
                tokens[token_id] = token.encode("utf-8")
                base[token_id] = len(tokens[token_id])
            else:
                tokens[token_id], base[token_id], spaced[token_id] = _token_bytes(token, rules, alphabet)
        except UnicodeEncodeError:
            raise AuditError(f"{where}: token {token_id} is {token!a:.60}, a lone surrogate without UTF-8.") from None
    return build(
        f"hf {str(model.get('type', 'model')).lower()}{' byte-level' if rules.byte_level else ''}",
        tokens,
        ByteTable(base, spaced, silent.copy()),
        silent,
        bos=next((i for name in BOS_NAMES for i in special if entries[i] == name), None),
        unknown=unknown if type(unknown) is int and 0 <= unknown < size else None,
        start_space=rules.start_space,
        normaliser=_normaliser_name(top.get("normalizer")),
        merges=_merges(model, entries, size),
    )


def _normaliser_name(entry: Any) -> str:
    if not isinstance(entry, dict):
        return "identity"
    parts = entry.get("normalizers")
    if isinstance(parts, list):
        return " + ".join(_normaliser_name(part) for part in parts[:8] if not isinstance(part, list))[:200]
    return str(entry.get("type", "unknown"))[:40] + (" lower case" if entry.get("lowercase") else "")


def _pure_byte(top: dict[str, Any], where: str) -> Vocabulary:
    config = top.get("config")
    config = config if isinstance(config, dict) else {}
    offset, count = config.get("byte_offset", 4), config.get("byte_count", 256)
    good = type(offset) is int and 0 <= offset < 1024 and count == 256
    _want(
        good, where, f"byte_offset {offset!r:.20} and byte_count {count!r:.20}", "an offset below 1,024 and 256 bytes"
    )
    tokens = [b""] * offset + [bytes([byte]) for byte in range(256)]
    silent = np.arange(offset + 256) < offset
    bos, unknown = config.get("bos_id", 1), config.get("unk_id", 3)
    return build(
        "pure byte",
        tokens,
        ByteTable((~silent).astype(np.int64), np.zeros(len(tokens), bool), silent.copy()),
        silent,
        bos=bos if type(bos) is int and 0 <= bos < offset else None,
        unknown=unknown if type(unknown) is int and 0 <= unknown < offset else None,
    )
