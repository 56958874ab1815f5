"""`pglab bench codecs`: our coders and the general ones on the same integers, in one run, as ratios.

The weights are those you give, or a made state dict whose rows and columns differ as trained ones do (its numbers say
little about real weights, and the table says so). Everything counts: the sizes are of whole containers, written, read
back and compared. `of best general` is the size against the smallest brotli-11 layout of the same integers.
"""

import json as json_module
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from .container_write import quantize_all
from .errors import CodecError
from .measure import measure_ptz, measure_recipe
from .recipes import parse_recipe
from .sources import Weights, read_weights
from .tables import progress, show

GENERAL_CODERS = ("zlib9", "zstd22", "lzma9", "brotli11", "columns+brotli11")
COLUMNS = ("recipe", "bytes", "of_general", "of_official", "bits", "order0", "coder_s", "decode_s", "mse")
PEERS = {
    "lrzip": (
        ["lrzip", "-z", "-L9", "-p1", "-w1", "-q", "-f", "-o", "{target}", "{source}"],
        ["lrzip", "-d", "-p1", "-q", "-f", "-o", "{back}", "{target}"],
    ),
    "zpaq": (["zpaq", "add", "{target}", "{source}", "-m5"], ["zpaq", "list", "{target}", "-test"]),
}


def made_weights() -> Weights:
    """A state dict of 0.6 M numbers from a fixed seed: Gaussian, with rows and columns of different sizes."""
    rng = np.random.default_rng(0)
    tensors = {"tok_emb.weight": rng.normal(size=(1024, 128)).astype(np.float32) * 0.1}
    for layer in range(3):
        for name, shape in (("q", (128, 128)), ("fc", (512, 128)), ("proj", (128, 512))):
            size = 0.05 * rng.lognormal(0, 0.2, (shape[0], 1)) * rng.lognormal(0, 0.3, (1, shape[1]))
            tensors[f"blocks.{layer}.{name}.weight"] = (rng.normal(size=shape) * size).astype(np.float32)
    return Weights("made (not trained; give a checkpoint for figures that count)", tensors, {}, None)


def bench_rows(weights: Weights, quantizer: str, rounds: int) -> list[dict[str, Any]]:
    """A row for each coder of the same integers; seconds are medians of so many rounds, one after another."""
    with tempfile.TemporaryDirectory() as place:
        same = quantizer == "same"
        recipes = [parse_recipe(f"{'official' if same else quantizer}+{coder}") for coder in (*GENERAL_CODERS, "mix")]
        timed: dict[str, list[dict[str, Any]]] = {}
        for _ in range(rounds):
            for recipe in progress(recipes, "coders"):
                row = measure_recipe(weights, recipe, Path(place), recode=same)
                timed.setdefault(row["recipe"], []).append(row)
            for row in peer_rows(weights, quantizer, Path(place)):
                timed.setdefault(row["recipe"], []).append(row)
        rows = [dict(found[0]) for found in timed.values()]
        for row in rows:
            for key in ("coder_s", "decode_s"):
                row[key] = median(r[key] for r in timed[row["recipe"]])
        official = measure_ptz(weights, Path(place))["bytes"]
    best = min(row["bytes"] for row in rows if "brotli" in row["recipe"])
    for row in rows:
        row |= {"of_general": row["bytes"] / best, "of_official": row["bytes"] / official}
    return rows


def peer_rows(weights: Weights, quantizer: str, folder: Path) -> list[dict[str, Any]]:
    """lrzip and zpaq, where they are installed, on the integers alone (no scales, no header: it favours them).

    Rows and columns first are both tried, and the smaller file is counted with its own seconds (CPU, of the child).
    """
    parts = weights.parts if quantizer == "same" else None
    if parts is None:
        parts = quantize_all(weights.tensors, parse_recipe(f"{quantizer}+store"), weights.dtypes)
    ints = [p.arrays[0] for p in parts if not p.scheme.startswith("raw")]
    ways = {"": ints, ", by columns": [np.ascontiguousarray(a.T) for a in ints]}
    rows = []
    for name, (write, read) in PEERS.items():
        if not shutil.which(name):
            continue
        tries: list[dict[str, Any]] = []
        for way, arrays in ways.items():
            source, target = folder / "ints", folder / f"ints.{name}"
            target.unlink(missing_ok=True)
            source.write_bytes(b"".join(a.tobytes() for a in arrays))
            wrote = child_seconds([w.format(source=source, target=target) for w in write])
            size, weight = target.stat().st_size, sum(a.size for a in arrays)
            back = child_seconds([w.format(source=source, target=target, back=folder / "back") for w in read])
            row = {"recipe": f"{name} (integers alone{way})", "bytes": size, "bits": 8 * size / max(weight, 1)}
            tries.append({**row, "coder_s": wrote, "decode_s": back})
        rows.append(min(tries, key=lambda row: row["bytes"]))
    return rows


def child_seconds(words: list[str]) -> float:
    """CPU seconds of a program. Raises CodecError when it fails, or has not ended within the hour."""
    before = os.times()
    try:
        done = subprocess.run(
            words,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=3600,
        )
    except subprocess.TimeoutExpired:
        raise CodecError(f"{words[0]} did not end within the hour. Take it off the PATH to bench without it.") from None
    if done.returncode:
        raise CodecError(
            f"{words[0]} ended with status {done.returncode}: {done.stderr.decode(errors='replace')[-80:]}"
        )
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def bench(*checkpoints: Path, quantizer: str = "int6-sigma", rounds: int = 1, json: bool = False) -> int:
    """Code the same integers with every coder and set sizes and seconds side by side.

    Parameters
    ----------
    checkpoints
        Files of weights; made ones when none is given.
    quantizer
        What makes the integers: int6-sigma, int6-row, official, step-S, trellisN-S, or same for those of a .int8.ptz.
    rounds
        How often every coder runs, one after another; seconds are medians.
    json
        Print one JSON document instead of the tables.
    """
    loaded = [read_weights(path) for path in checkpoints] or [made_weights()]
    if quantizer == "same" and any(weights.parts is None for weights in loaded):
        raise CodecError("same recodes the integers of a .int8.ptz, and one of the files has none. Name a quantiser.")
    answer = []
    for weights in loaded:
        rows = bench_rows(weights, quantizer, max(rounds, 1))
        answer.append({"path": weights.path, "quantizer": quantizer, "rows": rows})
        if not json:
            show(rows, COLUMNS, f"{weights.path}: {weights.parameters:,} parameters, {quantizer}", False)
    if json:
        print(json_module.dumps(answer, indent=1))
    return 0
