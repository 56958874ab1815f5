"""The words `pglab corpus` and `pglab vocab`; `pglab shards` is in cli_shards.py. Thin, and nothing imported early.

Results go to stdout (one JSON document with --json), talk and progress to stderr.
"""

import sys
from dataclasses import asdict
from pathlib import Path

from cyclopts import App

from pglab_report import Ways

from .cli_json import say_json
from .cli_shards import shards

__all__ = ["corpus", "shards", "vocab"]

WAYS = Ways()
corpus = App(name="corpus", help="Documents: fetch the embedded text or your own, split for validation.")


def _documents(count: int) -> str:
    return f"{count:,} document" + "s" * (count != 1)


def _tell(note: str) -> None:
    if note:
        print(f"note: {note}", file=sys.stderr)


@corpus.command(name="write")
def corpus_write(
    *,
    out: Path,
    docs: Path | None = None,
    validation_share: float = 0.05,
    skip_bad: bool = False,
    column: str = "text",
    json: bool = False,
) -> None:
    """Write docs.jsonl (validation documents first) and corpus.json into a folder.

    Parameters
    ----------
    out: Path
        Folder to write into; made when missing.
    docs: Path
        Your own documents (.jsonl, .txt, .parquet, packed as .gz or .zst, or a folder of .txt or .parquet); the
        embedded speeches without it.
    validation_share: float
        Share of the bytes to hold out, in whole documents.
    skip_bad: bool
        Leave out lines that are no documents, and say how many, instead of stopping at the first.
    column: str
        Key of the lines, or column of a parquet file, that holds the text.
    json: bool
        Print the counts as JSON.
    """
    from .corpus import write_corpus

    made, note = write_corpus(out, docs, validation_share, skip_bad, column)
    _tell(note)
    if json:
        say_json(asdict(made))
        return
    print(
        f"{out / 'docs.jsonl'}: {_documents(made.documents)}, {made.bytes:,} bytes of UTF-8; the first "
        f"{made.validation_documents:,} ({made.validation_bytes:,} bytes, {made.validation_bytes / made.bytes:.1%}) "
        "are for validation."
    )


vocab = App(name="vocab", help="Build vocabularies and compare them.")


@vocab.command(name="train")
def vocab_train(
    kind: str,
    *,
    out: Path,
    docs: Path | None = None,
    size: int | None = None,
    split: str = "",
    skip_documents: int | None = None,
    json: bool = False,
) -> None:
    """Train a vocabulary on the training documents.

    Parameters
    ----------
    kind: str
        bytes, bpe, bpe_split, unigram, wordpiece(_pruned), superword, sp_bpe(_lossless), sp_unigram(_lossless); the
        SentencePiece kinds also with _caseops behind their names, the others but bytes with _case.
    out: Path
        Folder for spec.json, the tokenizer file and token_table.npz.
    docs: Path
        Documents; the validation documents at their head are left out. Only bytes needs none.
    size: int
        Number of ids; 1,024 without it (260 for bytes).
    split: str
        For bpe_split(_case), where words begin: gpt2, cl100k, digits (each digit alone; without it), none, or an
        expression.
    skip_documents: int
        How many documents at the head to leave out, instead of what corpus.json beside them says.
    json: bool
        Print the spec as JSON.
    """
    from .builders import open_vocabulary, train_vocabulary
    from .progress import bytes_bar

    total = docs.stat().st_size if docs and docs.exists() else 0
    with bytes_bar(f"training {kind}", total) as advance:
        wanted = (260 if kind == "bytes" else 1024) if size is None else size
        spec = train_vocabulary(kind, docs, wanted, out, skip_documents, advance, split)
    if spec.size < wanted:
        _tell(f"{wanted:,} ids were asked for; the training text gives {spec.size:,}.")
    if json:
        fixed = open_vocabulary(out)[1].token_bytes is not None
        say_json({**spec.to_json(), "token_bytes": "fixed" if fixed else "context"})
        return
    trained = spec.trained_on
    source = f"from {_documents(trained['documents'])}, {trained['bytes']:,} bytes of UTF-8"
    print(
        f"{out}: {spec.kind}, {spec.size:,} ids, lossless level {spec.lossless}, "
        f"{source if trained['documents'] else 'without training'}."
    )


@vocab.command(name="compare")
def vocab_compare(
    *folders: Path, docs: Path, width: int = 512, bits: int = 8, score: bool = False, ways: Ways = WAYS
) -> int:
    """Measure vocabularies beside each other: what each packs, gives back, costs and, with --score, predicts.

    Parameters
    ----------
    folders: Path
        Folders of vocabularies.
    docs: Path
        Documents; the validation documents at their head where a corpus.json says so, else all of them.
    width: int
        Width of the model, for the bytes of the embedding.
    bits: int
        Bits of a stored embedding weight.
    score: bool
        Bits per raw byte too, as `vocab score` predicts them at this width and these bits; some seconds for each.
    """
    from pglab_report import show

    from .compare import compare
    from .compare_report import report_of
    from .errors import VocabError

    if not folders:
        raise VocabError("no vocabulary to compare. Try: pglab vocab compare vocab/a vocab/b --docs corpus/docs.jsonl")
    found = compare(folders, docs, width, bits)
    if not score:
        return show(report_of(found), ways)
    from .vocabulary_score import Terms, score_vocabularies

    return show(report_of(found, score_vocabularies(folders, docs, Terms(width=width, weight_bits=bits))), ways)


@vocab.command(name="score")
def vocab_score(
    *folders: Path,
    docs: Path,
    budget: int = 4_000_000,
    width: int = 512,
    bits: int = 6,
    artifact: int = 16_000_000,
    ways: Ways = WAYS,
) -> int:
    """Predict which vocabulary will serve a model best: bits per byte of an n-gram model within a budget of bytes.

    Parameters
    ----------
    folders: Path
        Folders of vocabularies.
    docs: Path
        Documents; scored on the validation documents of the corpus.json beside them, else on every tenth.
    budget: int
        Bytes of n-grams for a vocabulary whose embedding costs nothing.
    width: int
        Width of the model, for the bytes of the embedding.
    bits: int
        Bits of a stored embedding weight.
    artifact: int
        Bytes out of which the embedding is paid.
    """
    from pglab_report import show

    from .errors import VocabError
    from .score_report import report_of
    from .vocabulary_score import Terms, score_vocabularies

    if not folders:
        raise VocabError("no vocabulary to score. Try: pglab vocab score vocab/a vocab/b --docs corpus/docs.jsonl")
    found = score_vocabularies(folders, docs, Terms(budget, width, bits, artifact))
    return show(report_of(found), ways)


@vocab.command(name="import")
def vocab_import(file: Path, *, out: Path, transform: str = "", split: str = "", json: bool = False) -> None:
    """Take over a vocabulary from elsewhere: a SentencePiece .model, a tokenizer.json, tiktoken ranks, or TokenMonster.

    Parameters
    ----------
    file: Path
        The vocabulary's file.
    out: Path
        Folder for spec.json, the tokenizer file and token_table.npz.
    transform: str
        caseops, for a .model that was trained on CaseOps text.
    split: str
        gpt2 or cl100k, for tiktoken ranks, which do not say how they split text into words.
    json: bool
        Print the spec as JSON.
    """
    from .builders import open_vocabulary
    from .importers import import_vocabulary

    spec = import_vocabulary(file, out, transform, split)
    fixed = open_vocabulary(out)[1].token_bytes is not None
    if json:
        say_json({**spec.to_json(), "token_bytes": "fixed" if fixed else "context"})
        return
    bytes_ = "always stands for the same bytes" if fixed else "stands for bytes that depend on the text around it"
    print(f"{out}: {spec.kind}, {spec.size:,} ids, lossless level {spec.lossless}, from {file.name}; a token {bytes_}.")


@vocab.command(name="search")
def vocab_search(
    *,
    docs: Path,
    out: Path,
    kinds: list[str] | None = None,
    sizes: list[int] | None = None,
    budget: int = 4_000_000,
    width: int = 512,
    bits: int = 6,
    artifact: int = 16_000_000,
    dask: str | None = None,
    report: list[Path] | None = None,
    json: bool = False,
    quiet: bool = False,
) -> int:
    """Train every kind at every size, score them, and show the Pareto front; OUT gets report.* and front.svg.

    Parameters
    ----------
    docs: Path
        Documents with a corpus.json beside them, as `corpus write` leaves them.
    out: Path
        Folder for the vocabularies; those that are there already are not trained again.
    kinds: list[str]
        Kinds to try, as `vocab train` has them; bpe and bpe_case without it.
    sizes: list[int]
        Sizes to try; 512, 1024, 2048, 4096 and 8192 without it.
    budget: int
        Bytes of n-grams for a vocabulary whose embedding costs nothing.
    width: int
        Width of the model, for the bytes of the embedding.
    bits: int
        Bits of a stored embedding weight.
    artifact: int
        Bytes out of which the embedding is paid.
    dask: str
        Address of a Dask scheduler whose workers see the same paths; tcp:// on this machine, else tls://.
    report: list[Path]
        Write the report to FILE too: .txt, .json, .csv, .md, .html or .svg; may be repeated. OUT has its own.
    json: bool
        Print the scores and the names on the front as JSON.
    quiet: bool
        Print nothing but what --json asks for.
    """
    from pglab_dask import dask_executor
    from pglab_report import show

    from .corpus import read_corpus
    from .errors import VocabError
    from .score_report import report_of
    from .search import front, sweep
    from .vocabulary_score import Terms

    if read_corpus(docs) is None:
        raise VocabError(
            f"{docs}: no corpus.json beside it, so vocabularies would be trained on what they are scored on. "
            f"Run: pglab corpus write --docs {docs} --out corpus"
        )

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    with dask_executor(dask) as (executor, _):
        if executor:
            docs, out = docs.resolve(), out.resolve()  # workers stand in other folders
        found = sweep(
            kinds or ["bpe", "bpe_case"],
            sizes or [512, 1024, 2048, 4096, 8192],
            docs,
            out,
            Terms(budget, width, bits, artifact),
            say,
            executor,
        )
    files = tuple(out / name for name in ("report.html", "report.json", "report.csv", "report.md", "front.svg"))
    ways = Ways(json=json, quiet=quiet, out=(*files, *(report or ())))
    return show(report_of(found, front(found.rows, found.documents)), ways)
