"""A run's state on disk, so that a killed run goes on as if nothing had been.

`checkpoint/state.safetensors` holds weights, optimiser states and, as JSON in its metadata, the step, the training
time, the place in the data, the lengths of the logs and the whole configuration: one file, written aside and
renamed, so weights and counters can never be of two moments. There is no random number after the start, so no
generator is kept. `checkpoint/finished.json` appears when everything is done; the state is removed then.
"""

import json
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compress.aside import write_aside

from .checkpoint_words import check_same_run
from .config import RunConfig
from .errors import ModelError
from .gpt import GPT
from .muon import Muon

CHECKPOINT_FORMAT = "pglab-checkpoint-1"


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run stands, between two steps."""

    step: int = 0
    train_ms: float = 0.0  # training time spent, validation and saving not counted
    place: tuple[int, int] = (0, 0)  # of the token stream: shard and position
    stopped: bool = False  # the cap on training time was reached
    log_sizes: list[int] = field(default_factory=list)
    attention: str = ""  # the one in use, where it was chosen by trial


def state_tensors(model: GPT, adam: torch.optim.Adam, muon: Muon) -> dict[str, Tensor]:
    """Weights and optimiser states by name, as they are (not copies)."""
    out = {f"model.{name}": p.detach() for name, p in model.named_parameters()}
    for word, optimiser in (("adam", adam), ("muon", muon)):
        for name, p in model.named_parameters():
            for key, value in optimiser.state.get(p, {}).items():
                out[f"{word}.{key}.{name}"] = value
    return out


def restore_tensors(saved: dict[str, Tensor], model: GPT, adam: torch.optim.Adam, muon: Muon) -> None:
    """Put `state_tensors` of an equal model back, in place. Raises ModelError."""
    params = dict(model.named_parameters())
    owner = {p: "adam" for group in adam.param_groups for p in group["params"]}
    owner |= {p: "muon" for group in muon.param_groups for p in group["params"]}
    optimisers: dict[str, torch.optim.Optimizer] = {"adam": adam, "muon": muon}
    for optimiser in optimisers.values():
        optimiser.state.clear()
    seen = set()
    for key, value in saved.items():
        word, rest = key.split(".", 1)
        part, name = ("", rest) if word == "model" else rest.split(".", 1)
        if name not in params or (part and owner.get(params[name]) != word):
            raise ModelError(f"the checkpoint holds {key!r:.80}, which this model has no place for. Use another --out.")
        if not part:
            if value.shape != params[name].shape:
                raise ModelError(f"the checkpoint's {name} is {tuple(value.shape)}, not {tuple(params[name].shape)}.")
            params[name].data.copy_(value)
            seen.add(name)
        else:
            optimisers[word].state[params[name]][part] = value.to(params[name].device, copy=True)
    if missing := sorted(set(params) - seen):
        raise ModelError(f"the checkpoint lacks {missing[0]}. Delete its folder to start anew.")


def save_state(folder: Path, state: RunState, config: RunConfig, tensors: dict[str, Tensor]) -> int:
    """Write the state file aside and rename it; returns its bytes. ModelError for weights that are not finite."""
    from safetensors.torch import save

    for name, tensor in tensors.items():
        if name.startswith("model.") and not math.isfinite(float(tensor.abs().sum(dtype=torch.float64))):
            raise ModelError(f"{name} is not finite after step {state.step}; the state saved before it stays.")
    folder.mkdir(parents=True, exist_ok=True)
    meta = {"format": CHECKPOINT_FORMAT, "state": json.dumps(asdict(state)), "config": json.dumps(asdict(config))}
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return write_aside(folder / "state.safetensors", save(plain, meta))


def load_state(folder: Path, config: RunConfig) -> tuple[RunState, dict[str, Tensor]] | None:
    """The state file's content, or None when there is none. Raises ModelError when it is damaged or of another run."""
    from safetensors import SafetensorError, safe_open

    path = folder / "state.safetensors"
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            meta = file.metadata() or {}
            if meta.get("format") != CHECKPOINT_FORMAT:
                raise ModelError(f"{path}: its format is {meta.get('format')!r:.40}, wanted {CHECKPOINT_FORMAT!r}.")
            state = RunState(**json.loads(meta["state"]))
            before = json.loads(meta["config"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{path}: damaged ({str(error)[:80]}). Delete the folder to start anew.") from None
    check_same_run(before, config, path)
    file_index, position = state.place
    return replace(state, place=(file_index, position)), tensors


def write_finished(folder: Path, said: dict[str, Any]) -> None:
    """Say that everything is done, and drop the state."""
    write_aside(folder / "finished.json", (json.dumps(said, indent=1) + "\n").encode())
    (folder / "state.safetensors").unlink(missing_ok=True)
