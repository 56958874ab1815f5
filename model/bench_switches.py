"""`pglab bench switches`: what a setting is worth, over several seeds, at equal steps, in pairs.

Two trainings that differ in nothing but the seed differ by more than most switches are worth. So each change of
settings is trained with the seeds of the base, on the same text, for as many steps, and its score is set against the
base's of the same seed: the mean of these differences, and its standard error. What a step costs more is measured
apart, both steps in turn, in CPU time (wall-clock time on a GPU). Steps are equal, so it does not matter how busy the
machine is.

What is done stands in the file `--work`, a line each, and is not done again.
"""

import hashlib
import json
import math
import statistics
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pglab_report import Column, Report, Table, Ways, show

from .bench import Stopwatch
from .cli_calibrate import one_thread
from .config import RunConfig, read_recipe, with_values
from .errors import ModelError

SHAPE = {"num_layers": 4, "model_dim": 128, "num_heads": 2, "num_kv_heads": 1, "micro_batches": 1}
WHOLE = {"max_wallclock_seconds": 0.0, "warmup_steps": 0}  # no clock decides anything
TURNS = 15  # pairs of steps that are timed
CHANGES = (
    "value_residual=true",
    "exclusive_last=4",
    "exclusive_last=2",
    "gate_width=12",
    "smear_width=0",
    "parallel_from=1",
    "parallel_from=3",
    "loop_start=1 loop_end=3 loop_repeats=1",
    "rope_dims=32",
    "rope_dims=16",
    "depth_scale=true",
    "qk_gain_init=4",
    "relu_slope=0",
    "relu_slope=0.25",
    "ema_decay=0.95",
    "ema_decay=0.98",
    "muon_weight_decay=0.09",
    "muon_weight_decay=1",
    "muon_row_norm=false",
    "muon_polar_express=true",
    "muon_row_norm=false muon_polar_express=true",
    "warmdown_shape=cosine",
    "warmdown_shape=sqrt",
    "warmdown_frac=0.3",
    "warmdown_frac=0.9",
    "min_rate=0.1",
)


def settings(words: str) -> dict[str, str]:
    """`a=1 b=2` as a table. Raises ModelError."""
    pairs = [word.partition("=") for word in words.replace(",", " ").split()]
    if not pairs or not all(key and sign for key, sign, _ in pairs):
        raise ModelError(f"{words!r:.60} is no change; wanted KEY=VALUE, several with spaces between.")
    return {key: value for key, _, value in pairs}


class Work:
    """Results by what they are of, in a file of JSON lines that is only added to."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.known = path, dict[str, dict[str, Any]]()
        for line in path.read_text(encoding="utf-8").splitlines() if path and path.exists() else []:
            try:
                one = json.loads(line)
                self.known[one["key"]] = one["found"]
            except (ValueError, KeyError, TypeError):
                raise ModelError(f"{path}: {line[:40]!r} is no result; give another file.") from None

    def __contains__(self, key: str) -> bool:
        return key in self.known

    def add(self, key: str, **found: Any) -> None:
        """Keep one result."""
        self.known[key] = found
        if self.path:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "found": found}) + "\n")


def key_of(kind: str, config: RunConfig, *more: object) -> str:
    """What a result is of: the settings, but for where the text lies."""
    said = asdict(config) | {"data_path": "", "tokenizer_path": ""}
    return hashlib.sha256(json.dumps([kind, said, *more], sort_keys=True).encode()).hexdigest()[:16]


def trained(config: RunConfig, targets: int) -> dict[str, Any]:
    """Train to the end and score: bits per table byte before and after the export, and its bytes."""
    from compress.container import write_container

    from .evaluate import read_validation, score_sequential
    from .export import read_artifact, weights_in, weights_out
    from .ranks import open_ranks
    from .schedule import rate_scale
    from .score import first_targets
    from .train import Training

    ranks = open_ranks(config, {})
    text = first_targets(read_validation(config), targets)
    training = Training(config, ranks)
    for step in range(config.iterations):
        scale = rate_scale(config, step, 0.0)
        training.forward_backward(scale)
        training.move(step, scale)
    training.average.put()

    def score() -> float:
        return score_sequential(training.model, text, config.train_seq_len, 4096).bpb_table

    found: dict[str, Any] = {"bpb": score()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pgc"
        arrays, lacking = weights_out(training.model)
        found["bytes"] = write_container(path, arrays, config.codec, lacking)
        weights_in(training.model, read_artifact(path), str(path))
    return found | {"bpb_file": score()}


def step_ratio(base: RunConfig, changed: RunConfig, turns: int) -> float:
    """The time of a step with the change over that without: median of the ratios of pairs in turn."""
    from .ranks import open_ranks
    from .train import Training

    ranks = open_ranks(base, {})
    sides, watch = [Training(base, ranks), Training(changed, ranks)], Stopwatch(ranks.device)
    times: list[list[float]] = [[], []]
    for turn in range(turns + 3):
        for side, spent in zip(sides, times, strict=True):
            seconds = watch.time(lambda side=side: (side.forward_backward(1.0), side.move(turn, 1.0)))  # type: ignore[misc] # noqa: B023
            spent += [seconds] if turn >= 3 else []
    return statistics.median(b / a for a, b in zip(*times, strict=True))


def compared(base: list[dict[str, Any]], changed: list[dict[str, Any]]) -> dict[str, Any]:
    """The differences of each seed's pair: mean, standard error (of two seeds and more), and each."""
    apart = [b["bpb"] - a["bpb"] for a, b in zip(base, changed, strict=True)]
    error = statistics.stdev(apart) / math.sqrt(len(apart)) if len(apart) > 1 else None
    return {
        "apart": statistics.mean(apart),
        "error": error,
        "each": "  ".join(f"{one:+.4f}" for one in apart),
        "gap": statistics.mean(one["bpb_file"] - one["bpb"] for one in changed),
        "bytes": round(statistics.mean(one["bytes"] for one in changed)),
    }


def measure(
    base: RunConfig, changes: tuple[str, ...], seeds: int, targets: int, work: Work
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A row for each change, and the base's own scores by seed. Raises ModelError, CodecError or OSError."""
    from .progress import TokenBar

    configs = {words: with_values(base, settings(words), "--change") for words in changes}  # all read before any work
    places = {"": base} | configs
    rows: dict[str, list[dict[str, Any]]] = {words: [] for words in places}
    with TokenBar("training") as bar:
        for words, config in places.items():
            for seed in range(1, seeds + 1):
                one = replace(config, seed=seed)
                key = key_of("trained", one, targets)
                if key not in work:
                    work.add(key, **trained(one, targets))
                rows[words].append(work.known[key])
                bar(
                    one.iterations * one.train_batch_tokens,
                    len(places) * seeds * one.iterations * one.train_batch_tokens,
                )
            key = key_of("ratio", config, key_of("base", base))
            if words and key not in work:
                work.add(key, ratio=step_ratio(base, config, TURNS))
    own = rows.pop("")
    made = [{"change": words, **compared(own, found)} for words, found in rows.items()]
    for row in made:
        row["ratio"] = work.known[key_of("ratio", configs[row["change"]], key_of("base", base))]["ratio"]
    return made, own


COLUMNS = [
    Column("change"),
    Column("apart", "bits per byte against the base", "", "+.4f"),
    Column("error", "standard error", "", ".4f"),
    Column("each", "each seed"),
    Column("ratio", "step time", "", ".2f"),
    Column("bytes", "file", "bytes", ",d"),
    Column("gap", "lost by the file", "", "+.4f"),
]


def bench(
    *,
    shards: Path,
    recipe: str = "tour",
    set_: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    change: Annotated[list[str] | None, Parameter(negative=())] = None,
    steps: int = 200,
    seeds: int = 3,
    targets: int = 65_536,
    work: Path | None = None,
    ways: Ways = Ways(),
) -> int:
    """What each change of settings is worth: trainings in pairs, equal seeds, text and steps, and the price of a step.

    Parameters
    ----------
    shards
        Folder of token shards.
    recipe
        The base by name or a TOML file; its shape becomes 4 layers of 128, unless --set says otherwise.
    set_
        KEY=VALUE of the base and of all changes; may be repeated.
    change
        KEY=VALUE, several with spaces between; may be repeated. Without it, the switches that public records share.
    steps
        Of each training.
    seeds
        Trainings of each change: seeds 1 to this.
    targets
        Validation targets that are scored, from the start.
    work
        File of results; what stands there is not computed again.
    """
    if steps < 1 or seeds < 1 or targets < 1:
        raise ModelError("--steps, --seeds and --targets want at least 1.")
    from .cli import recipe_path

    one_thread()
    place = recipe_path(recipe)
    base = with_values(RunConfig(), read_recipe(place), str(place))
    scaled = {"iterations": steps, "muon_momentum_warmup_steps": steps // 2, "data_path": str(shards)}
    base = with_values(base, SHAPE | WHOLE | scaled, "bench switches")
    for words in set_ or []:
        base = with_values(base, settings(words), "--set")
    rows, own = measure(base, tuple(change or CHANGES), seeds, targets, Work(work))
    return show(switches_report(base, rows, own, targets), ways)


def switches_report(base: RunConfig, rows: list[dict[str, Any]], own: list[dict[str, Any]], targets: int) -> Report:
    """The report of what `measure` found."""
    scores = [one["bpb"] for one in own]
    spread = f"; they differ by {statistics.stdev(scores):.4f} (standard deviation)" if len(scores) > 1 else ""
    gap = statistics.mean(one["bpb_file"] - one["bpb"] for one in own)
    said = [
        f"The base scores {', '.join(f'{score:.4f}' for score in scores)} bits per table byte with seeds 1 to "
        f"{len(scores)}{spread}; its file of {round(statistics.mean(one['bytes'] for one in own)):,} bytes "
        f"({base.codec}) loses {gap:+.4f}.",
    ]
    notes = [
        f"{base.iterations:,} steps of {base.train_batch_tokens:,} tokens, {base.num_layers} layers of "
        f"{base.model_dim}; the first {targets:,} validation targets. Below zero is better. A difference within two "
        "standard errors says nothing, and of three seeds one within four says little."
    ]
    return Report(
        "What settings are worth", said, [Table("switches", "", COLUMNS, rows)], [], notes, data={"rows": rows}
    )
