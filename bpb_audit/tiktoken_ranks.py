"""Reader of tiktoken rank files: one token a line, base64 bytes and its rank, which is also its id.

The file holds no special tokens; GPT-2 gives the first id behind the ranks to its end-of-text mark, so one silent id is
added there. A space is an ordinary byte in these tokens: nothing is stripped and nothing is added between them.
"""

import base64
import binascii

import numpy as np

from .errors import AuditError
from .vocabulary import MAX_IDS, ByteTable, Vocabulary, build, merges_of


def read_ranks(data: bytes, where: str) -> Vocabulary:
    """The vocabulary in a rank file. Raises AuditError, naming the line, for anything that is not one."""
    ranks: dict[int, bytes] = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        words = line.split()
        if not words:
            continue
        try:
            coded, rank_text = words
            token, rank = base64.b64decode(coded, validate=True), int(rank_text)
        except (ValueError, binascii.Error):
            raise AuditError(f"{where}:{number}: {line[:60]!r} where base64 and a rank were wanted.") from None
        if not 0 <= rank < MAX_IDS or rank in ranks or not token:
            raise AuditError(
                f"{where}:{number}: rank {rank} of {len(token)} bytes; wanted new ranks below {MAX_IDS:,}."
            )
        ranks[rank] = token
    if not ranks:
        raise AuditError(f"{where}: no ranks in it; name a tiktoken file with --tokenizer FILE.")
    size = max(ranks) + 2
    if size > 2 * len(ranks) + 1000:
        raise AuditError(
            f"{where}: {len(ranks):,} tokens but ranks up to {size - 2:,}; lines are missing, fetch it again."
        )
    tokens = [ranks.get(rank, b"") for rank in range(size)]
    silent = np.array([not token for token in tokens])
    base = np.array([len(token) for token in tokens], np.int64)
    return build(
        "tiktoken byte-level bpe",
        tokens,
        ByteTable(base, np.zeros(size, bool), silent.copy()),
        silent,
        bos=size - 1,
        unknown=None,
        merges=merges_of({token: rank for rank, token in enumerate(tokens) if token}, size),
    )
