"""Whole tiny runs in this process, for the tests of `model`: to the end, or until somebody asks them to leave."""

import json
from pathlib import Path
from typing import Any

import torch

from model.ranks import Ranks
from model.train import run_training

ALONE = Ranks(0, 1, torch.device("cpu"), torch.float32)


class Leave:
    """A stop request that comes after some steps."""

    def __init__(self, after: int = 10**9) -> None:
        self.left = after

    def check(self) -> bool:
        self.left -= 1
        return self.left <= 0


def run_in(folder: Path, config: Any, after: int = 10**9) -> int:
    folder.mkdir(exist_ok=True)
    return run_training(config, folder, ALONE, Leave(after))  # type: ignore[arg-type]


def curve(folder: Path) -> list[tuple[int, float]]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(row["step"], row.get("train_loss", row.get("val_loss"))) for row in rows]
