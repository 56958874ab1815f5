"""The end of a run: weights to files, files read back, and only what came back is scored.

The challenge's own export (`final_model.int8.ptz`) is always written, and beside it `final_model.pgc` by the
recipe's codec. Each file is read again from disk by every rank, loaded into the model, and evaluated as the challenge
does; sizes are those of the files. Where the recipe asks for another evaluation (`eval_method`), our file is scored by
it as well, under a label of its own, and that is the run's score.
"""

import json
import re
import sys
import time
import zlib
from dataclasses import asdict, replace
from pathlib import Path

import torch

from compress.aside import write_aside
from compress.container import write_container
from compress.official import quantize_official
from compress.torch_file import write_ptz

from .config import RunConfig
from .evaluate import ScoreSums, ValidationText
from .export import read_artifact, weights_in, weights_out
from .gpt import GPT
from .log import RunLog
from .methods import score_by_method
from .ranks import Ranks


def codec_label(codec: str) -> str:
    """A codec's name as a word for log lines: `int8-row+brotli11` -> `int8_row_brotli11`."""
    return re.sub(r"[^a-z0-9]+", "_", codec.lower()).strip("_")


def write_weights(model: GPT, config: RunConfig, run: Path, code_bytes: int, log: RunLog) -> None:
    """All files of the trained weights, by rank 0: fp32 safetensors, the official export, our container."""
    from safetensors.numpy import save

    arrays, lacking = weights_out(model)
    size = write_aside(run / "checkpoint" / "model.safetensors", save(arrays))
    log.line(f"Serialized model: {size} bytes")
    log.line(f"Code size: {code_bytes} bytes")
    log.line(f"Total submission size: {size + code_bytes} bytes")
    saved = quantize_official(arrays, lacking)
    size = write_ptz(run / "final_model.int8.ptz", saved)
    raw = len(zlib.decompress((run / "final_model.int8.ptz").read_bytes()))
    payload = sum(v.nbytes for part in ("quantized", "scales", "passthrough") for v in saved[part].values())
    plain = sum(p.numel() * p.element_size() for p in model.state_dict().values())
    log.line(
        f"Serialized model int8+zlib: {size} bytes "
        f"(payload:{payload} raw_torch:{raw} payload_ratio:{plain / max(payload, 1):.2f}x)"
    )
    log.line(f"Total submission size int8+zlib: {size + code_bytes} bytes")
    size = write_container(run / "final_model.pgc", arrays, config.codec, lacking)
    log.line(f"Serialized model {config.codec}: {size} bytes")
    log.line(f"Total submission size {config.codec}: {size + code_bytes} bytes")


def score_file(
    path: Path, label: str, model: GPT, config: RunConfig, text: ValidationText, ranks: Ranks, log: RunLog
) -> dict[str, object]:
    """Load a written file into the model and score it; the content of score.json. Prints the challenge's two lines."""
    weights_in(model, read_artifact(path), str(path))
    ranks.settle()
    begin = time.perf_counter()
    batch = config.val_batch_size // config.micro_batches
    sums, method = score_by_method(model, text, config, batch, ranks.rank, ranks.world)
    ranks.settle()
    seconds = time.perf_counter() - begin
    log.line(
        f"final_{label}_roundtrip val_loss:{sums.val_loss:.4f} val_bpb:{sums.bpb_table:.4f} "
        f"eval_time:{1000 * seconds:.0f}ms"
    )
    log.line(f"final_{label}_roundtrip_exact val_loss:{sums.val_loss:.8f} val_bpb:{sums.bpb_table:.8f}")
    return score_words(sums, method, path.name, seconds)


def score_words(sums: ScoreSums, method: str, artifact: str, seconds: float) -> dict[str, object]:
    """The content of score.json."""
    ratios = {"bpb_raw": sums.bpb_raw, "bpb_table": sums.bpb_table, "val_loss": sums.val_loss}
    return {**asdict(sums), **ratios, "method": method, "artifact": artifact, "seconds": round(seconds, 3)}


def finish_run(
    model: GPT, config: RunConfig, text: ValidationText, run: Path, code_bytes: int, ranks: Ranks, log: RunLog
) -> dict[str, object]:
    """Write, read back, score; returns the scores by artifact. Raises CodecError, ModelError or OSError."""
    if ranks.rank == 0:
        write_weights(model, config, run, code_bytes, log)
    ranks.wait()
    scores: dict[str, object] = {}
    plain, ours = replace(config, eval_method="sequential"), codec_label(config.codec)
    for name, label in (("final_model.int8.ptz", "int8_zlib"), ("final_model.pgc", ours)):
        scores[name] = score_file(run / name, label, model, plain, text, ranks, log)
    if config.eval_method != "sequential":  # a second score of the same weights, which then is the run's
        label = f"{ours}_{config.eval_method}"
        scores["final_model.pgc"] = score_file(run / "final_model.pgc", label, model, config, text, ranks, log)
    if ranks.rank == 0:
        write_aside(run / "score.json", (json.dumps(scores["final_model.pgc"], indent=1) + "\n").encode())
    return scores


def peak_memory(device: torch.device) -> str:
    """The challenge's line of peak memory; on a CPU both numbers are the largest resident size, where it is told."""
    if device.type == "cuda":
        allocated, reserved = torch.cuda.max_memory_allocated(device), torch.cuda.max_memory_reserved(device)
    elif sys.platform == "win32":
        return "peak memory: not known on this system"
    else:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        allocated = reserved = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return f"peak memory allocated: {allocated >> 20} MiB reserved: {reserved >> 20} MiB"
