"""Where ranks run: each on a core of its own where there are as many, else wherever the system puts them."""

import os

import pytest

from model.ranks import keep_to_a_core


@pytest.mark.parametrize(
    ("world", "local_world", "cores", "kept"),
    [
        (2, "2", {3, 5}, {5}),
        (2, "2", {3, 5, 6}, None),
        (2, "1", {3, 5}, None),
        (1, "1", {3}, None),
        (2, "", {3, 5}, None),
    ],
)
def test_a_rank_keeps_to_its_core_only_where_all_have_one(
    world: int, local_world: str, cores: set[int], kept: set[int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[set[int]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: cores, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda process, chosen: asked.append(chosen), raising=False)
    keep_to_a_core(1 if world > 1 else 0, world, {"LOCAL_WORLD_SIZE": local_world})
    assert asked == ([] if kept is None else [kept])
