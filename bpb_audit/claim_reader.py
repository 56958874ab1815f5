"""Reads `submission.json`: what a submission claims, whatever keys it uses.

Public files use more than a hundred distinct keys and six names for the total size. The few that matter are read by
any of their names; per-seed results may stand under `seed_results` or `seeds`, keyed by seed or as a list. Numbers
keep their digits (Decimal), since a claim with four digits can only be held to four.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from .errors import AuditError

MAX_BYTES = 8 << 20
LEAST = Decimal("1e-12")
TOTAL_KEYS = (
    "bytes_total",
    "artifact_bytes",
    "artifact_size_bytes",
    "total_bytes",
    "submission_bytes",
    "artifact_bytes_max",
)
BPB_KEYS = (
    "val_bpb",
    "mean_val_bpb",
    "val_bpb_mean",
    "mean_bpb",
    "bpb",
    "val_bpb_3seed_mean",
    "final_val_bpb",
    "score",
)
LOSS_KEYS = ("val_loss", "mean_val_loss", "val_loss_mean", "val_loss_nats", "mean_val_loss_nats")
SEED_GROUPS = (
    "seed_results",
    "seeds",
    "per_seed",
    "per_seed_results",
    "seed_scores",
    "runs",
    "results",
    "val_bpb_per_seed",
)


@dataclass(frozen=True, slots=True)
class Score:
    """One claimed score: `key` its path in the file, `bpb` bits per byte, `loss` nats per token, `size` in bytes."""

    key: str
    bpb: Decimal
    loss: Decimal | None = None
    size: int | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Claim:
    """What `name` (a submission.json) claims. `main` is the headline score, `seeds` the per-seed ones."""

    name: str
    main: Score | None = None
    seeds: tuple[Score, ...] = ()
    seed_list: tuple[int, ...] = ()
    bytes_total: int | None = None
    bytes_code: int | None = None
    track: str = ""
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)


def decimal(value: object) -> Decimal | None:
    """A number above 1e-12 and below 10^15 as Decimal, or None: no size or score lies beyond."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    number = Decimal(value)
    return number if number.is_finite() and LEAST < number < 10**15 else None


def whole(value: object) -> int | None:
    """A positive whole number, or None."""
    number = decimal(value)
    return int(number) if number is not None and number == number.to_integral_value() else None


def first(data: dict[str, Any], keys: tuple[str, ...]) -> Decimal | None:
    """The first of `keys` that holds a number."""
    return next((number for key in keys if (number := decimal(data.get(key))) is not None), None)


def _seed(value: object) -> int | None:
    text = str(value).lower().removeprefix("seed").strip("_ -")
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= 12 else None


def _score(data: object, key: str, seed: int | None) -> Score | None:
    if isinstance(data, (int, Decimal)):
        bpb = decimal(data)
        return Score(key, bpb, seed=seed) if bpb is not None and bpb < 100 else None
    if not isinstance(data, dict):
        return None
    bpb = first(data, BPB_KEYS)
    if bpb is None or bpb >= 100:
        return None
    size = next((n for k in TOTAL_KEYS if (n := whole(data.get(k))) is not None), None)
    return Score(key, bpb, first(data, LOSS_KEYS), size, seed if seed is not None else _seed(data.get("seed", "")))


def _seed_scores(data: dict[str, Any]) -> Iterator[Score]:
    for name in SEED_GROUPS:
        group = data.get(name)
        if isinstance(group, dict):
            for key, value in group.items():
                seed = _seed(key)
                if (seed is not None or isinstance(value, dict)) and (score := _score(value, f"{name}.{key}", seed)):
                    yield score
        elif isinstance(group, list):
            for at, value in enumerate(group):
                if isinstance(value, dict) and (score := _score(value, f"{name}[{at}]", None)):
                    yield score


def parse_claim(data: bytes, name: str = "submission.json") -> Claim:
    """The claim in the bytes of a `submission.json`. Raises AuditError for anything that is not a JSON object."""
    if len(data) > MAX_BYTES:
        raise AuditError(f"{name}: {len(data):,} bytes is no submission.json; wanted a small JSON object.")
    try:
        value = json.loads(data.decode("utf-8-sig"), parse_float=Decimal, parse_constant=lambda word: word)
    except UnicodeDecodeError as error:
        raise AuditError(f"{name}: byte {error.start:,} is not UTF-8; write the file as UTF-8.") from error
    except json.JSONDecodeError as error:
        raise AuditError(f"{name}:{error.lineno}: not JSON ({error.msg}); mend it there.") from error
    except (RecursionError, ValueError, ArithmeticError) as error:
        raise AuditError(f"{name}: not readable JSON ({error}); wanted one plain JSON object.") from error
    if not isinstance(value, dict):
        raise AuditError(f"{name}: holds a {type(value).__name__}, wanted a JSON object with val_bpb and bytes_total.")
    seeds = value.get("seeds")
    listed = tuple(s for one in seeds if (s := _seed(one)) is not None) if isinstance(seeds, list) else ()
    scores = tuple(_seed_scores(value))
    return Claim(
        name,
        _score(value, "val_bpb", _seed(value.get("seed", ""))),
        scores,
        listed or tuple(score.seed for score in scores if score.seed is not None),
        next((n for key in TOTAL_KEYS if (n := whole(value.get(key))) is not None), None),
        whole(value.get("bytes_code", value.get("code_bytes"))),
        str(value.get("track", "")),
        " ".join(str(value.get(key, ""))[:4000] for key in ("name", "blurb", "tokenizer", "technique_summary")),
        value,
    )


def read_claim(path: Path) -> Claim:
    """Read one submission.json. Raises AuditError when it cannot be read."""
    try:
        size = path.stat().st_size
        return parse_claim(path.read_bytes() if size <= MAX_BYTES else b" " * (MAX_BYTES + 1), path.name)
    except OSError as error:
        raise AuditError(f"{path}: cannot be read ({error.strerror}); give a readable submission.json.") from error
