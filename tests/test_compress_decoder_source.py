"""The decoder that a table counts is one that decodes, and the one that stands in a bundle."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import model.bundle
from compress.container import read_container, write_container
from compress.decoder_source import ARRAYS, BYTES, OFFICIAL, bare, decoder_bytes, decoder_text, packed_bytes
from compress.official import dequantize_official, quantize_official
from compress.recipes import parse_recipe
from model.bundle import recipe_bundle

RECIPES = [
    "int6-row+zlib9",
    "int6-row+columns+brotli11",
    "int5-row+lzma9",
    "int6-row+mix",
    "fp16+mix+floats",
    "int6-row+order0",
]
CODERS = BYTES | ARRAYS


def run(text: str) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "alone"}
    exec(compile(text, "decoder.py", "exec"), space)
    return space


@pytest.mark.parametrize("form", [str, bare])
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_counted_source_decodes_alone(recipe: str, form: Any, tmp_path: Path) -> None:
    tensors = {"w": np.random.default_rng(5).normal(0, 0.1, (96, 32)).astype(np.float32), "g": np.ones(7, np.float32)}
    write_container(tmp_path / "a.pgc", tensors, recipe)
    space = run(form(decoder_text(parse_recipe(recipe).needs())))
    alone = space["unpack_container"]((tmp_path / "a.pgc").read_bytes(), decoders=space["array_decoders"]())
    back = read_container(tmp_path / "a.pgc")
    assert all(np.array_equal(back[name], values) for name, values, _ in alone)


def test_the_official_decoder_decodes_alone() -> None:
    saved = quantize_official({"w": np.random.default_rng(6).normal(size=(300, 256)).astype(np.float32)}, {})
    alone = run(decoder_text(OFFICIAL))["dequantize_official"](saved)
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


def test_fewer_coders_cost_less() -> None:
    sizes = [decoder_bytes(parse_recipe(recipe).needs()) for recipe in ("exact+zlib9", "exact+brotli11", "exact+mix")]
    assert sizes == sorted(set(sizes))
    assert all(
        packed_bytes(parse_recipe(recipe).needs()) < decoder_bytes(parse_recipe(recipe).needs()) for recipe in RECIPES
    )
