"""The words `pglab model calibrate` and `pglab model compare`."""

import json as json_module
import os
from pathlib import Path
from typing import Any

from pglab_report import Column, Report, Table, Ways, show

COLUMNS = [
    Column("artifact"),
    Column("file", "", "bytes", ",d"),
    Column("kl", "divergence", "bits a token", ".6f"),
    Column("val_loss", "val loss", "", ".4f"),
    Column("bpb_raw", format=".4f"),
    Column("bpb_table", format=".4f"),
]


def one_thread() -> None:
    """torch on one thread unless the environment says otherwise: the same sums every time."""
    if not os.environ.get("OMP_NUM_THREADS"):
        import torch

        torch.set_num_threads(1)


def calibrate(
    checkpoint: Path, /, *, shards: Path, out: Path, tokens: int = 65_536, length: int = 0, json: bool = False
) -> int:
    """Measure on training text what errors in each weight cost, for pglab codec pack and fit --calibration.

    Parameters
    ----------
    checkpoint
        The weights: .pt, .safetensors, .int8.ptz or .pgc.
    shards
        Folder of token shards; the training split is read.
    out
        The statistics file, .npz.
    tokens
        Tokens to read.
    length
        Tokens a sequence; 0 means as it was trained, at most 256.
    json
        Print one JSON document instead of the sentence.
    """
    from compress.statistics import write_statistics

    from .calibrate import calibrate as measure
    from .progress import TokenBar

    one_thread()
    with TokenBar("calibrating") as bar:
        found = measure(checkpoint, shards, tokens, length, tell=bar)
    size = write_statistics(out, found)
    answer = {"path": str(out), "bytes": size, "tokens": found.tokens, "tensors": len(found.metrics)}
    sentence = f"{out}: {size:,} bytes, {len(found.metrics)} tensors, measured on {found.tokens:,} training tokens."
    print(json_module.dumps({**answer, "fingerprint": found.fingerprint}) if json else sentence)
    return 0


def compare(
    first: Path, others: list[Path], /, *, shards: Path, tokens: int = 0, length: int = 0, ways: Ways = Ways()
) -> int:
    """Set coded models beside the one they were made of: divergence in bits a token, and the score of each.

    Parameters
    ----------
    first
        The weights that the others are measured against.
    others
        Files of the same shape: .pgc, .int8.ptz, .safetensors or .pt.
    shards
        Folder of validation shards with their token table.
    tokens
        Read only the first so many targets (whole sequences); 0 means all.
    length
        Targets a sequence; 0 means as it was trained.
    """
    from .divergence import Yardstick
    from .export import read_artifact
    from .progress import TokenBar

    one_thread()
    with TokenBar("comparing") as bar:
        base, found = Yardstick(first, shards, tokens, length).measure([read_artifact(path) for path in others], bar)
    rows: list[dict[str, Any]] = [
        {"artifact": str(path), "file": path.stat().st_size, **row}
        for path, row in zip([first, *others], [base, *found], strict=True)
    ]
    worst = max(rows[1:], key=lambda row: row["kl"], default=rows[0])
    sentence = f"{worst['artifact']} lies farthest, {worst['kl']:.6f} bits a token."
    table = Table("models", "", COLUMNS, rows)
    title = f"How far from {first.name}, and the score of each"
    return show(Report(title, [sentence], [table], data={"rows": rows}), ways)
