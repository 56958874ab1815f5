"""`pglab bench prove`: how fast a text is compressed with the model and restored, and where the time goes.

Runs `prove write` and `prove check` as a person would, each a process that starts its own scorers, on some validation
documents of a run folder. Seconds are CPU seconds of all processes together (a busy machine then changes less), the
start of torch taken off. Beside them: general compressors on the same bytes, and the model as one stream stepped alone,
which is how such things are usually written.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from compress.text_sizes import joined_text, text_rows
from pglab_report import Column, Report, Table, Ways, show

from .errors import ModelError

PATHS = ("kv", "replay")


def timed(words: list[str], clocks: Path) -> dict[str, Any]:
    """Run a prove command; its JSON, and under "cpu" its seconds by part. Raises ModelError with its own words."""
    before = set(clocks.iterdir())
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen([sys.executable, "-m", "bpb_audit", "prove", *words, "--json"], stdout=out, stderr=err)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        said, complaint = out.read(), err.read().decode("utf-8", "replace").strip()
    if child.returncode:
        raise ModelError(
            f"`prove {words[0]}` ended with status {child.returncode}: {complaint[-300:] or said[-300:]!r}"
        )
    told = [json.loads(place.read_text()) for place in set(clocks.iterdir()) - before]
    scorers = {name: sum(one[name] for one in told) for name in ("start", "pipe", "all")}
    return json.loads(said) | {
        "cpu": {
            "scorer": scorers["all"] - scorers["start"] - scorers["pipe"],
            "pipe": scorers["pipe"],
            "prover": used.ru_utime + used.ru_stime - scorers["all"],
        },
        "wall": time.perf_counter() - begin,
        "peak_bytes": used.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    }


def prove(run: Path, work: Path, path: str, documents: int, rows: int, windows: int) -> dict[str, Any]:
    """Write and check one proof; what both took. The restored documents lie in `work` after a check."""
    artifact, clocks = run / "train/final_model.pgc", work / "clocks"
    clocks.mkdir(exist_ok=True)
    scorer = f"'{sys.executable}' -m model.scorer {{artifact}} --rows {{rows}} --path {path} --clock '{clocks}'"
    out, shards = work / f"{path}.pgp", run / "shards"
    words = ["write", str(artifact), "--docs", str(run / "corpus/docs.jsonl"), "--shards", str(shards)]
    words += ["--sample", str(documents), "--out", str(out), "--rows", str(rows), "--command", scorer]
    written = timed([*words, "--windows", str(windows)] if path == "replay" else words, clocks)
    if path == "replay":  # a decoded token costs a whole pass; the windows that `write` drew are the check
        return {"write": written}
    words = ["check", str(out), str(artifact), "--vocab", str(shards), "--command", scorer]
    return {"write": written, "check": timed([*words, "--out", str(work / "restored.jsonl")], clocks)}


def one_stream(artifact: Path, steps: int = 300) -> float:
    """Tokens a CPU second of the model alone, stepped as a single stream."""
    import numpy as np
    import torch

    from .score import load_model
    from .scorer_kv import GO_ON, RESTART, KvScorer

    torch.set_num_threads(1)
    model = load_model(artifact, 0)
    scorer, length = KvScorer(model, 1, model.config.train_seq_len, torch.float64), model.config.train_seq_len
    begin = time.process_time()
    for step in range(steps):
        scorer.step(np.zeros(1, np.int64), np.array([GO_ON if step % length else RESTART], np.uint8))
    return steps / (time.process_time() - begin)


def pace(one: dict[str, Any]) -> dict[str, Any]:
    """A row of the table: tokens a CPU second, and the share of each part."""
    spent = sum(one["cpu"].values())
    return {
        "tokens_per_second": one["targets"] / spent,
        **{f"share_{part}": seconds / spent for part, seconds in one["cpu"].items()},
        "wall_seconds": one["wall"],
        "peak_bytes": one["peak_bytes"],
    }


def measure(run: Path, documents: int, rows: int, windows: int) -> dict[str, Any]:
    """Everything the bench prints. Raises ModelError or OSError."""
    artifact = run / "train/final_model.pgc"
    if not artifact.is_file() or not (run / "corpus/docs.jsonl").is_file():
        raise ModelError(f"{run}: no run of the tour (train/final_model.pgc, corpus/docs.jsonl). Try: pglab tour")
    with tempfile.TemporaryDirectory() as folder:
        made = {path: prove(run, Path(folder), path, documents, rows, windows) for path in PATHS}
        text = joined_text([Path(folder) / "restored.jsonl"], "text", None)
    kv = made["kv"]["write"]
    both = sum(sum(one["cpu"].values()) for one in made["kv"].values())
    return {
        "bytes": len(text),
        "rows": [{"path": p, "verb": v, **pace(one)} for p, done in made.items() for v, one in done.items()],
        "one_stream_tokens_per_second": one_stream(artifact),
        "overhead": {
            name: bits / kv["split"]["evaluated"] for name, bits in kv["split"].items() if name != "evaluated"
        },
        "sizes": [
            {"coder": "this model, proved", "bytes": kv["bits"] // 8, "bpb": kv["bpb_proved"], "seconds": both},
            *text_rows(text),
        ],
        "notes": made["replay"]["write"]["notes"],
    }


def bench(
    *, run: Path = Path("runs/tour"), documents: int = 3, rows: int = 64, windows: int = 60, ways: Ways = Ways()
) -> int:
    """A text compressed with the tour's model and restored: tokens a second, shares of the time, and its peers.

    Parameters
    ----------
    run
        The run folder of a tour.
    documents
        How many validation documents, drawn by chance.
    rows
        Streams side by side at most.
    windows
        Windows that the replay takes by steps.
    """
    if documents < 1 or rows < 1 or windows < 1:
        raise ModelError("--documents, --rows and --windows want at least 1.")
    return show(prove_report(measure(run, documents, rows, windows)), ways)


PACES = [
    Column("path"),
    Column("verb"),
    Column("tokens_per_second", "tokens a CPU second", "", ",.0f"),
    Column("share_scorer", "scorer", "", ".0%"),
    Column("share_pipe", "pipe", "", ".0%"),
    Column("share_prover", "tables, coder", "", ".0%"),
    Column("wall_seconds", "wall", "s", ".1f"),
    Column("peak_bytes", "peak", "bytes", ",d"),
]
SIZES = [
    Column("coder"),
    Column("bytes", format=",d"),
    Column("bpb", "bits per raw byte", "", ".4f"),
    Column("of_ours", "of ours", "", ".3f"),
    Column("seconds", "CPU, both ways", "s", ".2f"),
]


def prove_report(found: dict[str, Any]) -> Report:
    """The report of what `measure` found."""
    ours, alone, check = found["sizes"][0], found["one_stream_tokens_per_second"], found["rows"][1]["tokens_per_second"]
    sizes = [row | {"of_ours": row["bytes"] / ours["bytes"]} for row in found["sizes"]]
    parts = ", ".join(f"{name} {part:.4%}" for name, part in found["overhead"].items())
    sentences = [
        f"One stream stepped alone gives {alone:,.0f} tokens a CPU second; restoring is {check / alone:.1f} times "
        "that.",
        f"Over the model's own cross-entropy: {parts}.",
    ]
    tables = [Table("paces", "Where the time goes", PACES, found["rows"]), Table("peers", "Peers", SIZES, sizes)]
    data = {key: value for key, value in found.items() if key != "notes"}
    return Report(f"{found['bytes']:,} bytes of text proved", sentences, tables, [], found["notes"], data=data)
