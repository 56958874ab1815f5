"""One flat configuration: defaults are the baseline, layers win in order, whatever is wrong is one sentence."""

import json
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compress.recipes import parse_recipe
from model.config import RunConfig, field_value, layered_config, near_names, read_config_file, read_recipe, with_values
from model.errors import ModelError
from model.gpt import GPT

RECIPES = sorted((Path(__file__).parent.parent / "model" / "recipes").glob("*.toml"))


def test_the_defaults_are_the_published_baseline() -> None:
    config = RunConfig()
    assert (config.num_layers, config.model_dim, config.num_heads, config.num_kv_heads) == (9, 512, 8, 4)
    assert (config.train_batch_tokens, config.train_seq_len, config.iterations) == (524_288, 1024, 20_000)
    assert (config.matrix_lr, config.tied_embed_lr, config.warmdown_iters, config.seed) == (0.04, 0.05, 1200, 1337)


def test_layers_win_in_order(tmp_path: Path) -> None:
    place = tmp_path / "config.json"
    place.write_text(json.dumps({"seed": 2, "num_layers": 5, "matrix_lr": 1}))
    got = layered_config({"seed": 1, "iterations": 7}, {"PGLAB_CONFIG": str(place), "SEED": "3", "TIE_EMBEDDINGS": "0"})
    assert (got.seed, got.num_layers, got.iterations, got.matrix_lr, got.tie_embeddings) == (3, 5, 7, 1.0, False)


@pytest.mark.parametrize("name", ["NUM_LAYERS", "MODEL_DIM", "MAX_WALLCLOCK_SECONDS", "SEED", "DATA_PATH", "MATRIX_LR"])
def test_the_challenges_environment_names_are_known(name: str) -> None:
    value = {"DATA_PATH": "/x", "MODEL_DIM": "1024"}.get(name, "3")
    assert str(getattr(layered_config({}, {name: value}), name.lower())).startswith(value)


def test_a_slip_in_an_environment_name_is_noted() -> None:
    assert near_names({"NUM_LAYRS": "3", "NUM_LAYERS": "3", "PATH": "", "RUN_ID": "x"}) == [
        "NUM_LAYRS is set, which is no setting here; did you mean NUM_LAYERS?"
    ]


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"the recipe has the key 'num_layer'.*nearest is 'num_layers'"):
        layered_config({"num_layer": 3}, {})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"num_layers": 0}, "num_layers is 0; wanted at least 1"),
        ({"seed": -1}, "at least 0"),
        ({"matrix_lr": float("nan")}, "finite"),
        ({"num_heads": 7}, "head width"),
        ({"num_heads": 512}, "head width"),
        ({"num_kv_heads": 3}, "no multiple"),
        ({"vocab_size": 70_000}, "65,536"),
        ({"train_batch_tokens": 1000}, "no multiple"),
        ({"device": "tpu"}, "auto, cpu, cuda"),
        ({"logit_softcap": 0.0}, "softcap"),
        ({"warmdown_frac": 1.5}, "between 0 and 1"),
        ({"num_layers": "three"}, "wanted int"),
        ({"num_layers": 2.5}, "wanted int"),
        ({"num_layers": True}, "wanted int"),
        ({"tie_embeddings": "perhaps"}, "wanted bool"),
        ({"matrix_lr": None}, "wanted float"),
    ],
)
def test_bad_values_are_one_sentence(values: dict[str, object], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        with_values(RunConfig(), values, "the test")


@given(st.sampled_from([f.name for f in fields(RunConfig)]), st.text() | st.floats() | st.integers() | st.none())
def test_any_value_is_taken_or_refused(name: str, value: object) -> None:
    default = getattr(RunConfig(), name)
    try:
        assert type(field_value(name, default, value, "x")) is type(default)
        with_values(RunConfig(), {name: value}, "x")
    except ModelError:
        pass


@pytest.mark.parametrize("data", [b"[", b"\xff", b"x = 2021-13-01"])
def test_a_recipe_that_is_no_toml(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "r.toml").write_bytes(data)
    with pytest.raises(ModelError, match="not TOML"):
        read_recipe(tmp_path / "r.toml")


@pytest.mark.parametrize("data", [b"{", b"\xff", b"[1]", b"[" * 100_000])
def test_a_config_file_that_is_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "c.json").write_bytes(data)
    with pytest.raises(ModelError, match=r"not JSON|wanted an object"):
        read_config_file(tmp_path / "c.json")


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_recipe_of_ours_is_valid(path: Path) -> None:
    config = with_values(RunConfig(), read_recipe(path), str(path))
    parse_recipe(config.codec)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_of_ours_is_a_model_of_its_shape(path: Path) -> None:
    config = with_values(RunConfig(), read_recipe(path), str(path))
    with torch.device("meta"):  # shapes alone: nothing is computed or held
        model = GPT(config)
        ids = torch.zeros(2, config.train_seq_len, dtype=torch.int64)
        assert model.logits(ids).shape == (2, config.train_seq_len, config.vocab_size)
