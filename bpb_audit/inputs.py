"""What the recount has to work with: the files an audit was given or that lie beside the shards, opened and checked.

A flag goes before a file found by name. The document mark (BOS) is the first token of the shards when the vocabulary
calls that token silent, so vocabularies that put it elsewhere than at 1 are read right. The pass over all files is made
once for an audit and kept, as a dozen rules read from it.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .errors import AuditError
from .evidence import Evidence
from .progress import Progress
from .shard_reader import Stream, find_shards, find_sidecars, open_stream
from .survey import Plan, Survey, run
from .tokenizer_files import find_table, find_tokenizer, open_tokenizer
from .vocabulary import ByteTable, Vocabulary


@dataclass(frozen=True, slots=True)
class Inputs:
    """Opened files, each None where there is none. Paths are kept for messages."""

    stream: Stream
    vocabulary: Vocabulary | None
    tokenizer_path: Path | None
    table: ByteTable | None  # shipped as numbers, beside or instead of a tokenizer
    table_path: Path | None
    sidecar: Stream | None
    docs: Path | None
    bos: int
    refused: str = (
        ""  # why a tokenizer file that is there cannot be read; what needs no tokenizer is counted all the same
    )


def _tokenizers(evidence: Evidence, shards: Path) -> tuple[Path | None, Path | None]:
    """(tokenizer, table) paths, by flag first, then beside the shards, then in the record folder."""
    record = evidence.path
    places = [shards, shards / "tokenizers", record, record / "tokenizers"]
    tokenizer = next((path for path in map(find_tokenizer, places) if path), None) or _published(shards)
    table = next((path for path in map(find_table, places) if path), None)
    if evidence.tokenizer is not None:
        with evidence.tokenizer.open("rb") as file:
            is_table = file.read(6)[:2] == b"PK" or evidence.tokenizer.suffix == ".npy"
        return (tokenizer, evidence.tokenizer) if is_table else (evidence.tokenizer, table)
    return tokenizer, table


def _published(shards: Path) -> Path | None:
    """The tokenizer of the published layout: datasets/fineweb10B_sp1024 beside tokenizers/fineweb_1024_bpe.model."""
    size = re.search(r"sp_?(\d+)", shards.name)
    if size is None:
        return None
    folders = [shards.absolute().parents[up] / "tokenizers" for up in range(min(2, len(shards.absolute().parents)))]
    found = [path for folder in folders for path in sorted(folder.glob(f"*_{size[1]}_*.model"))]
    cased = [path for path in found if ("caseops" in path.name) == ("caseops" in shards.name)]
    return cased[0] if len(cased) == 1 else None


def sidecar_stream(evidence: Evidence, shards: Path) -> Stream | None:
    """The sidecar given by flag (a file, or a folder of them) or found beside the shards; None without one."""
    given = evidence.sidecar
    if given is None:
        files = find_sidecars(shards)
        return open_stream(files) if files else None
    files = (find_sidecars(given) or sorted(given.glob("*.bin"))) if given.is_dir() else [given]
    if not files:
        raise AuditError(f"{given}: no sidecar in it; wanted fineweb_val_*.bytes or fineweb_val_bytes_*.bin.")
    return open_stream(files)


def open_inputs(evidence: Evidence) -> Inputs | None:
    """Everything there is to recount with; None when no shards were given. Raises AuditError for broken files."""
    if evidence.shards is None:
        return None
    shards = evidence.shards
    files = find_shards(shards, "val")
    if not files:
        raise AuditError(
            f"{shards}: no fineweb_val_*.bin in it. Give the folder of the validation shards with --shards."
        )
    stream = open_stream(files)
    if not stream.total:
        raise AuditError(f"{files[0]}: holds no tokens; an empty validation split proves nothing.")
    tokenizer_path, table_path = _tokenizers(evidence, shards)
    opened, refused = None, ""
    try:
        opened = open_tokenizer(tokenizer_path) if tokenizer_path else None
    except AuditError as error:
        refused = str(error)
    vocabulary = opened if isinstance(opened, Vocabulary) else None
    table = open_tokenizer(table_path) if table_path else opened
    first = int(next(stream.chunks(1))[0])
    bos = 1
    if vocabulary is None and isinstance(table, ByteTable) and first < len(table) and not table.base_bytes[first]:
        bos = first
    if vocabulary is not None:
        known = first < len(vocabulary) and bool(vocabulary.silent[first])
        bos = first if known else vocabulary.bos if vocabulary.bos is not None else 1
    return Inputs(
        stream,
        vocabulary,
        tokenizer_path if vocabulary else None,
        table if isinstance(table, ByteTable) else None,
        table_path,
        sidecar_stream(evidence, shards),
        evidence.docs,
        bos,
        refused,
    )


@dataclass(frozen=True, slots=True)
class Recount:
    """Opened inputs and the one pass over them."""

    inputs: Inputs
    survey: Survey


def _stamp(path: Path | None) -> tuple[str, int, int]:
    """What makes a kept recount stale: the path and, for files and folders alike, when it changed and its size."""
    if path is None or not path.exists():
        return (str(path), 0, 0)
    parts = sorted(path.iterdir()) if path.is_dir() else []
    stats = [each.stat() for each in (path, *parts)]
    return (str(path), max(s.st_mtime_ns for s in stats), sum(s.st_size for s in stats))


@lru_cache(maxsize=2)
def _kept(evidence: Evidence, _stamps: tuple[tuple[str, int, int], ...]) -> Recount | AuditError | None:
    """The recount or the error it ended in, so that a dozen rules do not each run into it anew."""
    try:
        return _recount(evidence)
    except AuditError as error:
        return error


def _recount(evidence: Evidence) -> Recount | None:
    inputs = open_inputs(evidence)
    if inputs is None:
        return None
    if inputs.sidecar is not None and inputs.sidecar.total != inputs.stream.total:
        raise AuditError(
            f"{inputs.sidecar.files[0]}: {inputs.sidecar.total:,} values beside {inputs.stream.total:,} tokens; "
            "the sidecar belongs to other shards. Write both in one export."
        )
    plan = Plan(inputs.stream, inputs.vocabulary, inputs.table, inputs.sidecar, inputs.docs, inputs.bos)
    tell = Progress("recounting", "tokens", inputs.stream.total)
    try:
        return Recount(inputs, run(plan, tell))
    finally:
        tell.wipe()


def recount(evidence: Evidence) -> Recount | None:
    """The recount of this audit, made once; None without shards. Raises AuditError for broken files."""
    found = _tokenizers(evidence, evidence.shards) if evidence.shards is not None else ()
    paths = (evidence.docs, evidence.shards, evidence.sidecar, *found)
    kept = _kept(evidence, tuple(map(_stamp, paths)))
    if isinstance(kept, AuditError):
        raise AuditError(str(kept))
    return kept
