"""Reader of the lab's own case vocabularies: byte-level tokens in which three bytes are case signs.

The bytes 0xFD, 0xFE and 0xFF are case signs (case_signs.py) and stand for no byte of the document, so a token counts
its bytes that are no sign, and the byte table is exact without a sidecar. A file `pglab-case-level-1` is byte-level
BPE: it lists the special ids and then merges, in the GPT-2 alphabet, and the ids follow: specials first, then the 256
bytes in order, then one id a merge. A file `pglab-case-level-2` holds, under "tokenizer", an ordinary tokenizer.json
with a byte-level decoder, which hf_json.py reads.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from .byte_alphabet import character_to_byte
from .case_signs import FIRST_SIGN, count_signs
from .errors import AuditError
from .vocabulary import MAX_IDS, ByteTable, Vocabulary, build

FORMAT, WRAPPED = "pglab-case-level-1", "pglab-case-level-2"
SPECIAL = ("pad", "bos", "eos", "unk")


def _specials(entry: Any, where: str) -> dict[str, int]:
    """Name without brackets and blanks -> id; the ids must run 0, 1, 2 ... and every entry must be special."""
    found: dict[str, int] = {}
    for at, added in enumerate(entry if isinstance(entry, list) else []):
        named = isinstance(added, dict) and isinstance(added.get("content"), str)
        if not named or type(added.get("id")) is not int or added["id"] != at or added.get("special") is not True:
            raise AuditError(f"{where}: the added token {added!r:.60}; wanted specials with ids 0, 1, 2 in order.")
        found[added["content"].strip("<>[]| ")] = at
    if sorted(found) != sorted(SPECIAL):
        raise AuditError(f"{where}: special tokens {sorted(found)!r:.60}; wanted {', '.join(SPECIAL)}, each once.")
    return found


def case_level(top: dict[str, Any], where: str) -> Vocabulary:
    """The vocabulary in the parsed JSON of such a file. Raises AuditError for merges that build on nothing."""
    special = _specials(top.get("added_tokens"), where)
    merges = top.get("merges")
    if not isinstance(merges, list) or len(merges) > MAX_IDS - 512:
        raise AuditError(f"{where}: merges {merges!r:.40}; wanted a list of pairs of tokens.")
    alphabet = character_to_byte()
    spelt = sorted(alphabet, key=alphabet.__getitem__)
    ids = {character: len(special) + byte for byte, character in enumerate(spelt)}
    pairs: list[tuple[int, int]] = []
    for number, merge in enumerate(merges):
        known = isinstance(merge, list) and len(merge) == 2 and all(isinstance(p, str) and p in ids for p in merge)
        if not known or merge[0] + merge[1] in ids:
            raise AuditError(
                f"{where}: merge {number:,} is {merge!r:.60}; wanted two earlier tokens that make a new one."
            )
        pairs.append((ids[merge[0]], ids[merge[1]]))
        ids[merge[0] + merge[1]] = len(special) + len(spelt) + number
    tokens = [b""] * len(special) + [bytes(alphabet[c] for c in token) for token in ids]
    size = len(tokens)
    silent = np.arange(size) < len(special)
    base = np.array([sum(byte < FIRST_SIGN for byte in token) for token in tokens], np.int64)
    made = build(
        "case-level bpe",
        tokens,
        ByteTable(base, np.zeros(size, bool), silent.copy()),
        silent,
        bos=special["bos"],
        unknown=special["unk"],
        merges=np.unique(np.array([left * size + right for left, right in pairs], np.int64)),
    )
    return replace(made, transform="case signs")


def signs_not_counted(plain: Vocabulary, where: str) -> Vocabulary:
    """A byte-level vocabulary, read as one of text with case signs. Raises AuditError for any other."""
    if not plain.kind.endswith("byte-level"):
        raise AuditError(f"{where}: case signs over {plain.kind}; wanted a byte-level decoder inside.")
    base = plain.table.base_bytes - count_signs(plain.flat, plain.ends)
    return replace(
        plain, kind=f"{plain.kind} with case signs", table=replace(plain.table, base_bytes=base), transform="case signs"
    )
