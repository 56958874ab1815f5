"""Sweep kinds and sizes of vocabularies on your own documents, score each, and keep the Pareto front.

Two things are wanted and pull apart: few bytes for the embedding, which the artifact pays, and few bits for the text.
A vocabulary is on the front when no other that gives the text back needs fewer bytes and also fewer bits. Each one is
trained into its own folder; a search that was stopped continues, since a folder of the same kind, size and training
text is not trained again.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from .aside import write_bytes
from .builders import KINDS, train_vocabulary, training_documents
from .errors import VocabError
from .spec import Spec, read_spec
from .vocabulary_score import Score, Scores


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


def train_all(
    kinds: Sequence[str], sizes: Sequence[int], docs: Path, out: Path, say: Callable[[str], None]
) -> list[Path]:
    """Folders of every kind at every size (bytes at its one), trained where they are not there yet.

    Raises VocabError for an unknown kind before anything is trained, and what training raises.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds or not sizes:
        raise VocabError(f"--kinds {' '.join(unknown) or 'none'}: wanted some of {', '.join(KINDS)}, and --sizes.")
    text = training_hash(docs)
    folders: list[Path] = []
    for kind in dict.fromkeys(kinds):
        for size in [260] if kind == "bytes" else sorted(set(sizes)):
            folder = out / f"{kind}{size}"
            folders.append(folder)
            if not _there(folder, kind, size, text):
                say(f"training {folder.name}")
                train_vocabulary(kind, docs, size, folder)
    return folders


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
    return spec.kind == kind and spec.options == KINDS[kind].options() and spec.size <= size and same_text


def draw(found: Scores, path: Path) -> None:
    """The search as one SVG: embedding bytes across, bits per byte up, the front as a line. Raises OSError."""
    import io

    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    best = front(found.rows, found.documents)
    for i, row in enumerate(found.rows):
        exact = row.restores(found.documents)
        point = (row.embedding_bytes / 1e6, row.bpb_unlimited)
        axes.scatter(*point, marker="o" if exact else "x", color="C0" if i in best else "0.6", zorder=3)
        axes.annotate(row.name, point, textcoords="offset points", xytext=(5, 4), fontsize=8)
    line = [found.rows[i] for i in best]
    axes.step([r.embedding_bytes / 1e6 for r in line], [r.bpb_unlimited for r in line], where="post", color="C0")
    costs = sorted({row.embedding_bytes / 1e6 for row in found.rows})
    axes.set_xscale("log")
    axes.set_xticks(costs, [f"{cost:.3g}" for cost in costs])
    axes.minorticks_off()
    axes.set_xmargin(0.12)
    axes.set_xlabel(f"embedding, MB (width {found.width}, {found.weight_bits} bits)")
    axes.set_ylabel("bits per raw byte, order-4 n-gram model")
    axes.set_title("Pareto front of vocabularies; crosses lose text", fontsize=10, loc="left")
    axes.grid(alpha=0.3)
    picture = io.BytesIO()
    figure.savefig(picture, format="svg", metadata={"Date": None})
    write_bytes(path, picture.getvalue())
