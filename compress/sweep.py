"""Every recipe on every checkpoint, and one sentence that says what came out."""

import tempfile
from concurrent.futures import Executor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .container_read import MAGIC
from .errors import CodecError
from .measure import measure_ptz, measure_recipe, random_like, weight_error
from .progress import progress
from .recipes import Recipe, parse_recipe
from .sources import Weights, read_weights


def recipes_of(names: list[str]) -> list[tuple[Recipe, bool]]:
    """The recipes of these names; True beside those that recode integers as they lie (`same+...`)."""
    out = []
    for name in names:
        first, _, coder = name.partition("+")
        out.append((parse_recipe(f"official+{coder}") if first == "same" else parse_recipe(name), first == "same"))
    return out


def sweep_all(
    paths: list[Path], names: list[str], control: bool = False, executor: Executor | None = None
) -> dict[str, Any]:
    """Rows by checkpoint, and a sentence. Raises CodecError before any work when a recipe or file cannot be read.

    executor: measures rows instead of this process; it must see the same paths.
    """
    if not paths:
        raise CodecError("no checkpoint given; wanted at least one file of weights.")
    recipes = dict(zip(names, recipes_of(names), strict=True))
    loaded = [(read_weights(path), path, False) for path in paths]
    if any(recode for _, recode in recipes.values()) and not any(weights.parts for weights, _, _ in loaded):
        raise CodecError("same recodes the integers of a .int8.ptz, and none is given; name a quantiser instead.")
    if control:
        loaded += [(random_like(weights), path, True) for weights, path, _ in loaded]
    work = []
    for weights, path, untrained in loaded:
        wanted: list[str | None] = [None] if find_spec("torch") else []
        wanted += [name for name, (_, recode) in recipes.items() if not recode or weights.parts is not None]
        work.append([(path.resolve(), name, untrained) for name in wanted])  # workers stand in other folders
    given = [executor.submit(_row, *task) for tasks in work for task in tasks] if executor else []
    results = iter(given)
    found = []
    for (weights, _, _), tasks in zip(loaded, work, strict=True):
        rows: list[dict[str, Any]] = []
        shown = {name or "official .int8.ptz": name for _, name, _ in tasks}
        for name in progress(shown, f"sweep of {Path(weights.path).name}"):
            rows.append(next(results).result() if executor else measured(weights, shown[name]))
        base = rows[0]["bytes"]
        for row in rows:
            row["ratio"] = row["bytes"] / base
        found.append({"path": weights.path, "parameters": weights.parameters, "rows": rows})
    return {"checkpoints": found, "says": say(found)}


def measured(weights: Weights, name: str | None) -> dict[str, Any]:
    """The row of a recipe of this name, of the challenge's own file for None. Raises CodecError."""
    with tempfile.TemporaryDirectory() as place:
        if name is None:
            return measure_ptz(weights, Path(place))
        [(recipe, recode)] = recipes_of([name])
        return measure_recipe(weights, recipe, Path(place), recode)


def _row(path: Path, name: str | None, untrained: bool) -> dict[str, Any]:
    """`measured` in a worker."""
    weights = read_weights(path)
    return measured(random_like(weights) if untrained else weights, name)


def say(found: list[dict[str, Any]]) -> str:
    """One sentence: the smallest file, against the first row."""
    rows = found[0]["rows"]
    best = min(rows, key=lambda row: row["bytes"] + row["decoder"])
    return (
        f"{best['recipe']} is the smallest with its decoder: {best['bytes']:,} + {best['decoder']:,} bytes, "
        f"{best['ratio']:.3f} of {rows[0]['recipe']} ({rows[0]['bytes']:,}), weight error {best['mse']:.2e}."
    )


def verify_file(path: Path, against: Path | None, tolerance: float) -> dict[str, Any]:
    """Decode a container; compare it with other weights. Raises CodecError when it cannot be decoded at all."""
    if not tolerance >= 0:
        raise CodecError(f"--tolerance {tolerance:g}: wanted a number of 0 or more.")
    with path.open("rb") as stream:
        if stream.read(8) != MAGIC:
            raise CodecError(f"{path}: not a .pgc container; wanted one that `pglab codec pack` wrote.")
    held = read_weights(path)
    answer: dict[str, Any] = {
        "path": str(path),
        "bytes": path.stat().st_size,
        "tensors": len(held.tensors),
        "good": True,
    }
    says = f"{path}: {answer['bytes']:,} bytes, {answer['tensors']} tensors, every checksum right"
    if against is not None:
        says += "; " + compare(answer, held, read_weights(against), tolerance)
    return {**answer, "says": says + "."}


def compare(answer: dict[str, Any], held: Weights, wanted: Weights, tolerance: float) -> str:
    """Set `good`, `mse` and `differ` of the answer; returns a clause that says so."""
    shapes = {n: v.shape for n, v in held.tensors.items()}
    odd = sorted(
        n for n in shapes.keys() | wanted.tensors if n not in shapes or n not in wanted.tensors
        or shapes[n] != wanted.tensors[n].shape
    )  # fmt: skip
    if odd:
        answer |= {"good": False, "differ": odd}
        return f"{len(odd)} tensors are missing or of another shape, the first is {odd[0]}"
    error = weight_error(wanted.tensors, held.tensors)
    differ = [n for n in shapes if not np.array_equal(held.tensors[n], wanted.tensors[n])]
    answer |= {"good": error <= tolerance if tolerance else not differ, "mse": error, "differ": differ}
    return f"{len(differ)} of {len(shapes)} tensors differ from {wanted.path}, weight error {error:.3e}"
