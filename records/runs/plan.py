"""An experiment becomes stages: corpus, vocabularies, shards, trainings, packed and scored artifacts, in that order."""

from dataclasses import dataclass
from pathlib import Path

from .errors import RunError
from .recipe import Codec, Experiment, Model, Vocabulary
from .stage import Command, Stage, file_sha256

SPEECHES = 12_185_751  # bytes of the embedded documents, for guesses


@dataclass(frozen=True, slots=True)
class Cell:
    """One result of an experiment: what it is made of, and the stages that hold it. codec "" is the training's own."""

    vocabulary: str
    model: str
    seed: int
    codec: str
    measured: Stage
    trained: Stage
    packed: Stage | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Stages in an order in which each comes after what it needs, none twice; and the cells of the experiment."""

    stages: tuple[Stage, ...]
    cells: tuple[Cell, ...]


def plan_of(experiment: Experiment, home: Path) -> Plan:
    """The plan; the experiment's files are looked for from `home`, the folder of its TOML. Raises RunError, OSError."""
    stages: dict[str, Stage] = {}  # by key, so that what two cells share is there once
    cells: list[Cell] = []

    def add(stage: Stage) -> Stage:
        return stages.setdefault(stage.key, stage)

    corpus = add(corpus_stage(experiment, home))
    for vocabulary in experiment.vocabulary:
        made = add(vocabulary_stage(vocabulary, corpus, home))
        measured = add(measure_stage(vocabulary, corpus, made))
        if not experiment.model:
            continue
        shards = add(shard_stage(vocabulary, corpus, made))
        for model in experiment.model:
            for seed in experiment.seeds:
                trained = add(train_stage(vocabulary, model, seed, made, shards, home))
                whole = (vocabulary.name, model.name, seed)
                if not experiment.codec:
                    cells.append(Cell(*whole, "", measured, trained, None))
                for codec in experiment.codec:
                    packed = add(pack_stage(codec, trained, shards))
                    cells.append(Cell(*whole, codec.recipe, measured, trained, packed))
    return Plan(tuple(stages.values()), tuple(cells))


def outside(home: Path, name: str, what: str) -> Path:
    """A file that the experiment names. Raises RunError when it is not there."""
    path = (home / name).resolve()
    if not path.is_file():
        raise RunError(f"{path}: no such file; the experiment names it as its {what}.")
    return path


def corpus_stage(experiment: Experiment, home: Path) -> Stage:
    """Documents, split for validation."""
    file = outside(home, experiment.docs, "docs") if experiment.docs else None
    words = ["corpus", "write", "--out", "{out}", "--validation-share", repr(experiment.validation_share)]
    if file:
        words += ["--docs", "{file}"]
    return Stage(
        "corpus",
        "corpus",
        (Command(tuple(words)),),
        ("docs.jsonl", "corpus.json"),
        file=file,
        sha256=file_sha256(file) + file.suffix if file else "",  # the suffix decides how it is read
        size=file.stat().st_size if file else SPEECHES,
    )


def vocabulary_stage(vocabulary: Vocabulary, corpus: Stage, home: Path) -> Stage:
    """A vocabulary, trained or imported."""
    name = f"vocabulary {vocabulary.name}"
    if vocabulary.file:
        file = outside(home, vocabulary.file, f"vocabulary {vocabulary.name}")
        words = ["vocab", "import", "{file}", "--out", "{out}"]
        words += ["--transform", vocabulary.transform] if vocabulary.transform else []
        words += ["--split", vocabulary.split] if vocabulary.split else []
        command = Command(tuple(words))
        digest = file_sha256(file) + file.suffix
        return Stage(name, "vocab import", (command,), ("spec.json",), file=file, sha256=digest,
                     size=file.stat().st_size)  # fmt: skip
    words = ["vocab", "train", vocabulary.kind, "--docs", "{corpus}/docs.jsonl", "--out", "{out}"]
    words += ["--size", str(vocabulary.size)] if vocabulary.size else []
    return Stage(name, "vocab train", (Command(tuple(words)),), ("spec.json", "token_table.npz"), {"corpus": corpus},
                 size=corpus.size)  # fmt: skip


def measure_stage(vocabulary: Vocabulary, corpus: Stage, made: Stage) -> Stage:
    """What the vocabulary costs on held-out documents."""
    command = Command(("vocab", "compare", "{vocab}", "--docs", "{corpus}/docs.jsonl", "--json"), "vocab.json")
    needs = {"corpus": corpus, "vocab": made}
    return Stage(f"measure {vocabulary.name}", "vocab compare", (command,), ("vocab.json",), needs, size=corpus.size)


def shard_stage(vocabulary: Vocabulary, corpus: Stage, made: Stage) -> Stage:
    """Token shards, read back and recounted."""
    docs = ("--docs", "{corpus}/docs.jsonl")
    commands = (
        Command(("shards", "write", *docs, "--vocab", "{vocab}", "--out", "{out}/shards")),
        Command(("shards", "verify", "{out}/shards", *docs, "--json"), "verify.json"),
    )
    needs = {"corpus": corpus, "vocab": made}
    makes = ("shards/manifest.json", "shards/token_table.npz", "verify.json")
    return Stage(f"shards {vocabulary.name}", "shards", commands, makes, needs, size=corpus.size)


def train_stage(vocabulary: Vocabulary, model: Model, seed: int, made: Stage, shards: Stage, home: Path) -> Stage:
    """One training, its own artifact and score."""
    recipe, digest, file = model.recipe, "", None
    if recipe.endswith(".toml"):
        file = outside(home, recipe, f"recipe of model {model.name}")
        recipe, digest = "{file}", file_sha256(file)
    words = ["model", "train", "--recipe", recipe, "--shards", "{shards}/shards", "--out", "{out}"]
    words += ["--seconds", repr(float(model.seconds)), "--ranks", str(model.ranks), "--set", f"seed={seed}"]
    settings = {"vocab_size": "{vocab.size}", **model.set}
    for key, value in settings.items():
        words += ["--set", f"{key}={str(value).lower() if isinstance(value, bool) else value}"]
    return Stage(
        f"train {vocabulary.name} {model.name} seed {seed}",
        "train",
        (Command(tuple(words)),),
        ("train.log", "config.json", "score.json", "final_model.pgc", "checkpoint/model.safetensors"),
        {"vocab": made, "shards": shards},
        file,
        digest,
        size=shards.size,
        seconds=model.seconds,
    )


def pack_stage(codec: Codec, trained: Stage, shards: Stage) -> Stage:
    """The trained weights packed, read back, and scored as they came back."""
    commands = (
        Command(("codec", "pack", "{train}/checkpoint/model.safetensors", "{out}/model.pgc", "--recipe", codec.recipe,
                 "--json"), "pack.json"),
        Command(("model", "eval", "{out}/model.pgc", "--shards", "{shards}/shards", "--json"), "score.json"),
    )  # fmt: skip
    name = f"{trained.name.removeprefix('train ')} {codec.recipe}"
    needs = {"train": trained, "shards": shards}
    return Stage(f"pack {name}", "pack", commands, ("model.pgc", "pack.json", "score.json"), needs,
                 copies=(("train", "config.json"),), size=trained.size)  # fmt: skip
