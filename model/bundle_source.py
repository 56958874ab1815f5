"""One module as the bundler sees it: its definitions by name, what it imports, and the reasons to refuse it.

A module that is to be joined with others must mean the same as text. So only definitions and imports may stand at its
top level, a lab name is imported by itself (`from .gpt import GPT`, never `as`, never the module), and a name is bound
once. Whatever else is met is refused with its file and line, before anything is written.
"""

import ast
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ModelError

ROOMS = ("model", "compress")  # what may end up in a train_gpt.py


@dataclass(slots=True)
class Definition:
    """One top-level statement: the names it binds, its text with the comments above it, the names it reads."""

    names: tuple[str, ...]
    line: int
    text: str
    reads: set[str]


@dataclass(slots=True)
class Source:
    """A parsed module. `lab` maps each lab name it imports to the module that owns it; `outside` each outside name to
    the import statement that binds it; `before` are the modules that must come first (imported at the top level)."""

    module: str  # "model.gpt"
    path: Path
    doc: str
    definitions: list[Definition] = field(default_factory=list)
    lab: dict[str, str] = field(default_factory=dict)
    outside: dict[str, str] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)

    def owner(self, name: str) -> Definition | None:
        """The definition that binds `name` here, or None."""
        return next((d for d in self.definitions if name in d.names), None)


def replace_definition(source: Source, name: str, text: str) -> None:
    """Put other source in the place of a function. Raises ModelError where the module binds no such name."""
    definition = source.owner(name)
    if definition is None:
        raise ModelError(f"{source.path}: binds no {name}, which was to be replaced. Please report this.")
    definition.text, definition.reads = text.strip("\n"), reads_of(ast.parse(text))


def refuse(path: Path, line: int, what: str) -> ModelError:
    """The error for a construct that would change meaning in one file."""
    return ModelError(f"{path}:{line}: {what}; joined as text that would change meaning. Write it another way.")


def read_source(root: Path, module: str) -> Source:
    """Parse `module` ("model.gpt") below `root`. Raises ModelError for what may not be joined."""
    path = root.joinpath(*module.split(".")).with_suffix(".py")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ModelError(
            f"{path}: no such module, though another imports it. The bundle is built from a checkout."
        ) from None
    tree = ast.parse(text, filename=str(path))
    lines = text.splitlines()
    body = list(tree.body)
    doc = ast.get_docstring(tree, clean=False) or ""
    end = 0
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        end = body.pop(0).end_lineno or 0
    source = Source(module, path, doc)
    for node in body:
        start, end = end, node.end_lineno or node.lineno
        if isinstance(node, ast.Import | ast.ImportFrom):
            take_import(source, node, at_top=True)
        elif names := bound_names(node):
            definition = Definition(names, node.lineno, "", reads_of(node))
            kept = drop_lab_imports(source, node, lines[start:end], start)
            definition.text = "\n".join(kept).strip("\n")
            for name in names:
                if source.owner(name) or name in source.lab or name in source.outside:
                    raise refuse(path, node.lineno, f"{name} is bound twice")
            source.definitions.append(definition)
        elif not is_dropped(node):
            raise refuse(path, node.lineno, f"a {type(node).__name__} statement runs at import")
    check_globals(source, tree)
    return source


def bound_names(node: ast.stmt) -> tuple[str, ...]:
    """Names bound by a definition or a plain assignment; () for any other statement."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return (node.name,)
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    names: list[str] = []
    for target in targets:
        parts = target.elts if isinstance(target, ast.Tuple) else [target]
        if not all(isinstance(part, ast.Name) for part in parts):
            return ()
        names += [part.id for part in parts if isinstance(part, ast.Name)]
    return tuple(names)


def is_dropped(node: ast.stmt) -> bool:
    """`if __name__ == "__main__":` and `if TYPE_CHECKING:` have no part in a bundle; `pass` and strings do nothing."""
    if isinstance(node, ast.If):
        test = ast.unparse(node.test)
        return test in ("TYPE_CHECKING", "__name__ == '__main__'") and not node.orelse
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def reads_of(node: ast.AST) -> set[str]:
    """Every plain name in a statement, annotations and decorators included."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def lab_module(source: Source, node: ast.Import | ast.ImportFrom) -> str | None:
    """The lab module an import names, None for an outside one. Raises ModelError for a form that cannot be joined."""
    if isinstance(node, ast.Import):
        if any(alias.name.split(".")[0] in ROOMS for alias in node.names):
            raise refuse(source.path, node.lineno, f"`{ast.unparse(node)}` imports a module, not names")
        return None
    package = source.module.rsplit(".", node.level)[0] if node.level else ""
    target = ".".join(part for part in (package, node.module or "") if part)
    if target.split(".")[0] not in ROOMS:
        return None
    if node.module is None or target in ROOMS:
        raise refuse(source.path, node.lineno, f"`{ast.unparse(node)}` imports a module, not names")
    for alias in node.names:
        if alias.asname or alias.name == "*":
            raise refuse(source.path, node.lineno, f"`{ast.unparse(node)}` renames or takes everything")
    return target


def take_import(source: Source, node: ast.Import | ast.ImportFrom, at_top: bool) -> bool:
    """Record an import; returns whether it was of the lab (and so vanishes in the bundle)."""
    target = lab_module(source, node)
    if target:
        for alias in node.names:
            if source.lab.setdefault(alias.name, target) != target:
                raise refuse(source.path, node.lineno, f"{alias.name} is imported from two modules")
        if at_top and target not in source.before:
            source.before.append(target)
        return True
    if at_top:
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            one = ast.Import([alias]) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, [alias], 0)
            source.outside[name] = ast.unparse(one)
    return False


def drop_lab_imports(source: Source, node: ast.stmt, lines: list[str], first: int) -> list[str]:
    """The lines of a definition without the lab imports inside its functions (outside imports stay where they are)."""
    kept = list(lines)
    for parent in ast.walk(node):
        for block in ("body", "orelse", "finalbody"):
            inside = getattr(parent, block, [])
            for inner in inside if isinstance(inside, list) else []:
                if not isinstance(inner, ast.Import | ast.ImportFrom) or not take_import(source, inner, at_top=False):
                    continue
                start, end = inner.lineno - 1 - first, (inner.end_lineno or inner.lineno) - first
                if lines[start].split()[0] not in ("from", "import") or ";" in lines[end - 1]:
                    raise refuse(source.path, inner.lineno, "a lab import shares its line with other code")
                if len(inside) == 1:
                    raise refuse(source.path, inner.lineno, "a block holds nothing but a lab import")
                kept[start:end] = ["\0"] * (end - start)
    return [line for line in kept if line != "\0"]


def check_globals(source: Source, tree: ast.Module) -> None:
    """`global NAME` is allowed only for a name this module itself binds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            for name in node.names:
                if source.owner(name) is None:
                    raise refuse(source.path, node.lineno, f"`global {name}` names what another module owns")
