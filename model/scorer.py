"""`python -m model.scorer ARTIFACT --rows S`: a model that answers a prover over pipes.

The prover compresses text and must not know a model's insides, so the model is another process: it is given tokens and
says for each row how far every symbol lies below the likeliest, on a grid of 1/256 nat (`scorer_grid`). Two ways:
`kv` (float64, `scorer_kv`) for files that travel, `replay` (`scorer_replay`) for the evaluation as it was; `adapt`
(`scorer_adapt`) shows what learns while it scores. The artifact is read as weights; a script beside it never runs.
"""

import argparse
import hashlib
import json
import os
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from compress.aside import write_aside
from compress.errors import CodecError

from .errors import ModelError
from .gpt import parameter_count
from .memory import keep_memory
from .score import EVAL_TOKENS, artifact_in, load_model
from .scorer_adapt import AdaptScorer
from .scorer_frames import Frames, own_pipes
from .scorer_grid import GRID
from .scorer_kv import KvScorer
from .scorer_replay import ReplayScorer

AnyScorer = KvScorer | ReplayScorer | AdaptScorer
DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line. Leaves with status 2 for a wrong one."""
    parser = argparse.ArgumentParser(prog="python -m model.scorer", description=__doc__.split("\n\n")[0])
    parser.add_argument("artifact", type=Path, help="a .pgc, .int8.ptz, .safetensors or .pt file, or a folder with one")
    parser.add_argument("--rows", type=int, default=0, help="streams side by side; 0: as the evaluation has them")
    parser.add_argument("--path", choices=("kv", "replay", "adapt"), default="kv")
    parser.add_argument("--length", type=int, default=0, help="tokens a window reads; 0: as it was trained")
    parser.add_argument("--dtype", choices=list(DTYPES), help="float64, but float32 for replay, unless given")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--clock", type=Path, help="a folder that gets this process's CPU seconds as JSON")
    return parser.parse_args(argv)


def settle(device: str) -> dict[str, object]:
    """Make this process compute the same each time, and say what its results may hang on. Raises ModelError."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(1)
    keep_memory()
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms, without importing the compiler
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    on: dict[str, object] = {"torch": str(torch.__version__), "threads": torch.get_num_threads()}
    if device == "cpu":
        return on | {"cpu": torch.backends.cpu.get_cpu_capability()}
    if not torch.cuda.is_available():
        raise ModelError("--device cuda, but this torch finds no GPU; leave it out, or see pglab doctor.")
    return on | {"gpu": torch.cuda.get_device_name()}


def open_scorer(given: argparse.Namespace, versions: dict[str, object]) -> tuple[AnyScorer, dict[str, object]]:
    """The scorer and its greeting. Raises ModelError, CodecError or OSError."""
    place = artifact_in(given.artifact)
    model = load_model(place, given.length).to(given.device)
    length = model.config.train_seq_len
    rows = given.rows or max(EVAL_TOKENS["cpu" if given.device == "cpu" else "cuda"] // length, 1)
    dtype = given.dtype or ("float32" if given.path == "replay" else "float64")
    if not 1 <= rows <= 65_535:
        raise ModelError(f"--rows {rows}; wanted 1 to 65,535.")
    if given.path == "replay" and dtype == "float64":
        raise ModelError("replay repeats the evaluation, which is float32 or bfloat16; for float64 take --path kv.")
    if given.path == "adapt" and dtype != "float64":
        raise ModelError("--path adapt computes in float64 only; leave --dtype out.")
    scorer: AnyScorer
    if given.path == "adapt":
        scorer = AdaptScorer(model, rows, length)
    else:
        scorer = (KvScorer if given.path == "kv" else ReplayScorer)(model, rows, length, DTYPES[dtype])
    greeting = {
        "protocol": 1,
        "name": f"pglab GPT, {parameter_count(model):,} parameters",
        "vocab": model.config.vocab_size,
        "context": 0 if given.path == "adapt" else length,
        "rows": rows,
        "path": given.path,
        "dtype": dtype,
        "grid": GRID,
        "bulk": scorer.bulk,
        "device": given.device,
        "versions": versions,
        "artifact": hashlib.sha256(place.read_bytes()).hexdigest(),
    }
    return scorer, greeting


def tokens_of(body: bytearray, at: int, shape: tuple[int, ...], vocab: int) -> np.ndarray:
    """uint16 tokens in a frame's body from byte `at`, as int64. Raises ModelError."""
    count = int(np.prod(shape))
    if len(body) < at + 2 * count:
        raise ModelError(f"a frame of {len(body):,} bytes is too short for {count:,} tokens.")
    tokens = np.frombuffer(body, "<u2", count, at).astype(np.int64).reshape(shape)
    if tokens.size and tokens.max() >= vocab:
        raise ModelError(f"the token {tokens.max():,} is beyond the vocabulary of {vocab:,}; is it another one's text?")
    return tokens


def serve(frames: Frames, scorer: AnyScorer, vocab: int) -> None:
    """Answer until the prover leaves. Raises ModelError for what nobody may ask."""
    rows = scorer.rows
    while True:
        kind, body = frames.take()
        if kind == b"Q":
            return
        if kind == b"S":
            tokens = tokens_of(body, 0, (rows,), vocab)
            if len(body) != 3 * rows:
                raise ModelError(f"a step of {len(body):,} bytes; wanted {3 * rows:,} for {rows:,} rows.")
            flags = np.frombuffer(body, np.uint8, rows, 2 * rows)
            frames.give(b"D", scorer.step(tokens, flags))
        elif kind == b"B" and scorer.bulk and not isinstance(scorer, AdaptScorer):
            if len(body) < 4 + 4 * rows:
                raise ModelError(f"a request for windows of {len(body):,} bytes, too short for {rows:,} rows.")
            n = int.from_bytes(body[:4], "little")
            lengths = np.frombuffer(body, "<u4", rows, 4).astype(np.int64)
            if not 1 <= n <= scorer.length or lengths.max() > n:
                raise ModelError(f"windows of {n:,} tokens, a row of {lengths.max():,}; wanted 1 to {scorer.length:,}.")
            for part in scorer.windows(tokens_of(body, 4 + 4 * rows, (rows, n + 1), vocab), lengths):
                frames.give(b"D", struct.pack("<I", part.shape[1]), part)
            frames.give(b"N", scorer.nats)
        else:
            raise ModelError(f"asked {kind!r:.20}, which this scorer does not answer.")


def main(argv: Sequence[str]) -> int:
    """Greet, answer, leave. Exit status 0, or 2 after one sentence."""
    given = arguments(argv)
    frames = own_pipes()
    try:
        scorer, greeting = open_scorer(given, settle(given.device))
        begun = time.process_time()
        frames.give(b"H", json.dumps(greeting).encode())
        serve(frames, scorer, scorer.model.config.vocab_size)
        if given.clock:
            told = {"start": begun, "pipe": frames.spent, "all": time.process_time()}
            write_aside(given.clock / f"{os.getpid()}.json", json.dumps(told).encode())
    except (ModelError, CodecError, OSError) as error:
        if not isinstance(error, BrokenPipeError):
            says = f"{error.filename}: {error.strerror}." if isinstance(error, OSError) else str(error)
            frames.give(b"E", says.encode())
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
