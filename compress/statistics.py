"""What an error in a weight costs: the statistics that a model and text give, and their file.

A second-order view of a trained model: if a matrix W (R, C) is stored with an error E, the output distribution moves
by about `1/2 tr(G E H E^T)` nats a token of Kullback-Leibler divergence. H (C, C) is the second moment of what the
matrix reads, G (R, R) that of the gradients at what it writes, with targets drawn from the model itself (K-FAC,
Martens and Grosse, arXiv:1503.05671). A vector has only a mean squared gradient for each number. `pglab model
calibrate` makes the file, an npz of plain arrays; nothing here needs torch.

The file names the weights it was made from by a fingerprint, so that statistics of other weights are refused.
"""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .aside import write_aside
from .container_read import DECODE_LIMIT
from .errors import CodecError

FORMAT = "pglab-statistics-1"


class Metric(NamedTuple):
    """How much an error in one tensor hurts, in nats a token: `1/2 tr(rows E columns E^T)`."""

    rows: np.ndarray  # (R, R), or (R,) where rows do not go together; of a vector the weight of each number
    columns: np.ndarray  # (C, C); of a vector (1, 1), one


class Statistics(NamedTuple):
    """Everything that a statistics file says."""

    fingerprint: str
    tokens: int
    metrics: dict[str, Metric]

    def nats(self, tensors: Mapping[str, np.ndarray], back: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Predicted divergence in nats a token by tensor, of `back` stored instead of `tensors`."""
        return {n: divergence(m, tensors[n], back[n]) for n, m in self.metrics.items() if n in back}


def divergence(metric: Metric, values: np.ndarray, back: np.ndarray) -> float:
    """`1/2 tr(rows E columns E^T)` of one tensor, nats a token."""
    rows = metric.rows.shape[0]
    e = (values.astype(np.float64) - back).reshape(rows, -1)
    inner = (e @ metric.columns) * e if metric.rows.ndim == 1 else (metric.rows @ e @ metric.columns) * e
    return float(((inner.sum(axis=1) * metric.rows) if metric.rows.ndim == 1 else inner).sum()) / 2


def fingerprint(tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, shapes and float32 values of a state dict, whatever file it came from."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = np.ascontiguousarray(tensors[name], np.float32)
        digest.update(f"{name} {values.shape}\n".encode("utf-8", "replace"))
        digest.update(values.astype("<f4").tobytes())
    return digest.hexdigest()


def write_statistics(path: str | os.PathLike[str], found: Statistics) -> int:
    """Write a statistics file aside and rename; returns its size in bytes."""
    about = {"format": FORMAT, "fingerprint": found.fingerprint, "tokens": found.tokens}
    arrays: dict[str, np.ndarray] = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
    for name, metric in found.metrics.items():
        arrays[f"rows/{name}"] = metric.rows.astype(np.float32)
        arrays[f"columns/{name}"] = metric.columns.astype(np.float32)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return write_aside(path, buffer.getvalue())


def read_statistics(path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray] | None = None) -> Statistics:
    """Read a statistics file, and hold it to the weights it is to be used for. Raises CodecError or OSError."""
    again = "Make one with: pglab model calibrate CHECKPOINT --shards DIR --out FILE"
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > DECODE_LIMIT:
                raise CodecError(f"{path}: inflates to more than {DECODE_LIMIT:,} bytes.")
        with np.load(path, allow_pickle=False) as saved:
            about: dict[str, Any] = json.loads(saved["about"].tobytes())
            if about["format"] != FORMAT:
                raise KeyError(str(about["format"])[:40])
            names = [n.removeprefix("rows/") for n in saved.files if n.startswith("rows/")]
            metrics = {
                n: Metric(saved[f"rows/{n}"].astype(np.float64), saved[f"columns/{n}"].astype(np.float64))
                for n in names
            }
            found = Statistics(str(about["fingerprint"]), int(about["tokens"]), metrics)
    except CodecError:
        raise
    except FileNotFoundError:
        raise
    except Exception as error:  # zipfile, numpy's header parser and json each have kinds of their own
        raise CodecError(f"{path}: no statistics can be read from it ({str(error)[:80]}). {again}") from None
    for name, (rows, columns) in found.metrics.items():
        square = all(m.ndim == 2 and m.shape[0] == m.shape[1] for m in (rows, columns) if m.ndim != 1)
        if not square or columns.ndim != 2 or not np.isfinite(rows).all() or not np.isfinite(columns).all():
            raise CodecError(f"{path}: the statistics of {name} are not finite square matrices. {again}")
    if tensors is not None:
        hold_to(path, found, tensors, again)
    return found


def hold_to(path: str | os.PathLike[str], found: Statistics, tensors: Mapping[str, np.ndarray], again: str) -> None:
    """CodecError unless the statistics are of these very weights."""
    if found.fingerprint != fingerprint(tensors):
        raise CodecError(f"{path}: these are the statistics of other weights. {again}")
    for name, (rows, columns) in found.metrics.items():
        shape = tensors[name].shape if name in tensors else (-1,)
        fits = (*shape[:1], prod(shape[1:])), (prod(shape), 1)  # of a matrix, or number by number
        if (rows.shape[0], columns.shape[0]) not in fits:
            raise CodecError(f"{path}: the statistics of {name} do not fit its shape {shape}. {again}")
