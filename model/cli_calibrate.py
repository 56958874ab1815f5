"""The words `pglab model calibrate` and `pglab model compare`."""

import json as json_module
import os
from pathlib import Path
from typing import Any


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

    one_thread()
    found = measure(checkpoint, shards, tokens, length)
    size = write_statistics(out, found)
    answer = {"path": str(out), "bytes": size, "tokens": found.tokens, "tensors": len(found.metrics)}
    sentence = f"{out}: {size:,} bytes, {len(found.metrics)} tensors, measured on {found.tokens:,} training tokens."
    print(json_module.dumps({**answer, "fingerprint": found.fingerprint}) if json else sentence)
    return 0


def compare(
    first: Path, others: list[Path], /, *, shards: Path, tokens: int = 0, length: int = 0, json: bool = False
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
    json
        Print one JSON document instead of the table.
    """
    from compress.tables import show

    from .divergence import Yardstick
    from .export import read_artifact

    one_thread()
    base, found = Yardstick(first, shards, tokens, length).measure([read_artifact(path) for path in others])
    rows: list[dict[str, Any]] = [
        {"artifact": str(path), "file": path.stat().st_size, **row}
        for path, row in zip([first, *others], [base, *found], strict=True)
    ]
    if json:
        print(json_module.dumps(rows, indent=1))
        return 0
    columns = [c for c in ("artifact", "file", "kl", "val_loss", "bpb_raw", "bpb_table") if c == "file" or c in rows[0]]
    show(rows, columns, "divergence in bits a token; scores", False)
    worst = max(rows[1:], key=lambda row: row["kl"], default=rows[0])
    print(f"{worst['artifact']} lies farthest, {worst['kl']:.6f} bits a token.")
    return 0
