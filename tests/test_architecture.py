"""The walls of the house: who may import whom, what each room may need, how long a file may be. Source text only."""

import ast
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {  # room -> rooms it may import
    "tokenizers_lab": set(),
    "compress": set(),
    "model": {"compress"},
    "bpb_audit": set(),
    "records": {"bpb_audit"},
}
DOORS = {path.name: set() for path in sorted(ROOT.glob("pglab*.py"))}  # top-level modules: rooms are loaded by name
DOORS["pglab.py"] = DOORS["pglab_prove.py"] = DOORS["pglab_bench_audit.py"] = {"bpb_audit"}
LEAVES = ("pglab_report", "pglab_lock", "pglab_dask")  # they import no room; any room but the auditor may use them
TORCH_ON_USE = {"compress/torch_file.py", "pglab_doctor.py"}  # inside functions only; `model` may import it at the top


def sources(room: str) -> list[Path]:
    return sorted(ROOT.joinpath(room).rglob("*.py"))


def imports(path: Path) -> list[tuple[str, int, bool]]:
    """(first name of each absolute import, line, whether it stands inside a function)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name.split(".")[0], node.lineno, id(node) in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.append((node.module.split(".")[0], node.lineno, id(node) in inside))
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_it_may(room: str) -> None:
    assert sources(room), f"{room} holds no source"
    for path in sources(room):
        for name, line, _ in imports(path):
            crossed = name in ROOMS.keys() - ROOMS[room] - {room}
            crossed |= name.startswith("pglab") and (not name.startswith(LEAVES) or room == "bpb_audit")
            assert not crossed, f"{path.relative_to(ROOT)}:{line} imports {name}; {room} may import {ROOMS[room]}"


@pytest.mark.parametrize("door", DOORS)
def test_the_one_command_knows_names_not_rooms(door: str) -> None:
    for name, line, inside in imports(ROOT / door):
        if name in ROOMS:
            assert name in DOORS[door], f"{door}:{line} imports {name}"
            assert inside, f"{door}:{line} imports {name} before a command asks for it"


def test_the_leaves_import_nothing_of_ours_but_themselves() -> None:
    leaf = [door for door in DOORS if door.startswith(LEAVES)]
    assert len(leaf) > 5
    for door in leaf:
        for name, line, _ in imports(ROOT / door):
            assert name not in ROOMS, f"{door}:{line} imports {name}"
            assert name.startswith(LEAVES) or not name.startswith("pglab"), f"{door}:{line} imports {name}"


def test_every_top_level_module_is_installed() -> None:
    import tomllib

    named = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["py-modules"]
    assert sorted(named) == sorted(Path(door).stem for door in DOORS)


def test_the_auditor_needs_only_the_standard_library_and_numpy() -> None:
    allowed = set(sys.stdlib_module_names) | {"numpy", "bpb_audit"}
    for path in sources("bpb_audit"):
        for name, line, _ in imports(path):
            assert name in allowed, f"{path.relative_to(ROOT)}:{line} imports {name}"


def test_torch_is_imported_by_model_alone() -> None:
    for path in [p for room in ROOMS for p in sources(room)] + [ROOT / door for door in DOORS]:
        place = path.relative_to(ROOT).as_posix()
        for name, line, inside in imports(path):
            if name == "torch" and not place.startswith("model/"):
                assert place in TORCH_ON_USE, f"{place}:{line} imports torch"
                assert inside, f"{place}:{line} imports torch at import time"


def test_files_stay_small() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in [p for room in ROOMS for p in sources(room)] + [ROOT / door for door in DOORS]
    }
    assert not {p: n for p, n in lengths.items() if n > 400}
    assert median(n for n in lengths.values() if n > 5) <= 150
    assert not [p for p in lengths if Path(p).name in {"utils.py", "common.py", "helpers.py", "misc.py"}]


def test_no_file_speaks_of_a_registry_or_a_machine() -> None:
    words = ("/wo" + "rk/", "/fa" + "rm/", "pypi" + ".org", "registry.npm" + "js", "deb." + "debian")
    for path in ROOT.rglob("*"):
        hidden = any(part.startswith(".") and part not in {".ci", ".github"} for part in path.relative_to(ROOT).parts)
        if path.suffix in {".py", ".md", ".toml", ".jinja", ".html"} and not hidden and path.is_file():
            if path.relative_to(ROOT).parts[0] in {"runs", "build", "dist"}:
                continue
            text = path.read_text(encoding="utf-8")
            for word in words:
                assert word not in text, f"{path.relative_to(ROOT)} names {word}"


def test_a_planted_import_is_seen(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text("def f():\n    from compress.container import read_container\n")
    assert imports(planted) == [("compress", 2, True)]


def loaded(statement: str) -> set[str]:
    """The names in sys.modules after a fresh interpreter ran one statement."""
    code = f"import sys\n{statement}\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("room", list(ROOMS))
def test_importing_a_rooms_commands_takes_no_torch(room: str) -> None:
    names = loaded(f"import {room}.cli")
    assert f"{room}.cli" in names
    assert "torch" not in names


def test_help_loads_no_room() -> None:
    names = loaded(
        "import pglab, contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()): pglab.run(['--help'])"
    )
    assert "pglab" in names
    assert not names & {*ROOMS, "torch", "numpy"}
