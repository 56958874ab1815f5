"""The file of an experiment: what is built, trained and packed, checked before anything runs.

    name = "sizes"
    docs = "mine.jsonl"            # without it: the embedded speeches
    seeds = [1, 2, 3]

    [[vocabulary]]
    name = "bpe1024"
    kind = "bpe"
    size = 1024

    [[model]]
    name = "small"
    recipe = "tour"
    seconds = 60
    set = { num_layers = 3 }

    [[codec]]
    recipe = "int6-row+brotli11"

Every vocabulary meets every model, seed and codec. An error names the line and the key, what stands there and what was
wanted.
"""

import difflib
import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .errors import RunError
from .toml import key_lines, line_of

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
Setting = bool | int | float | str


class Part(BaseModel):
    """What every table of the file has in common: no unknown keys, no guessing of types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Vocabulary(Part):
    """A vocabulary to train (kind, size) or to take over from a file (file, and what `vocab import` wants to know)."""

    name: Name
    kind: str = ""
    size: Annotated[int, Field(ge=256, le=65_536)] | None = None
    file: str = ""
    transform: str = ""
    split: str = ""

    @model_validator(mode="after")
    def either(self) -> "Vocabulary":
        if bool(self.kind) == bool(self.file):
            raise ValueError("wanted either kind (to train one) or file (to import one)")
        if self.file and self.size is not None:
            raise ValueError("a file brings its own size; leave size out")
        return self


class Model(Part):
    """A configuration to train: a recipe by name or path, the seconds it may train, and keys set over the recipe."""

    name: Name
    recipe: str = "tour"
    seconds: Annotated[float, Field(gt=0, strict=False)]
    ranks: Annotated[int, Field(ge=1, le=64)] = 1
    set: dict[str, Setting] = {}


class Codec(Part):
    """A way to pack the trained weights."""

    recipe: Annotated[str, Field(min_length=1)]


class Experiment(Part):
    """The whole file."""

    name: Name
    docs: str = ""
    validation_share: Annotated[float, Field(gt=0, lt=1, strict=False)] = 0.05
    seeds: Annotated[list[int], Field(min_length=1)] = [1337]
    vocabulary: Annotated[list[Vocabulary], Field(min_length=1)]
    model: list[Model] = []
    codec: list[Codec] = []

    @model_validator(mode="after")
    def distinct(self) -> "Experiment":
        for what, names in (
            ("vocabulary", [v.name for v in self.vocabulary]),
            ("model", [m.name for m in self.model]),
            ("codec", [c.recipe for c in self.codec]),
            ("seeds", [str(seed) for seed in self.seeds]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what}: {', '.join(twice)} stands there twice; every one wants a name of its own")
        if self.codec and not self.model:
            raise ValueError("codec: there is no [[model]] whose weights could be packed")
        return self


def read_experiment(path: Path) -> tuple[Experiment, str]:
    """The experiment in a TOML file, and the file's text. Raises RunError with a line for each thing that is wrong."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise RunError(f"{path}: byte {error.start} is no UTF-8; wanted a TOML file.") from None
    text = text.replace("\r\n", "\n")
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RunError(f"{path}: not TOML: {error or 'nested too deep'}. See: pglab run --help") from None
    try:
        return Experiment.model_validate(values), text
    except ValidationError as error:
        lines = key_lines(text)
        told = [told_of(one, path, lines) for one in error.errors(include_url=False)]
        raise RunError("\n".join(dict.fromkeys(told))) from None


def told_of(error: Any, path: Path, lines: dict[Any, int]) -> str:
    """One error of pydantic as file:line: key: what stands there and what was wanted."""
    place = tuple(error["loc"])
    if error["type"] == "missing":
        return f"{path}:{line_of(lines, place[:-1])}: {dotted(place)} is missing."
    known = place[: next((n for n in range(len(place), 0, -1) if place[:n] in lines), len(place))]
    head = f"{path}:{line_of(lines, place)}: {dotted(known)}: ".replace(": : ", ": ")
    if error["type"] == "extra_forbidden":
        tables: dict[str, type[Part]] = {"vocabulary": Vocabulary, "model": Model, "codec": Codec}
        names = list((tables[str(place[0])] if len(place) > 1 else Experiment).model_fields)
        near = difflib.get_close_matches(str(place[-1]), names, 1)
        wanted = f"the nearest is {near[0]}" if near else f"there are {', '.join(names)}"
        return f"{head}nothing here is called so; {wanted}."
    met = (
        "" if isinstance(error["input"], dict | list) or error["type"] == "value_error" else f"{error['input']!r:.60}: "
    )
    says = error["msg"].removeprefix("Value error, ")
    if error["type"] == "string_pattern_mismatch":
        says = "wanted letters, digits, - and _, 40 at most, a letter or digit first"
    return f"{head}{met}{says[:1].lower()}{says[1:].rstrip('.')}."


def dotted(place: tuple[str | int, ...]) -> str:
    """("model", 0, "seconds") -> model[1].seconds."""
    return "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def run_name(experiment: Experiment, text: str) -> str:
    """The name of the experiment's folder in the store: its name and the head of the file's sha256."""
    return f"{experiment.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
