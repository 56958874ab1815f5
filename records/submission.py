"""submission.json: strict when we write it, tolerant when we read it.

The challenge shows nine fields and asks for three (a name, a GitHub id, val_bpb); in public the file has no schema:
58 files carry 139 keys, and six names for the total size. So there are two shapes here and they never mix.
`Submission` is what this lab writes: exactly the nine fields, each in its type and range. `read_claims` takes any
public file and gives `Claims`: what it claims, under our names, with the key each value was found under.
"""

import json
import math
import re
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .errors import RecordError

CAP = 16_000_000
LARGEST = 4 << 20  # bytes of a submission.json
NINE = ("author", "github_id", "name", "blurb", "date", "val_loss", "val_bpb", "bytes_total", "bytes_code")
TOTAL_KEYS = (
    "bytes_total",
    "artifact_bytes_max",
    "artifact_bytes",
    "artifact_size_bytes",
    "total_bytes",
    "artifact_bytes_mean",
)
CODE_KEYS = ("bytes_code", "code_bytes", "code_size_bytes")
BPB_KEYS = ("val_bpb", "mean_val_bpb", "val_bpb_mean", "bpb", "final_val_bpb")
LOSS_KEYS = ("val_loss", "mean_val_loss", "val_loss_mean", "val_loss_nats")
SEED_KEYS = ("seed_results", "per_seed", "per_seed_results", "seeds_results", "runs", "results_by_seed", "seeds")
SEED_LISTS = ("seed_scores", "seed_val_bpb", "val_bpb_per_seed", "val_bpbs", "per_seed_val_bpb")
SEED_BPB_KEYS = (
    "val_bpb",
    "sliding_val_bpb",
    "ttt_val_bpb",
    "post_ttt_val_bpb",
    "post_ttt_bpb",
    "sliding_bpb",
    "ttt_bpb",
    "bpb",
    "val_var_bpb",
)


class Submission(BaseModel):
    """The nine fields, as this lab writes them. Sizes in bytes; `val_loss` nats per token, `val_bpb` bits per byte."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    author: Annotated[str, Field(min_length=1)]
    github_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?$")]
    name: Annotated[str, Field(min_length=1)]
    blurb: Annotated[str, Field(min_length=1)]
    date: str
    val_loss: Annotated[float, Field(gt=0, lt=100)]
    val_bpb: Annotated[float, Field(gt=0, lt=100)]
    bytes_total: Annotated[int, Field(gt=0, lt=CAP)]
    bytes_code: Annotated[int, Field(gt=0)]

    @field_validator("date")
    @classmethod
    def _iso(cls, text: str) -> str:
        if read_date(text) is None:
            raise ValueError("not an ISO 8601 date")
        return text

    @model_validator(mode="after")
    def _code_is_part(self) -> "Submission":
        if self.bytes_code > self.bytes_total:
            raise ValueError("bytes_code is more than bytes_total")
        return self

    def text(self) -> str:
        """The file's text: two-space JSON in the order of the nine, one newline at the end."""
        return json.dumps(self.model_dump(), indent=2, ensure_ascii=False) + "\n"


def make_submission(**fields: Any) -> Submission:
    """Build a `Submission`. Raises RecordError with every field that is wrong, in one sentence."""
    try:
        return Submission(**fields)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'whole'}: {e['msg']} (met {e['input']!r:.60})" for e in error.errors()
        )
        raise RecordError(
            f"submission.json would not be valid: {wrong}. Correct these fields and run again."
        ) from error


@dataclass(frozen=True)
class SeedClaim:
    """One claimed run: its seed as written, and what it claims."""

    seed: str
    val_bpb: str | None
    val_loss: str | None = None
    bytes_total: int | None = None


@dataclass
class Claims:
    """What a public submission.json claims, under our names. Numbers stay text, so that digits can be counted."""

    file: str
    raw: dict[str, Any]
    keys: dict[str, str] = field(default_factory=dict)  # our name -> the key it was found under
    val_bpb: str | None = None
    val_loss: str | None = None
    bytes_total: int | None = None
    bytes_code: int | None = None
    seeds: list[SeedClaim] = field(default_factory=list)
    date: str | None = None
    faults: list[str] = field(default_factory=list)

    def text(self, key: str) -> str:
        """A field as text, "" when it is absent, null or not a plain value."""
        value = self.raw.get(key)
        return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


class _Number(str):
    """A JSON number kept as it was written: 1.2243657 has seven decimals, and that matters."""


def read_date(text: str) -> date | None:
    """A date from ISO 8601 text (`2026-03-18`, `2026-03-18T14:56:29Z`), or None."""
    try:
        return datetime.fromisoformat(text.strip().replace("Z", "+00:00")).date()
    except ValueError:
        return None


def decimals(number: str) -> int:
    """How many decimals a number was written with; `1.1e-3` counts as 8."""
    return 8 if "e" in number.lower() else len(number.partition(".")[2])


def read_claims(path: Path) -> Claims:
    """Read any public submission.json.

    Returns `Claims`; wrong types are told in `faults`, never guessed away. Raises RecordError when the file is not a
    JSON object at all (bad bytes, a cut file, a list, nesting past reason, NaN).
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror}).") from error
    return parse_claims(data, str(path.name))


def parse_claims(data: bytes, name: str = "submission.json") -> Claims:
    """The same from bytes."""
    if len(data) > LARGEST:
        raise RecordError(f"{name}: more than {LARGEST:,} bytes; a submission.json is a few kilobytes.")
    try:
        raw = json.loads(data.decode("utf-8-sig"), parse_float=_Number, parse_int=_Number, parse_constant=_refuse)
    except RecursionError as error:
        raise RecordError(f"{name}: nested too deeply to be a submission.json.") from error
    except (UnicodeDecodeError, ValueError) as error:
        raise RecordError(f"{name}: not JSON ({error}). `python -m json.tool {name}` shows the place.") from error
    if not isinstance(raw, dict):
        raise RecordError(f"{name}: a JSON {type(raw).__name__}, wanted an object with the nine fields.")
    claims = Claims(name, raw)
    claims.val_bpb = _number(claims, "val_bpb", BPB_KEYS)
    claims.val_loss = _number(claims, "val_loss", LOSS_KEYS)
    claims.bytes_total = _size(claims, "bytes_total", TOTAL_KEYS)
    claims.bytes_code = _size(claims, "bytes_code", CODE_KEYS)
    claims.date = claims.text("date") or None
    claims.seeds = _seeds(claims)
    return claims


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON number")


def _number(claims: Claims, name: str, keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = claims.raw.get(key)
        if value is None:
            continue
        if isinstance(value, _Number) and math.isfinite(float(value)):
            claims.keys[name] = key
            return str(value)
        if isinstance(value, str) and re.fullmatch(r"\s*\d+\.\d+\s*", value):
            claims.faults.append(f"{key} is text ({value!r}), wanted a number")
            claims.keys[name] = key
            return value.strip()
        claims.faults.append(f"{key} is {type(value).__name__} ({value!r:.40}), wanted a number")
    return None


def _size(claims: Claims, name: str, keys: tuple[str, ...]) -> int | None:
    text = _number(claims, name, keys)
    if text is None:
        return None
    value = float(text)
    if value != int(value) or value < 0:
        claims.faults.append(f"{claims.keys[name]} is {text}, wanted whole bytes")
        return None
    return int(value)


def _seeds(claims: Claims) -> list[SeedClaim]:
    groups = [claims.raw[key] for key in SEED_KEYS if isinstance(claims.raw.get(key), dict | list)]
    results = next((one for one in groups if isinstance(one, dict) or any(isinstance(v, dict) for v in one)), None)
    found: list[SeedClaim] = []
    if isinstance(results, dict):
        pairs = [(str(seed).removeprefix("seed").strip("_ "), value) for seed, value in results.items()]
    elif isinstance(results, list):
        pairs = [(str(v.get("seed", "")), v) for v in results if isinstance(v, dict)]
    else:
        pairs = []
    for seed, value in pairs:
        if isinstance(value, _Number):
            found.append(SeedClaim(seed, str(value)))
        elif isinstance(value, dict):
            bpb = next((str(value[k]) for k in SEED_BPB_KEYS if isinstance(value.get(k), _Number)), None)
            loss = next((str(value[k]) for k in LOSS_KEYS if isinstance(value.get(k), _Number)), None)
            sizes = (float(value[k]) for k in TOTAL_KEYS if isinstance(value.get(k), _Number))
            size = next((int(one) for one in sizes if math.isfinite(one)), None)
            if bpb is not None or loss is not None:
                found.append(SeedClaim(seed, bpb, loss, size))
    if not found and isinstance(claims.raw.get("seeds"), list):
        names = [str(seed) for seed in claims.raw["seeds"] if isinstance(seed, str | int | _Number)]
        lists = [claims.raw[key] for key in SEED_LISTS if isinstance(claims.raw.get(key), list)]
        values: list[Any] = next(
            (one for one in lists if len(one) == len(names) and all(isinstance(v, _Number) for v in one)), []
        )
        found = [SeedClaim(seed, str(values[at]) if values else None) for at, seed in enumerate(names)]
    return found
