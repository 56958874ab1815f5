"""`pglab bench codecs`: our coders and the general ones on the same integers, in one run, as ratios.

The weights are those you give, or a made state dict whose rows and columns differ as trained ones do (its numbers say
little about real weights, and the table says so). The integers are made once; everything counts: the sizes are of
whole containers, written, read back and compared. A row is kept on disk as soon as it is there (`--keep`), so that a
run over large weights may be stopped and gone on with.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from pglab_report import Ways, show

from .bench_peers import PEERS, peer_row
from .bench_report import bench_report
from .container_write import quantize_all
from .decoder_source import decoder_bytes
from .errors import CodecError
from .measure import measure_ptz, measure_recipe
from .progress import progress
from .recipes import parse_recipe
from .sources import Weights, read_weights
from .stage import Parts

GENERAL_CODERS = ("zlib9", "zstd22", "lzma9", "brotli11", "columns+brotli11")
OWN_CODERS = ("order0", "mix")
OFFICIAL_ROW = "official .int8.ptz"


def made_weights() -> Weights:
    """A state dict of 0.6 M numbers from a fixed seed: Gaussian, with rows and columns of different sizes."""
    rng = np.random.default_rng(0)
    tensors = {"tok_emb.weight": rng.normal(size=(1024, 128)).astype(np.float32) * 0.1}
    for layer in range(3):
        for name, shape in (("q", (128, 128)), ("fc", (512, 128)), ("proj", (128, 512))):
            size = 0.05 * rng.lognormal(0, 0.2, (shape[0], 1)) * rng.lognormal(0, 0.3, (1, shape[1]))
            tensors[f"blocks.{layer}.{name}.weight"] = (rng.normal(size=shape) * size).astype(np.float32)
    return Weights("made (not trained; give a checkpoint for figures that count)", tensors, {}, None)


def integers_of(weights: Weights, quantizer: str) -> list[Parts]:
    """The integers that all coders code. Raises CodecError."""
    if quantizer == "same":
        if weights.parts is None:
            raise CodecError(f"{weights.path}: same recodes the integers of a .int8.ptz; name a quantiser instead.")
        return weights.parts
    return quantize_all(weights.tensors, parse_recipe(f"{quantizer}+store"), weights.dtypes)


def fingerprint(parts: list[Parts]) -> str:
    """The first 16 digits of a hash over everything that is coded."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.name}\0{part.dtype}\0{part.shape}\0{part.scheme}\0".encode("utf-8", "replace"))
        for array in part.arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def bench_rows(
    weights: Weights, quantizer: str, rounds: int = 1, peers: bool = False, keep: Path | None = None
) -> list[dict[str, Any]]:
    """A row for each coder of the same integers; seconds are medians of so many rounds, one after another.

    peers: lrzip and zpaq too, each once. keep: a file of rows, which is read first and grows row by row.
    """
    parts = integers_of(weights, quantizer)
    coded = weights._replace(parts=parts)
    mark = fingerprint(parts)
    held = kept_rows(keep, mark, quantizer)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)

        def ours(coder: str) -> dict[str, Any]:
            recipe = parse_recipe(f"exact+{coder}")
            found = [measure_recipe(coded, recipe, folder, recode=True) for _ in range(rounds)]
            timed = {key: median(row[key] for row in found) for key in ("coder_s", "decode_s")}
            return {**found[0], **timed, "recipe": f"{quantizer}+{coder}"}

        work: dict[str, Callable[[], dict[str, Any]]] = {OFFICIAL_ROW: lambda: measure_ptz(weights, folder)}
        for coder in (*GENERAL_CODERS, *OWN_CODERS):
            work[f"{quantizer}+{coder}"] = lambda coder=coder: ours(coder)  # type: ignore[misc]
        for name in PEERS if peers else ():
            work[f"{name} (integers alone)"] = lambda name=name: peer_row(parts, name, folder)  # type: ignore[misc]
        for name in progress([n for n in work if n not in held], f"coders of {Path(weights.path).name}"):
            held[name] = work[name]()
            if keep and held[name]:
                keep_row(keep, {"mark": mark, "quantizer": quantizer, "work": name, "row": held[name]})
    for coder in (*GENERAL_CODERS, *OWN_CODERS):  # not as it was when the row was kept
        recipe = parse_recipe(f"{'official' if quantizer == 'same' else quantizer}+{coder}")
        held[f"{quantizer}+{coder}"]["decoder"] = decoder_bytes(recipe.needs())
    rows = [held[name] for name in work if held[name]]
    best = min((row["bytes"] for row in rows if "brotli" in row["recipe"]), default=0)
    for row in rows:
        row |= {"of_general": row["bytes"] / best, "of_official": row["bytes"] / held[OFFICIAL_ROW]["bytes"]}
        row["of_order0"] = row["bits"] / row["order0"] if row.get("bits") and row.get("order0") else None
    return rows


def keep_row(keep: Path, row: dict[str, Any]) -> None:
    """Add a line to the file of rows, behind the end of a line that a kill tore."""
    with keep.open("ab+") as stream:
        stream.seek(max(stream.tell() - 1, 0))
        torn = stream.read() not in (b"", b"\n")
        stream.write(b"\n" * torn + json.dumps(row).encode() + b"\n")


def kept_rows(keep: Path | None, mark: str, quantizer: str) -> dict[str, dict[str, Any]]:
    """The rows of an earlier run over the same integers; a line that a kill tore is passed over."""
    held: dict[str, dict[str, Any]] = {}
    lines = keep.read_bytes().splitlines() if keep and keep.exists() else []
    if lines and not b'{"mark": '.startswith(lines[0][:9]):
        raise CodecError(f"{keep}: not a file of rows that this bench wrote; --keep adds to one, or makes a new one.")
    for line in lines:
        try:
            found = json.loads(line)
            if (found["mark"], found["quantizer"]) == (mark, quantizer):
                held[str(found["work"])] = dict(found["row"])
        except (ValueError, KeyError, TypeError):
            continue
    return held


def bench(
    *checkpoints: Path,
    quantizer: str = "int6-sigma",
    rounds: int = 1,
    peers: Annotated[bool, Parameter(negative=())] = False,
    keep: Path | None = None,
    megabytes: float = 0.0,
    ways: Ways = Ways(),
) -> int:
    """Code the same integers with every coder and set sizes and seconds side by side.

    Parameters
    ----------
    checkpoints
        Files of weights; made ones when none is given.
    quantizer
        What makes the integers: int6-sigma, int6-row, official, step-S, trellisN-S, or same for those of a .int8.ptz.
    rounds
        How often every coder runs, one after another; seconds are medians.
    peers
        The installed programs lrzip and zpaq too, each once, rows and columns first: minutes on large weights.
    keep
        A file of rows: what it holds is not run again, what is run is added at once.
    megabytes
        Instead, time one artifact of so many million bytes: the weights, as often as it takes, in the coder mix.
    """
    if rounds < 1 or not 0 <= megabytes <= 1000:
        raise CodecError(f"rounds are 1 or more, megabytes 0 to 1,000; met {rounds} and {megabytes:g}.")
    loaded = [read_weights(path) for path in checkpoints] or [made_weights()]
    if megabytes:
        from .bench_large import large_report, large_row

        return show(large_report([large_row(weights, quantizer, megabytes) for weights in loaded]), ways)
    found = []
    for weights in loaded:
        rows = bench_rows(weights, quantizer, rounds, peers, keep)
        found.append({"path": weights.path, "parameters": weights.parameters, "quantizer": quantizer, "rows": rows})
    return show(bench_report(found), ways)
