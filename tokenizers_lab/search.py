"""Sweep kinds and sizes of vocabularies on your own documents, score each, and keep the Pareto front.

Two things are wanted and pull apart: few bytes for the embedding, which the artifact pays, and few bits for the text.
A vocabulary is on the front when no other that gives the text back needs fewer bytes and also fewer bits. Each one is
trained into its own folder; a search that was stopped continues, since a folder of the same kind, size and training
text is not trained again. Where vocabularies are nested, the largest alone is trained and the others are cut from it:
the same files, to the byte, as if each had been trained.

Kinds are trained and folders scored one after the other, or on an executor whose workers see the same paths.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

from .builders import EVERY, cut_vocabulary, train_vocabulary, training_documents
from .errors import VocabError
from .progress import Advance, bytes_bar, nobody
from .spec import Spec, read_spec
from .vocabulary_score import Score, Scores, Terms, score_vocabularies


def front(rows: Sequence[Score], documents: int) -> list[int]:
    """Indices of the Pareto front by embedding bytes, fewest first: each has fewer bits than all that cost no more.

    Bits are those of the model with every n-gram (bpb_unlimited); vocabularies that lose text are not on it.
    """
    good = [i for i, row in enumerate(rows) if row.restores(documents)]
    good.sort(key=lambda i: (rows[i].embedding_bytes, rows[i].bpb_unlimited, rows[i].name))
    found: list[int] = []
    for i in good:
        if not found or rows[i].bpb_unlimited < rows[found[-1]].bpb_unlimited:
            found.append(i)
    return found


def sweep(
    kinds: Sequence[str],
    sizes: Sequence[int],
    docs: Path,
    out: Path,
    terms: Terms,
    say: Callable[[str], None],
    executor: Executor | None = None,
) -> Scores:
    """Train every kind at every size (bytes at its one), where it is not there yet, and score them all.

    Raises VocabError for an unknown kind before anything is trained, and what training raises.
    """
    folders = train_all(kinds, sizes, docs, out, say, executor)
    return score_vocabularies(folders, docs, terms, executor)


def train_all(
    kinds: Sequence[str],
    sizes: Sequence[int],
    docs: Path,
    out: Path,
    say: Callable[[str], None],
    executor: Executor | None = None,
) -> list[Path]:
    """Folders of every kind at every size, in the order of the kinds and then of size. Raises VocabError."""
    unknown = [kind for kind in kinds if kind not in EVERY]
    if unknown or not kinds or not sizes:
        raise VocabError(f"--kinds {' '.join(unknown) or 'none'}: wanted some of {', '.join(EVERY)}, and --sizes.")
    if min(sizes) < 260 or max(sizes) > 1 << 16:
        raise VocabError(f"--sizes {min(sizes):,} to {max(sizes):,}: wanted 260 to 65,536 ids.")
    text = training_hash(docs)
    wanted = {kind: [260] if kind == "bytes" else sorted(set(sizes)) for kind in dict.fromkeys(kinds)}
    for kind, some in wanted.items():
        for size in some:
            if not _there(out / f"{kind}{size}", kind, size, text):
                say(f"training {kind}{size}")
    if executor is None:
        trainings = sum(1 if EVERY[kind].cut else len(some) for kind, some in wanted.items())
        with bytes_bar("training", trainings * docs.stat().st_size) as advance:
            for kind, some in wanted.items():
                train_kind(kind, some, docs, out, text, advance)
    else:
        for task in [executor.submit(train_kind, kind, some, docs, out, text) for kind, some in wanted.items()]:
            task.result()
    return [out / f"{kind}{size}" for kind, some in wanted.items() for size in some]


def train_kind(kind: str, sizes: Sequence[int], docs: Path, out: Path, text: str, advance: Advance = nobody) -> None:
    """One kind at all sizes, ascending, where they are not there yet; text: the hash of the training text."""
    folders = {size: out / f"{kind}{size}" for size in sizes}
    missing = [size for size in sizes if not _there(folders[size], kind, size, text)]
    if not missing:
        return
    if EVERY[kind].cut is None:
        for size in missing:
            train_vocabulary(kind, docs, size, folders[size], advance=advance)
        return
    largest = sizes[-1]
    if largest in missing:
        train_vocabulary(kind, docs, largest, folders[largest], advance=advance)
    for size in missing:
        if size != largest:
            cut_vocabulary(folders[largest], size, folders[size])


def training_hash(docs: Path) -> str:
    """The hash by which a spec names its training text."""
    digest = hashlib.sha256()
    for document in training_documents(docs, None):
        raw = document.encode("utf-8")
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()


def _there(folder: Path, kind: str, size: int, text: str) -> bool:
    try:
        spec: Spec = read_spec(folder)
    except VocabError:
        return False
    same_text = kind == "bytes" or spec.trained_on.get("sha256") == text
    return spec.kind == kind and spec.options == EVERY[kind].options() and spec.size <= size and same_text
