"""The words `pglab corpus`, `pglab vocab` and `pglab shards`: thin functions over the room, nothing imported early.

Results go to stdout (one JSON document with --json), talk and progress to stderr.
"""

import json as json_format
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cyclopts import App

corpus = App(name="corpus", help="Documents: fetch the embedded text or your own, split for validation.")


def _say_json(value: Any) -> None:
    print(json_format.dumps(value, indent=2, ensure_ascii=False))


def _tell(note: str) -> None:
    if note:
        print(f"note: {note}", file=sys.stderr)


@corpus.command(name="write")
def corpus_write(*, out: Path, docs: Path | None = None, validation_share: float = 0.05, json: bool = False) -> None:
    """Write docs.jsonl (validation documents first) and corpus.json into a folder.

    Parameters
    ----------
    out: Path
        Folder to write into; made when missing.
    docs: Path
        Documents of your own (.jsonl, .txt, .gz, .zst, or a folder of .txt); the embedded speeches without it.
    validation_share: float
        Share of the bytes to hold out, in whole documents.
    json: bool
        Print the counts as JSON.
    """
    from .corpus import write_corpus

    made, note = write_corpus(out, docs, validation_share)
    _tell(note)
    if json:
        _say_json(asdict(made))
        return
    print(
        f"{out / 'docs.jsonl'}: {made.documents:,} documents, {made.bytes:,} bytes of UTF-8; the first "
        f"{made.validation_documents:,} ({made.validation_bytes:,} bytes, {made.validation_bytes / made.bytes:.1%}) "
        "are for validation."
    )
