"""`pglab codec ...`: thin functions over the room; a table on stdout, or one JSON document with `--json`."""

import json as json_module
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from pglab_report import Ways

codec = App(name="codec", help="Pack trained weights and compare codec sizes.")

DEFAULT_RECIPES = [
    "official+zlib9",
    "official+zstd22",
    "official+brotli11",
    "official+lzma9",
    "official+mix",
    "int8-row+zstd22",
    "int8-row+brotli11",
    "int8-row+lzma9",
    "int8-row+mix",
    "int6-row+zstd22",
    "int6-row+brotli11",
    "int6-row+lzma9",
    "int6-row+mix",
]


@codec.command(name="list")
def list_stages(*, ways: Ways = Ways()) -> int:
    """Name every quantiser, layout and coder that a recipe can be made of."""
    from pglab_report import show

    from .registry import described
    from .sweep_report import list_report

    return show(list_report(described()), ways)


@codec.command
def sweep(
    checkpoints: Annotated[list[Path], Parameter(negative=())],
    /,
    *,
    recipe: Annotated[list[str] | None, Parameter(negative=())] = None,
    control: bool = False,
    dask: str | None = None,
    ways: Ways = Ways(),
) -> int:
    """Write each checkpoint with each recipe, read it back, compare, and set the sizes side by side.

    Parameters
    ----------
    checkpoints
        Files of weights: .pt, .int8.ptz, safetensors, npz, llama2.c's .bin or .pgc.
    recipe
        A recipe such as int6-row+brotli11, or same+brotli11 to recode a .int8.ptz's own integers; may be repeated.
    control
        Set untrained weights of the same shapes beside, which must not compress like knowledge.
    dask
        Address of a Dask scheduler whose workers see the same paths; tcp:// on this machine, else tls://.
    """
    from pglab_dask import dask_executor
    from pglab_report import show

    from .sweep import sweep_all
    from .sweep_report import sweep_report

    with dask_executor(dask) as (executor, _):
        found = sweep_all(checkpoints, recipe or DEFAULT_RECIPES, control, executor)
    return show(sweep_report(found), ways)


@codec.command
def pack(
    source: Path,
    target: Path,
    /,
    *,
    recipe: str = "int6-row+brotli11",
    calibration: Path | None = None,
    json: bool = False,
) -> None:
    """Quantise and code weights into a container.

    Parameters
    ----------
    source
        A file of weights: .pt, .int8.ptz, safetensors, npz, llama2.c's .bin or .pgc.
    target
        The container to write, usually final_model.pgc.
    recipe
        Quantiser, layouts and coder.
    calibration
        What errors cost, for gptqN and water: the file of pglab model calibrate.
    json
        Print one JSON document instead of the sentence.
    """
    from .aside import hold_place
    from .container import read_container, write_container
    from .progress import weights_bar, working
    from .sources import read_weights
    from .statistics import read_statistics

    hold_place(target)
    with working(f"reading {source}"):
        weights = read_weights(source)
    statistics = read_statistics(calibration, weights.tensors) if calibration else None
    with weights_bar() as bar:
        bar.begin(recipe, 2 * sum(v.size for v in weights.tensors.values()))
        size = write_container(target, weights.tensors, recipe, weights.dtypes, statistics, bar)
    with working("reading it back"):
        held = len(read_container(target))
    answer = {"path": str(target), "bytes": size, "tensors": held, "recipe": recipe}
    print(json_module.dumps(answer) if json else f"{target}: {size:,} bytes, {held} tensors, recipe {recipe}.")


@codec.command
def unpack(source: Path, target: Path, /, *, json: bool = False) -> None:
    """Decode a file of weights into plain arrays (.npz).

    Parameters
    ----------
    source
        A container, or any other file of weights.
    target
        The .npz to write.
    json
        Print one JSON document instead of the sentence.
    """
    from .aside import write_aside
    from .progress import working
    from .sources import npz_bytes, read_weights

    with working(f"reading {source}"):
        tensors = read_weights(source).tensors
    size = write_aside(target, npz_bytes(tensors))
    says = f"{target}: {size:,} bytes. bfloat16 tensors are float32 there, numpy has no bfloat16."
    answer = {"path": str(target), "bytes": size, "tensors": len(tensors)}
    print(json_module.dumps(answer) if json else says)


@codec.command
def verify(container: Path, against: Path | None = None, /, *, tolerance: float = 0.0, json: bool = False) -> int:
    """Decode a container wholly, check every checksum, and compare with other weights when they are given.

    Parameters
    ----------
    container
        The .pgc file.
    against
        Weights that it should hold, in any format.
    tolerance
        The largest mean squared error allowed, as a share of the weights' mean square; 0 asks for equality.
    json
        Print one JSON document instead of the sentence.
    """
    from .progress import working
    from .sweep import verify_file

    with working(f"reading {container}"):
        answer = verify_file(container, against, tolerance)
    print(json_module.dumps(answer) if json else answer["says"])
    return 0 if answer["good"] else 1


@codec.command
def text(
    files: Annotated[list[Path], Parameter(negative=())],
    /,
    *,
    field: str | None = None,
    documents: int | None = None,
    prime: Path | None = None,
    zpaq: bool = False,
    ways: Ways = Ways(),
) -> int:
    """Bits per byte of general text compressors on the same bytes, each decoded and compared.

    Parameters
    ----------
    files
        Text files, or JSON lines with --field.
    field
        The field of each JSON line that holds the text.
    documents
        Take only the first N documents of the JSON lines.
    prime
        A file whose text the compressors may see before; the cost of what follows it is reported too.
    zpaq
        The installed program zpaq as well, at its strongest: slow.
    """
    from importlib.util import find_spec

    from pglab_report import show

    from .sweep_report import text_report
    from .text_sizes import joined_text, text_rows

    data, before = joined_text(files, field, documents), prime.read_bytes() if prime else b""
    rows: list[dict[str, Any]] = text_rows(data, before, zpaq)
    if not find_spec("pyppmd"):
        print("PPMd skipped: pyppmd is not installed. Try: pip install -e '.[tour]'", file=sys.stderr)
    return show(text_report(len(data), rows, bool(before)), ways)


@codec.command
def fit(
    checkpoint: Path,
    target: Path,
    /,
    *,
    budget: int = 16_000_000,
    code_bytes: int = 0,
    calibration: Path | None = None,
    states: int = 0,
    ways: Ways = Ways(),  # frozen
) -> int:
    """Fill a budget: seek the steps that hurt least among those whose written bytes, code and decoder included, fit.

    Parameters
    ----------
    checkpoint
        A file of weights: .pt, .int8.ptz, safetensors, npz, llama2.c's .bin or .pgc.
    target
        The container to write.
    budget
        Bytes of the whole artifact.
    code_bytes
        Bytes of train_gpt.py without the decoder.
    calibration
        What errors cost: the file of pglab model calibrate. Without it, squared error counts.
    states
        States of a trellis (4 to 256); 0 rounds each weight alone.
    """
    from pglab_report import show

    from .aside import hold_place, write_aside
    from .container_read import unpack_container
    from .decoders import array_decoders
    from .fit import fit_budget
    from .fit_report import report_of
    from .progress import weights_bar, working
    from .sources import read_weights
    from .statistics import read_statistics

    hold_place(target)
    weights = read_weights(checkpoint)
    statistics = read_statistics(calibration, weights.tensors) if calibration else None
    with weights_bar() as bar:
        data, answer = fit_budget(weights, budget, code_bytes, statistics, states, bar=bar)
    with working("reading it back"):
        list(unpack_container(data, decoders=array_decoders()))
    write_aside(target, data)
    return show(report_of(answer, str(target), str(checkpoint)), ways)
