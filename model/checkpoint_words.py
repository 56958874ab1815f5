"""Whether a run is finished, and of which settings: the part of a checkpoint that can be read without torch."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .config import RunConfig
from .errors import ModelError

MAY_DIFFER = {"data_path", "tokenizer_path", "checkpoint_seconds", "train_log_every", "val_batch_size"}


def check_same_run(before: dict[str, Any], config: RunConfig, path: Path) -> None:
    """ModelError when a run's configuration differs from the one it began with, in what decides its curve."""
    now = json.loads(json.dumps(asdict(config)))
    for key in sorted(now.keys() - MAY_DIFFER):
        if before.get(key) != now[key]:
            raise ModelError(
                f"{path}: this run began with {key} = {before.get(key)!r:.40}, now it is {now[key]!r:.40}. Give the "
                "same settings to go on, or another --out."
            )


def finished_words(folder: Path, config: RunConfig) -> dict[str, Any] | None:
    """What finished.json says, or None. Raises ModelError when it is damaged, or of other settings than `config`."""
    path = folder / "finished.json"
    if not path.exists():
        return None
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        before, scores = said["config"], said["scores"]
        if not isinstance(before, dict) or not isinstance(scores, dict):
            raise TypeError("config and scores are no objects")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path}: damaged ({str(error)[:80]}). Delete it to finish the run again.") from None
    check_same_run(before, config, path)
    return said
