"""Everything an audit was given, in one frozen value that every rule reads.

All of it is optional but the path: a rule whose evidence is `None` says UNCHECKED and names the flag. Expensive
derived things (the record folder read, the bytes recounted) are computed once, on first use, and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .submission import Submission


@dataclass(frozen=True)
class Truth:
    """Bytes of the validation text recounted from the raw documents and the shards; the recount side fills it in.

    `targets` tokens that are scored (every token but the first, tail beyond the last full sequence dropped when
    `seq_len` is known), `tokens` all tokens in the validation shards, `bytes_*` over the same targets unless the name
    says otherwise: `bytes_raw` UTF-8 of the documents as published, `bytes_table` by the official table,
    `bytes_sidecar` by the sidecar; None when that evidence is absent. `basis` says in words what was counted.
    """

    tokens: int
    documents: int
    targets: int
    bytes_raw: int | None = None
    bytes_table: int | None = None
    bytes_sidecar: int | None = None
    bytes_raw_all: int | None = None
    basis: str = ""


@dataclass(frozen=True)
class Evidence:
    """What was given. Paths are not opened here.

    `path` the record folder or single file (log, script, json) under audit, `docs` the documents as JSON lines with
    `text`, `shards` the folder with `fineweb_val_*.bin`, `tokenizer` a `.model`, `tokenizer.json`, tiktoken ranks or
    `.npz` table, `sidecar` per-token bytes of the validation shards, `seq_len` and `stride` of the evaluation in
    tokens, `documents` how many first documents are validation (None: as many as the shards hold).
    `allow_limits_only` lets a submission's function run where neither bubblewrap nor namespaces work.
    """

    path: Path
    docs: Path | None = None
    shards: Path | None = None
    tokenizer: Path | None = None
    sidecar: Path | None = None
    seq_len: int | None = None
    stride: int | None = None
    documents: int | None = None
    allow_limits_only: bool = False

    @cached_property
    def submission(self) -> Submission:
        """The record folder, read once. Raises AuditError when nothing there can be read."""
        from .submission import read_submission

        return read_submission(self.path)

    @cached_property
    def truth(self) -> Truth | None:
        """The recounted bytes, or None when docs/shards/tokenizer do not suffice. Raises AuditError on broken files."""
        from .recount import measure_truth

        return measure_truth(self)

    @property
    def own_text(self) -> bool:
        """True when a validation text was given (docs or shards): then the public table of FineWeb does not apply."""
        return self.docs is not None or self.shards is not None
