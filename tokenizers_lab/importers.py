"""Vocabularies from elsewhere, as a folder of this lab: SentencePiece, `tokenizer.json`, tiktoken ranks, TokenMonster.

The file is taken over byte for byte (a ranks file is rewritten as tokenizer.json, with the same ids). What it is
follows from its content. The spec says where it came from and how lossless the file claims to be; `pglab vocab compare`
measures the truth.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .aside import write_bytes, write_json
from .errors import VocabError
from .spec import Spec
from .tokenizer import Tokenizer
from .tokenmonster import looks_like

Open = Callable[[bytes, str], Tokenizer]
MODEL, JSON, VOCAB, TABLE = "tokenizer.model", "tokenizer.json", "tokenizer.vocab", "token_table.npz"


def _open_model(data: bytes, where: str) -> Tokenizer:
    from .spm_engine import SentencePieceTokenizer

    return SentencePieceTokenizer(data, where)


def _open_caseops(data: bytes, where: str) -> Tokenizer:
    from .transformed import open_caseops

    return open_caseops(data, where)


def _open_json(data: bytes, where: str) -> Tokenizer:
    from .foreign_hf import ForeignTokenizer

    return ForeignTokenizer(data, where)


def _open_bytes(data: bytes, where: str) -> Tokenizer:
    from .pure_bytes import from_file

    return from_file(data, where)


def _open_tokenmonster(data: bytes, where: str) -> Tokenizer:
    from .tokenmonster import TokenMonsterTokenizer

    return TokenMonsterTokenizer(data, where)


IMPORTED: dict[str, Open] = {
    "sp": _open_model,
    "sp_caseops": _open_caseops,
    "hf": _open_json,
    "bytes": _open_bytes,
    "tokenmonster": _open_tokenmonster,
}


def import_vocabulary(file: Path, out: Path, transform: str = "", split: str = "") -> Spec:
    """Write the folder `out` from a vocabulary file.

    transform: "caseops" for a `.model` trained on CaseOps text. split: "gpt2" or "cl100k", for a ranks file. Raises
    VocabError for a file of another kind, OSError.
    """
    data = file.read_bytes()
    where, options = str(file), {"imported_from": file.name, "imported_sha256": hashlib.sha256(data).hexdigest()}
    if transform not in ("", "caseops"):
        raise VocabError(f"--transform {transform!r}: wanted caseops, or nothing.")
    start = data[:64].lstrip()
    ranks = file.suffix == ".tiktoken" or _is_ranks_line(data[:400].split(b"\n")[0])
    if transform and (start.startswith(b"{") or ranks or looks_like(data)):
        raise VocabError(f"{where}: --transform caseops is for SentencePiece models. Leave it out.")
    if split and not ranks:
        raise VocabError(f"{where}: --split is for tiktoken ranks; this file says itself how it splits. Leave it out.")
    if ranks:
        from .tiktoken_ranks import to_tokenizer_json

        kind, name, data = "hf", JSON, to_tokenizer_json(data, where, split)
        options["split"] = split
    elif start.startswith(b"{"):
        kind, name = "bytes" if b'"pure_byte"' in data[:1000] else "hf", JSON
    elif looks_like(data):
        kind, name = "tokenmonster", VOCAB
    else:
        kind, name = "sp_caseops" if transform else "sp", MODEL
    tokenizer = IMPORTED[kind](data, where)
    if tokenizer.bos < 0:
        raise VocabError(f"{where}: has no id that begins a document (bos_id is -1). The challenge's shards need one.")
    nothing: dict[str, Any] = {}
    digest = hashlib.sha256(data).hexdigest()
    spec = Spec(out.name, kind, tokenizer.size, tokenizer.lossless, options, nothing, name, digest)
    write_bytes(out / name, data)
    write_bytes(out / TABLE, tokenizer.table.to_npz())
    write_json(out / "spec.json", spec.to_json())  # last: a folder with a spec is whole
    return spec


def _is_ranks_line(line: bytes) -> bool:
    words = line.split()
    return (
        len(words) == 2 and words[1].isdigit() and words[0].rstrip(b"=").replace(b"+", b"").replace(b"/", b"").isalnum()
    )
