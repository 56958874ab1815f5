"""The kinds of vocabulary this room can train, and the folder each becomes.

A kind's name and options mean the same vocabulary for the same text for ever; a change is a new name.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from .aside import write_bytes, write_json
from .corpus import read_corpus
from .document import read_documents
from .errors import VocabError
from .fast_choice import with_engine
from .importers import IMPORTED
from .progress import Advance, nobody
from .spec import Spec, read_spec
from .tokenizer import Tokenizer

MODEL, JSON, TABLE = "tokenizer.model", "tokenizer.json", "token_table.npz"


@dataclass(frozen=True, slots=True)
class Kind:
    """train(texts, size) -> the tokenizer file; open(data, where) -> the tokenizer; `line` is for people.

    cut(data, size) -> the file that training at a smaller size would have made, where vocabularies are nested.
    """

    file: str
    line: str
    options: Callable[[], dict[str, Any]]
    train: Callable[[Iterable[str], int], bytes]
    open: Callable[[bytes, str], Tokenizer]
    cut: Callable[[bytes, int], bytes] | None = None


def _open_spm(data: bytes, where: str) -> Tokenizer:
    from .spm_engine import SentencePieceTokenizer

    return SentencePieceTokenizer(data, where)


def _open_byte_level(data: bytes, where: str) -> Tokenizer:
    from .byte_level import ByteLevelTokenizer

    return ByteLevelTokenizer(data, where)


def _open_bytes(data: bytes, where: str) -> Tokenizer:
    from .pure_bytes import from_file

    return from_file(data, where)


def _train_bytes(texts: Iterable[str], size: int) -> bytes:
    from .pure_bytes import SIZE, to_file

    if size != SIZE:
        raise VocabError(f"--size {size:,}: the bytes vocabulary has {SIZE} ids. Leave --size out, or say {SIZE}.")
    return to_file()


def _train_bpe(texts: Iterable[str], size: int) -> bytes:
    from .train_bpe import train

    return train(texts, size)


def _bpe_options() -> dict[str, Any]:
    from .train_bpe import OPTIONS

    return OPTIONS


def _spm(preset: str) -> tuple[Callable[[], dict[str, Any]], Callable[[Iterable[str], int], bytes]]:
    def options() -> dict[str, Any]:
        from . import train_spm

        return {**getattr(train_spm, preset), "longest_text": train_spm.LONGEST}

    def train(texts: Iterable[str], size: int) -> bytes:
        from . import train_spm

        return train_spm.train(texts, size, getattr(train_spm, preset))

    return options, train


def _cut_bpe(data: bytes, size: int) -> bytes:
    from .train_bpe import cut

    return cut(data, size)


def _cut_bpe_case(data: bytes, size: int) -> bytes:
    from .case_level import cut

    return cut(data, size)


def _train_bpe_case(texts: Iterable[str], size: int) -> bytes:
    from .case_level import train

    return train(texts, size)


def _bpe_case_options() -> dict[str, Any]:
    from .case_level import OPTIONS

    return OPTIONS


def _open_case_level(data: bytes, where: str) -> Tokenizer:
    from .case_level import open_tokenizer

    return open_tokenizer(data, where)


def _caseops(preset: str, line: str) -> Kind:
    """A SentencePiece kind that reads CaseOps."""

    def options() -> dict[str, Any]:
        from . import caseops, train_spm

        return {**getattr(train_spm, preset), "user_defined_symbols": list(caseops.OPERATORS)}

    def train(texts: Iterable[str], size: int) -> bytes:
        from . import caseops, train_spm

        return train_spm.train(map(caseops.encode, texts), size, options())

    return Kind(MODEL, line, options, train, _open_caseops)


def _open_caseops(data: bytes, where: str) -> Tokenizer:
    from .transformed import open_caseops

    return open_caseops(data, where)


def _bpe_split(split: str = "digits", module_name: str = "train_bpe_split", on: str = "") -> Kind:
    """Byte-level BPE with a split of train_bpe_split.py, by its name or as an expression."""

    def module() -> Any:
        return import_module(f".{module_name}", __package__)

    return Kind(
        JSON,
        f"byte-level BPE with another split (--split){on}; lossless",
        lambda: module().options(split),
        lambda texts, size: module().train(texts, size, split),
        lambda data, where: module().open_tokenizer(data, where),
        lambda data, size: module().cut(data, size),
    )


def _over_bytes(name: str, line: str) -> Kind:
    """A kind of byte_level.Form, all of it in the module train_NAME, which is imported when it is used."""

    def module() -> Any:
        return import_module(f".train_{name}", __package__)

    return Kind(
        JSON,
        line,
        lambda: module().OPTIONS,
        lambda texts, size: module().train(texts, size),
        lambda data, where: module().open_tokenizer(data, where),
    )


KINDS: dict[str, Kind] = {
    "bytes": Kind(JSON, "256 bytes and four special ids; no training", dict, _train_bytes, _open_bytes),
    "bpe": Kind(JSON, "byte-level BPE, GPT-2 split; lossless", _bpe_options, _train_bpe, _open_byte_level, _cut_bpe),
    "sp_bpe": Kind(MODEL, "SentencePiece BPE as the challenge trains it", *_spm("CHALLENGE"), _open_spm),
    "sp_bpe_lossless": Kind(MODEL, "SentencePiece BPE that changes no text", *_spm("LOSSLESS"), _open_spm),
    "bpe_case": Kind(
        JSON,
        "byte-level BPE with case as separate signs; lossless",
        _bpe_case_options,
        _train_bpe_case,
        _open_case_level,
        _cut_bpe_case,
    ),
    "sp_bpe_caseops": _caseops("CHALLENGE", "SentencePiece BPE on CaseOps text, as the records have it"),
    "bpe_split": _bpe_split(),
    "unigram": _over_bytes("unigram", "unigram over bytes, GPT-2 split; lossless"),
    "wordpiece": _over_bytes("wordpiece", "tokens of bpe, always the longest that fits; lossless"),
    "wordpiece_pruned": _over_bytes("wordpiece_pruned", "wordpiece without its least used tokens; lossless"),
    "superword": _over_bytes("superword", "byte-level BPE whose last merges join words; lossless"),
    "sp_unigram": Kind(MODEL, "SentencePiece unigram with the challenge's options", *_spm("UNIGRAM"), _open_spm),
    "sp_unigram_lossless": Kind(
        MODEL, "SentencePiece unigram that changes no text", *_spm("UNIGRAM_LOSSLESS"), _open_spm
    ),
}


def _over_case(name: str) -> Kind:
    """The byte-level kind `name` on folded case."""

    def module() -> Any:
        return import_module(".case_kinds", __package__)

    kind = f"{name}_case"
    return Kind(
        JSON,
        KINDS[name].line.replace(";", ", on folded case;"),
        lambda: module().CASE_KINDS[kind].options,
        lambda texts, size: module().train(kind, texts, size),
        lambda data, where: module().open_tokenizer(kind, data, where),
    )


COMPOSED: dict[str, Kind] = {  # a transform before the other kinds: CaseOps for SentencePiece, its bytes for the rest
    f"{name}_caseops": _caseops(preset, f"{KINDS[name].line}, on CaseOps text")
    for name, preset in (
        ("sp_bpe_lossless", "LOSSLESS"),
        ("sp_unigram", "UNIGRAM"),
        ("sp_unigram_lossless", "UNIGRAM_LOSSLESS"),
    )
}
COMPOSED |= {
    "bpe_split_case": _bpe_split(module_name="case_split", on=", on folded case"),
    **{f"{name}_case": _over_case(name) for name in ("unigram", "wordpiece", "wordpiece_pruned", "superword")},
}
SPLIT_BY = {"bpe_split": "train_bpe_split", "bpe_split_case": "case_split"}  # kinds with a --split, and their modules
EVERY = {**KINDS, **COMPOSED}
OPENERS: dict[str, Callable[[bytes, str], Tokenizer]] = {**IMPORTED, **{name: k.open for name, k in EVERY.items()}}


def training_documents(docs: Path, skip: int | None) -> Iterator[str]:
    """The texts behind the validation documents, whose count is `skip`, or stands in the corpus.json beside `docs`."""
    if skip is not None and not 0 <= skip < 1 << 62:
        raise VocabError(f"--skip-documents {skip}: wanted 0 or more documents.")
    if skip is None:
        corpus = read_corpus(docs)
        skip = corpus.validation_documents if corpus else 0
    return (document.text for document in islice(read_documents(docs), skip, None))


def train_vocabulary(
    kind: str,
    docs: Path | None,
    size: int,
    out: Path,
    skip: int | None = None,
    advance: Advance = nobody,
    split: str = "",
) -> Spec:
    """Train and write the folder `out`; the kind bytes reads no documents.

    advance: told of the bytes that were read. split: for a kind of SPLIT_BY, a name or an expression.

    Raises VocabError for an unknown kind, documents or sizes that do not do.
    """
    builder = EVERY.get(kind)
    if builder is None:
        raise VocabError(f"kind {kind!r} is not known; wanted one of {', '.join(EVERY)}.")
    if split:
        if kind not in SPLIT_BY:
            raise VocabError(f"--split {split!r:.40}: {kind} has its own. Train bpe_split, or leave --split out.")
        builder = _bpe_split(split, SPLIT_BY[kind])
        builder.options()  # an expression that cannot be read is refused before anything is
    if builder.train is _train_bytes:
        docs = None
    elif docs is None or next(training_documents(docs, skip), None) is None:
        raise VocabError(f"{docs or kind}: no training documents. Name documents with --docs FILE.")
    digest, counts = hashlib.sha256(), [0, 0]

    def texts() -> Iterator[str]:
        for text in training_documents(docs, skip) if docs else ():
            raw = text.encode("utf-8")
            digest.update(len(raw).to_bytes(8, "little") + raw)
            counts[0] += 1
            counts[1] += len(raw)
            advance(len(raw))
            yield text

    data = builder.train(texts(), size)
    trained_on = {"sha256": digest.hexdigest(), "documents": counts[0], "bytes": counts[1]}
    return _write(kind, builder, data, trained_on, out)


def cut_vocabulary(folder: Path, size: int, out: Path) -> Spec:
    """Write `out` as training the kind of `folder` at a smaller size would have; no text is read. Raises VocabError."""
    spec, _, data = open_vocabulary(folder)
    builder = EVERY.get(spec.kind)
    if builder is None or builder.cut is None or size > spec.size:
        raise VocabError(
            f"{folder}: {spec.kind}, {spec.size:,} ids, cannot be cut to {size:,}; wanted a nested kind "
            f"({', '.join(name for name, kind in EVERY.items() if kind.cut)}) and a smaller size."
        )
    same = replace(builder, options=lambda: spec.options)
    return _write(spec.kind, same, builder.cut(data, size), spec.trained_on, out)


def _write(kind: str, builder: Kind, data: bytes, trained_on: dict[str, Any], out: Path) -> Spec:
    """The folder of a vocabulary file."""
    tokenizer = builder.open(data, str(out / builder.file))
    digest = hashlib.sha256(data).hexdigest()
    spec = Spec(out.name, kind, tokenizer.size, tokenizer.lossless, builder.options(), trained_on, builder.file, digest)
    write_bytes(out / builder.file, data)
    write_bytes(out / TABLE, tokenizer.table.to_npz())
    write_json(out / "spec.json", spec.to_json())  # last: a folder with a spec is whole
    return spec


def open_vocabulary(folder: Path) -> tuple[Spec, Tokenizer, bytes]:
    """The spec, the tokenizer and its file's bytes. Raises VocabError when they do not belong together."""
    spec = read_spec(folder)
    path = folder / spec.file
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != spec.file_sha256 or spec.kind not in OPENERS:
        raise VocabError(
            f"{path}: sha256 {found[:12]}..., kind {spec.kind!r:.40}; spec.json wants {str(spec.file_sha256)[:12]}... "
            "and a kind that is known. Train or import it again."
        )
    tokenizer = OPENERS[spec.kind](data, str(path))
    if tokenizer.size != spec.size:
        raise VocabError(f"{path}: {tokenizer.size:,} ids, spec.json says {spec.size:,}. Train or import it again.")
    return spec, with_engine(spec.kind, spec.name, tokenizer, data), data
