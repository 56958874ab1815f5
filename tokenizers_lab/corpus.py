"""Documents become a corpus: `docs.jsonl`, validation documents first as in the challenge, and `corpus.json` beside it.

Which documents are held out is decided by the hash of their text: the same documents give the same split in any order,
spread over the whole collection, and two copies of one text never stand on both sides. Documents are taken in the order
of their hashes as long as each brings the held-out bytes nearer to the share that was asked for; none is cut. Within
each side the order of the source is kept. The source is read three times instead of being held in memory.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .aside import aside, write_json
from .document import COLUMN, Document, read_documents
from .errors import VocabError
from .speeches import embedded


@dataclass(frozen=True, slots=True)
class Corpus:
    """What `corpus.json` says: counts of documents and of their raw UTF-8 bytes. `sha256` is of docs.jsonl.

    skipped: lines of the source that were no documents and were left out, as was asked for.
    """

    source: str
    sha256: str
    documents: int
    bytes: int
    validation_documents: int
    validation_bytes: int
    train_documents: int
    train_bytes: int
    skipped: int = 0


def choose_validation(sizes: dict[bytes, int], share: float) -> set[bytes]:
    """The hashes whose texts are held out; `sizes` maps the hash of a text to the bytes of all its copies.

    Raises VocabError when a side would be empty.
    """
    wanted = share * sum(sizes.values())
    held: set[bytes] = set()
    total = 0
    for digest in sorted(sizes):
        if abs(total + sizes[digest] - wanted) < abs(total - wanted):
            held.add(digest)
            total += sizes[digest]
    some = {digest for digest in sizes if sizes[digest]}  # an empty document has no bits and teaches nothing
    if not held and len(some) > 1:  # one giant and a tiny share: the smallest document is the nearest
        held.add(min(some, key=lambda digest: (sizes[digest], digest)))
    if not held or some <= held:
        raise VocabError(
            f"{len(some):,} different document{'s' * (len(some) != 1)} with text cannot be split into {share:.1%} for "
            "validation and the rest for training; wanted one on each side. Name more documents or another "
            "--validation-share."
        )
    return held


def write_corpus(
    out: Path, docs: Path | None = None, share: float = 0.05, skip_bad: bool = False, column: str = COLUMN
) -> tuple[Corpus, str]:
    """Write `out`/docs.jsonl and corpus.json; returns the counts and a note for the user ("" for none).

    docs: a file or folder of documents, None for the embedded speeches. share: of the bytes, for validation, between
    0 and 1. column: where lines and parquet files have the text. skip_bad: leave out lines that are no documents; the
    note counts them, so that everything behind reads a clean docs.jsonl. Raises VocabError for documents that cannot be
    read or split, OSError.
    """
    if not 0 < share < 1:
        raise VocabError(f"--validation-share {share}: wanted a number between 0 and 1, as 0.05.")
    if docs is None:
        found = embedded()
        return _write(out, found.source, lambda: found.documents, share), found.note
    if not skip_bad:
        return _write(out, docs.name, lambda: read_documents(docs, column=column), share), ""
    skipped: list[str] = []

    def readable() -> Iterator[Document]:
        skipped.clear()
        return read_documents(docs, skipped, column)

    corpus = _write(out, docs.name, readable, share, skipped)
    note = f"{len(skipped):,} lines are no documents and were left out; the first: {skipped[0]}" if skipped else ""
    return corpus, note


def _digest(document: Document) -> bytes:
    return hashlib.sha256(document.text.encode("utf-8")).digest()[:16]


def _write(
    out: Path, source: str, documents: Callable[[], Iterable[Document]], share: float, skipped: Sized = ()
) -> Corpus:
    """skipped: what a reading of `documents` left out, so far."""
    sizes: dict[bytes, int] = {}
    for document in documents():
        digest = _digest(document)
        sizes[digest] = sizes.get(digest, 0) + document.size
    if not sizes:
        raise VocabError(f"{source}: no documents in it; wanted at least two.")
    held = choose_validation(sizes, share)

    def side(validation: bool) -> Iterator[Document]:
        return (document for document in documents() if (_digest(document) in held) == validation)

    whole = hashlib.sha256()
    counts, total = [0, 0], [0, 0]
    with aside(out / "docs.jsonl") as file:
        for index, validation in enumerate((True, False)):
            for document in side(validation):
                line = json.dumps({"text": document.text}, ensure_ascii=False).encode("utf-8") + b"\n"
                file.write(line)
                whole.update(line)
                counts[index] += 1
                total[index] += document.size
    sides = (counts[0], total[0], counts[1], total[1])
    corpus = Corpus(source, whole.hexdigest(), sum(counts), sum(total), *sides, len(skipped))
    write_json(out / "corpus.json", asdict(corpus))
    return corpus


def read_corpus(docs: Path) -> Corpus | None:
    """The corpus.json beside `docs` (a docs.jsonl, packed or not); None when there is none.

    Raises VocabError when it is not one.
    """
    path = docs.parent / "corpus.json"
    if not path.is_file() or docs.name not in ("docs.jsonl", "docs.jsonl.gz", "docs.jsonl.zst"):
        return None
    try:
        entry: Any = json.loads(path.read_bytes().decode("utf-8"))
        corpus = Corpus(**{name: entry[name] for name in Corpus.__slots__ if name != "skipped" or name in entry})
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise VocabError(f"{path}: no corpus.json ({str(error)[:80]}). Run: pglab corpus write --out FOLDER") from None
    numbers = [value for name, value in asdict(corpus).items() if name not in ("source", "sha256")]
    if not all(type(value) is int and value >= 0 for value in numbers):
        raise VocabError(f"{path}: counts {numbers} are not whole numbers. Run: pglab corpus write --out FOLDER")
    return corpus
