"""The decoder that a table counts is one that decodes, and the one that stands in a packed bundle."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import model.bundle
from compress.container import read_container, write_container
from compress.decoder_source import (
    ARRAYS,
    BYTES,
    OFFICIAL,
    decoder_bytes,
    decoder_text,
    packed_text,
)
from compress.official import dequantize_official, quantize_official
from compress.recipes import SCHEMES, Recipe, parse_recipe
from compress.registry import coders, quantizers
from model.bundle import recipe_bundle

RECIPES = [
    "int6-row+zlib9",
    "int6-row+columns+brotli11",
    "int5-row+bits5+lzma9",
    "int6-row+mix",
    "fp16+mix+floats",
    "kmeans16+order0",
    "water8-0.02+mix",
    "trellis8-0.02+zstd22",
]
CODERS = BYTES | ARRAYS


def run(text: str) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "alone"}
    exec(compile(text, "decoder.py", "exec"), space)
    return space


def tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {
        "w": rng.normal(0, 0.1, (96, 32)).astype(np.float32),
        "v": rng.normal(0, 0.1, (9, 4, 40)).astype(np.float32),
        "g": np.ones(7, np.float32),
        "steps": np.arange(3),
        "one": np.array(2.5, np.float32),
    }


@pytest.mark.parametrize("form", [decoder_text, packed_text])
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_counted_source_decodes_alone(recipe: str, form: Any, tmp_path: Path) -> None:
    write_container(tmp_path / "a.pgc", tensors(), recipe)
    space = run(form(parse_recipe(recipe).needs()))
    data = (tmp_path / "a.pgc").read_bytes()
    alone = dict(row[:2] for row in space["unpack_container"](data, decoders=space["array_decoders"]()))
    back = read_container(tmp_path / "a.pgc")
    assert alone.keys() == back.keys()
    assert all(np.array_equal(back[name], values) for name, values in alone.items())


@pytest.mark.parametrize("recipe", ["int6-row+mix", "water8-0.02+mix", "int5-row+bits5+lzma9"])
def test_the_packed_decoder_gives_values_or_its_one_error(recipe: str, tmp_path: Path) -> None:
    write_container(tmp_path / "a.pgc", tensors(), recipe)
    space, draw = run(packed_text(parse_recipe(recipe).needs())), random.Random(3)
    data = (tmp_path / "a.pgc").read_bytes()
    for _ in range(60):
        broken = bytearray(data)
        broken[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        with pytest.raises(space["CodecError"]):
            list(space["unpack_container"](bytes(broken[: draw.choice([len(data), draw.randrange(len(data))])])))


def test_the_official_decoder_decodes_alone() -> None:
    saved = quantize_official({"w": np.random.default_rng(6).normal(size=(300, 256)).astype(np.float32)}, {})
    for form in (decoder_text, packed_text):
        alone = run(form(OFFICIAL))["dequantize_official"](saved)
        assert np.array_equal(alone["w"], dequantize_official(saved)["w"])


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_bundle_carries_what_is_counted_and_no_other_decoder(recipe: str) -> None:
    tour = Path(model.bundle.__file__).parent / "recipes" / "tour.toml"
    needs = parse_recipe(recipe).needs()
    script, counted = recipe_bundle(tour, recipe), decoder_text(needs)
    pieces = counted.split("\n\n\n")[1:]  # after the imports
    missing = [piece[:60] for piece in pieces if piece.strip() and piece.strip() not in script]
    assert not missing
    for word, function in CODERS.items():
        own = f"def {function}("
        assert (own in script) == (own in counted) == (word in needs), f"{function} in a script for {recipe}"


@pytest.mark.parametrize("name", quantizers())
def test_every_quantiser_names_the_schemes_that_it_writes(name: str) -> None:
    quantizer = quantizers()[name]
    store = coders()["zlib9"]
    needs = Recipe(quantizer, store, store).needs()
    for part in (quantizer.encode(n, v * 40 if n == "w" else v, v.dtype.name) for n, v in tensors().items()):
        word, *rest = part.scheme.split(" ")
        assert word in needs
        assert not (word in ("trellis", "grid") and int(rest[-1 if word == "trellis" else -2]) > 1) or "states" in needs
    assert type(quantizer).__name__ in SCHEMES or needs == {"raw", "zlib"}


def test_fewer_parts_cost_less() -> None:
    names = ["exact+zlib9", "exact+brotli11", "exact+mix", "int6-row+mix", "water-0.02+mix", "water8-0.02+mix"]
    sizes = [decoder_bytes(parse_recipe(name).needs()) for name in names]
    assert sizes == sorted(set(sizes))
