"""`pglab model ...`: thin functions over the room; results on stdout, talk on stderr."""

import json as json_module
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from pglab_report import Ways

from .scoring import PLAIN, Scoring

model = App(name="model", help="Train, evaluate and bundle the standard GPT.")

model.command("model.cli_calibrate:calibrate", name="calibrate")
model.command("model.cli_calibrate:compare", name="compare")

RECIPES = Path(__file__).parent / "recipes"


def recipe_path(name: str) -> Path:
    """The TOML file of a recipe, by name or by path. Raises ModelError with the names there are."""
    from .errors import ModelError

    for place in (Path(name), RECIPES / f"{name}.toml"):
        if place.suffix == ".toml" and place.is_file():
            return place
    known = ", ".join(sorted(path.stem for path in RECIPES.glob("*.toml")))
    raise ModelError(f"no recipe is called {name!r}; there are {known}, or give a .toml file.")


@model.command
def train(
    *,
    shards: Path,
    out: Path,
    recipe: str = "tour",
    ranks: int = 0,
    seconds: float | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    json: bool = False,
) -> int:
    """Train a model, export it, read the exports back and score them; the same command goes on after an interruption.

    Parameters
    ----------
    shards
        Folder of token shards, as `pglab shards write` makes it.
    out
        The run folder; the script that runs, its log, checkpoints, artifacts and scores land there.
    recipe
        A recipe by name (baseline, tour) or a TOML file.
    ranks
        Training processes; 0 means one a GPU, else one a CPU core, two at most.
    seconds
        Training time on the wall clock, validation not counted; 0 for no cap.
    set_
        KEY=VALUE, over the recipe; may be repeated.
    json
        Print the scores as one JSON document.
    """
    from .checkpoint_words import finished_words
    from .config import RunConfig, read_recipe, with_values
    from .data import check_shards
    from .launch import launch
    from .progress import Watcher

    place = recipe_path(recipe)
    config = with_values(RunConfig(), read_recipe(place), str(place))
    given = dict(item.partition("=")[::2] for item in set_ or [])
    config = with_values(config, given, "--set")
    from_flags: dict[str, Any] = {"data_path": os.path.relpath(shards, out)}
    if seconds is not None:
        from_flags["max_wallclock_seconds"] = seconds
    config = with_values(config, from_flags, "the command line")
    said = finished_words(out / "checkpoint", config)
    if said is None:
        check_shards(shards, config.vocab_size)
        processes = usable_ranks(ranks, config.device, config.micro_batches)
        with Watcher(config) as watcher:
            status = launch(config, place, out, processes, watcher.line)
        if status:
            print("interrupted; the same command continues.", file=sys.stderr)
            return status
        said = finished_words(out / "checkpoint", config)
    else:
        print(f"{out}: finished before; nothing is left to do.", file=sys.stderr)
    scores = [] if said is None else list(said["scores"].values())
    if json:
        print(json_module.dumps(scores, indent=1))
        return 0
    from pglab_report import show

    from .score_report import score_report

    return show(score_report(scores, {}), Ways())


def usable_ranks(wished: int, device: str, micro_batches: int) -> int:
    """The number of processes: as wished, but no more than there are GPUs where those are used.

    Unless wished, the most that a step's pieces can be shared out over. Raises ModelError for what does not divide
    them.
    """
    from .errors import ModelError

    fit = [n for n in range(1, micro_batches + 1) if micro_batches % n == 0]
    if wished and wished not in fit:
        raise ModelError(
            f"--ranks {wished} does not divide micro_batches, {micro_batches}; wanted 0, one of {fit}, or another "
            "--set micro_batches=N."
        )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpus = 0
    if device != "cpu" and (shutil.which("nvidia-smi") or Path("/proc/driver/nvidia").exists()):  # else save the import
        import torch

        gpus = torch.cuda.device_count()
    if gpus and wished:
        return min(wished, gpus)
    return wished or max(n for n in fit if n <= (gpus or min(2, cores)))


@model.command(name="eval")
def eval_(
    artifact: Path,
    /,
    *,
    shards: Path,
    how: Annotated[Scoring, Parameter(name="*")] = PLAIN,
    ways: Ways = Ways(),
) -> int:
    """Score an artifact on the validation shards: sums of nats, tokens and bytes, and their ratios.

    The model's shape is read off the tensors; settings that leave no trace there (sequence length, rotary base, soft
    cap) come from config.json beside the artifact, else are the baseline's.

    Parameters
    ----------
    artifact
        A .pgc, .int8.ptz, .safetensors or .pt file, or a run folder that holds one.
    shards
        Folder of validation shards with their token table.
    """
    from pglab_report import show

    from .progress import TokenBar
    from .score import score_artifact
    from .score_report import score_report

    with TokenBar(f"scoring {artifact.name}") as bar:
        score = score_artifact(artifact, shards, how, bar)
    return show(score_report([score], score), ways)  # its JSON holds the fields of score.json at the top


@model.command
def bundle(
    *,
    recipe: str = "baseline",
    out: Path,
    pack: bool = False,
    check: bool = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Join the modules into the one file that is counted, or say whether a file still equals them.

    Parameters
    ----------
    recipe
        A recipe by name (baseline, tour) or a TOML file; it is built in.
    out
        The file, usually train_gpt.py.
    pack
        Write the compressed form that unpacks itself.
    check
        Write nothing; status 1 when the file differs from what would be written.
    json
        Print one JSON document instead of the sentence.
    """
    from .bundle import is_current, packed_bundle, write_bundle

    place = recipe_path(recipe)
    if check:
        same = is_current(place, out)
        sentence = f"{out}: {'equals' if same else 'differs from'} what the modules and {place.stem} give today."
        print(json_module.dumps({"path": str(out), "same": same}) if json else sentence)
        return 0 if same else 1
    size = write_bundle(place, out, pack=pack)
    short = size if pack else len(packed_bundle(place).encode())
    sentence = f"{out}: {size:,} bytes" + ("" if pack else f"; packed it would be {short:,}")
    print(json_module.dumps({"path": str(out), "bytes": size, "bytes_packed": short}) if json else sentence)
    return 0
