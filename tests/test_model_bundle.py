"""The bundler: joined text means what the modules meant; what would change meaning is refused by file and line."""

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import model.bundle
from model.bundle import bundle_text, is_current, packed, recipe_bundle, write_bundle
from model.errors import ModelError


def house(root: Path, **modules: str) -> Path:
    """A tiny house: `model__train="..."` becomes model/train.py."""
    for name, text in modules.items():
        place = root.joinpath(*name.split("__")).with_suffix(".py")
        place.parent.mkdir(parents=True, exist_ok=True)
        (place.parent / "__init__.py").touch()
        place.write_text(text)
    return root


def run(text: str, folder: Path) -> str:
    """What the script prints, run alone in an empty folder by an isolated interpreter."""
    folder.mkdir(exist_ok=True)
    script = folder / "train_gpt.py"
    script.write_text(text)
    done = subprocess.run([sys.executable, "-I", str(script)], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


HONEST = {
    "model__train": '''"""Entry."""
import math
from collections.abc import Iterable

from compress.code import double, LIMIT

from .gpt import Net, width

RECIPE: dict[str, object] = {}
UNUSED = 1 / 1


# says why
def main() -> None:
    """Entry point."""
    from .late import shout

    def inner(xs: Iterable[int]) -> int:
        import json  # stays where it is
        from .late import (
            whisper,
        )

        return len(json.dumps(list(xs))) + len(whisper())

    print(shout(), Net(3).size, width, double(LIMIT), math.floor(2.5), RECIPE, inner([1, 2]))


if __name__ == "__main__":
    main()
''',
    "model__gpt": '''"""The net."""
from dataclasses import dataclass

from compress.code import double

width = double(2)


@dataclass
class Net:
    size: int


def never_reached() -> None:
    raise SystemExit(1)
''',
    "model__late": 'def shout():\n    return whisper().upper()\n\n\ndef whisper():\n    return "hush"\n',
    "compress__code": "import os.path\nimport math\nLIMIT, OTHER = 21, os.path.sep\ndef double(x): return 2 * x\n",
}


@pytest.mark.parametrize("form", [str, packed])
def test_the_script_runs_alone_and_means_the_same(form: Callable[[str], str], tmp_path: Path) -> None:
    root = house(tmp_path / "house", **HONEST)
    text = bundle_text({"RECIPE": {"layers": 2, "name": "tour"}}, root)
    assert run(form(text), tmp_path / "away") == "HUSH 3 4 42 2 {'layers': 2, 'name': 'tour'} 10\n"


def test_only_what_the_entry_reaches_is_taken_in_import_order_with_comments(tmp_path: Path) -> None:
    text = bundle_text({}, house(tmp_path, **HONEST))
    assert "never_reached" not in text
    assert "UNUSED" not in text
    assert "# says why\ndef main" in text
    assert text.index("# ---- compress/code.py ----") < text.index("# ---- model/gpt.py ----")
    assert text.index("# ---- model/gpt.py ----") < text.index("# ---- model/train.py ----")
    assert text.count("import math") == 1
    assert "import json  # stays where it is" in text


def test_every_definition_is_the_same_tree_as_in_its_module(tmp_path: Path) -> None:
    root = house(tmp_path, **HONEST)
    joined = {n.name: ast.dump(n) for n in ast.parse(bundle_text({}, root)).body if hasattr(n, "name")}
    for node in ast.parse(HONEST["model__gpt"]).body:
        if isinstance(node, ast.ClassDef):
            assert joined[node.name] == ast.dump(node)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model__train": "from .gpt import Net as N\ndef main(): N(1)\n"}, "train.py:1: .*renames"),
        ({"model__train": "from . import gpt\ndef main(): gpt\n"}, "imports a module, not names"),
        ({"model__train": "import compress.code\ndef main(): compress\n"}, "imports a module, not names"),
        ({"model__train": "from .gpt import *\ndef main(): Net(1)\n"}, "takes everything"),
        ({"model__train": "print('now')\ndef main(): pass\n"}, "train.py:1: a Expr statement runs at import"),
        ({"model__train": "D = {}\nD['x'] = 1\ndef main(): D\n"}, "train.py:2: a Assign statement runs at import"),
        ({"model__train": "from .gpt import width\ndef main():\n    global width\n    width = 1\n"}, "global width"),
        (
            {"model__train": "from .gpt import double\nfrom compress.code import double\ndef main(): double(1)\n"},
            "two mod",
        ),
        ({"model__train": "from .gpt import Net\nfrom .late import Net2\ndef main(): Net, Net2\n"}, "binds no Net2"),
        ({"model__train": "def main(): pass\ndef main(): pass\n"}, "train.py:2: main is bound twice"),
        (
            {"model__train": "from .gpt import Net\ndef shout(): Net\ndef main():\n    from .late import shout as s\n"},
            "renames",
        ),
        (
            {"model__late": "from math import prod as double\ndef shout(): return double\ndef whisper(): return 1\n"},
            "share a name",
        ),
        (
            {"model__late": "def shout(): return Net\nclass Net: pass\ndef whisper(): return 1\n"},
            "Net is bound in gpt.py as well",
        ),
        (
            {"model__late": "def shout(): return open(1)\ndef open(x): return x\ndef whisper(): return 1\n"},
            "open hides Python's own",
        ),
        ({"model__late": "import json as math\ndef shout(): return math\ndef whisper(): return 1\n"}, "math means"),
        ({"model__late": "def shout(): return nowhere\ndef whisper(): return 1\n"}, "nowhere"),
        ({"model__train": "from .absent import x\ndef main(): x\n"}, "absent.py: no such module"),
    ],
)
def test_what_would_change_meaning_is_refused(changes: dict[str, str], says: str, tmp_path: Path) -> None:
    root = house(tmp_path, **HONEST | changes)
    with pytest.raises(ModelError, match=says):
        bundle_text({}, root)


def test_a_cycle_of_top_imports_is_refused(tmp_path: Path) -> None:
    changes = {
        "model__gpt": "from .late import whisper\nwidth = 1\nclass Net: size = whisper\n",
        "model__late": "from .gpt import Net\ndef shout(): return Net\ndef whisper(): return 1\n",
    }
    with pytest.raises(ModelError, match=r"import cycle model\.gpt -> model\.late -> model\.gpt"):
        bundle_text({}, house(tmp_path, **HONEST | changes))


def test_an_import_on_use_may_point_back(tmp_path: Path) -> None:
    late = HONEST["model__late"].replace("return whisper()", BACK)
    root = house(tmp_path / "house", **HONEST | {"model__late": late})
    assert run(bundle_text({}, root), tmp_path / "away").startswith("HUSHMAIN 3 4")


BACK = "from .train import main\n    return (whisper() + main.__name__)"


def test_a_recipe_needs_its_place(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="binds no RECIPES"):
        bundle_text({"RECIPES": {}}, house(tmp_path, **HONEST))


def test_a_bundle_carries_its_recipe_s_codec_alone(tmp_path: Path) -> None:
    recipe = Path(model.bundle.__file__).parent / "recipes" / "tour.toml"
    own, mixed = recipe_bundle(recipe), recipe_bundle(recipe, "int6-row+mix")
    assert "class RowInt" in own
    assert not [name for name in ("Trellis", "Mix", "Gptq", "Water") if f"class {name}" in own]
    assert "class Mixture" in mixed
    assert "'codec': 'int6-row+mix'" in mixed
    assert len(own) < len(mixed) - 15_000
    script = tmp_path / "train_gpt.py"
    script.write_text(own)
    assert is_current(recipe, script)
    script.write_bytes(own.encode() + b"\xc0")
    assert not is_current(recipe, script)
    script.write_text(own)
    ask = "import train_gpt as t; print(t.parse_recipe('int8-row+brotli11')); t.parse_recipe('int6-row+mix')"
    done = subprocess.run([sys.executable, "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Recipe(quantizer=RowInt(bits=8")
    assert "built for the codec int8-row+brotli11, met 'int6-row+mix'" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_packed_bundle_is_small_and_current(tmp_path: Path) -> None:
    recipe, script = Path(model.bundle.__file__).parent / "recipes" / "tour.toml", tmp_path / "packed.py"
    assert write_bundle(recipe, script, pack=True) < len(recipe_bundle(recipe)) / 5
    assert is_current(recipe, script)
