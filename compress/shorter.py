"""A program in fewer characters: what happens before lzma when a script is packed, and when a decoder is counted.

python-minifier takes out comments, docstrings, annotations and spaces and gives names one letter. It must leave alone
what others may use: the names of arguments, and definitions that nothing reads. Of definitions whose every use is at
hand we know better and tell it so: arguments that no call names are positional, numbers with a name stand in its
place, and what only annotations needed goes. The result computes the same.
"""

import ast
import builtins
from collections.abc import Iterable
from typing import Any

PURE = ("collections.abc", "typing", "math")  # modules whose import does nothing else
QUIET = ("TypeVar", "re.compile", "np.dtype", "frozenset", "set", "tuple", "dict", "range", "len")


def shorter(text: str, keep: Iterable[str], free: Iterable[str] | None = None) -> str:
    """The same program in fewer characters.

    keep: names at the top level that stay; free: definitions that may be renamed, with their arguments, where it is
    not all of the others. Nothing in `text` may look up its own names as strings.
    """
    import python_minifier

    tree = ast.parse(text)
    tops = {name for node in tree.body for name in top_names(node)}
    loose = (tops if free is None else set(free)) - set(keep)
    kernels = [node for node in tree.body if isinstance(node, ast.FunctionDef) and fixed_places(node)]
    constants = {node.name: fixed_places(node) for node in kernels}
    steady = sorted({part.arg for node in kernels for part in ast.walk(node) if isinstance(part, ast.arg)})
    tree = ast.parse(python_minifier.minify(text, **LEAVE, rename_globals=False, rename_locals=False))
    inline_numbers(tree, loose)
    without_unread(tree, loose)
    arguments_apart(tree, loose)
    fixed = [*(tops - loose), *keep, *dir(builtins)]
    text = python_minifier.unparse(ast.fix_missing_locations(tree))
    small = python_minifier.minify(text, **LEAVE, rename_globals=True, preserve_globals=fixed, preserve_locals=steady)
    tree = ast.parse(small)
    for node in ast.walk(tree):
        if isinstance(node, ast.arguments):
            node.posonlyargs, node.args = [], node.posonlyargs + node.args
        if isinstance(node, ast.FunctionDef):
            for place, annotation in constants.get(node.name, {}).items():
                node.args.args[place].annotation = annotation
    return str(python_minifier.unparse(ast.fix_missing_locations(tree)))


def fixed_places(node: ast.FunctionDef) -> dict[int, ast.expr]:
    """Arguments that Triton compiles as constants: it goes by annotations, which so have to stay, and by names."""
    found = {i: a.annotation for i, a in enumerate(node.args.posonlyargs + node.args.args) if a.annotation is not None}
    return {place: annotation for place, annotation in found.items() if "constexpr" in ast.unparse(annotation)}


LEAVE: dict[str, Any] = {"hoist_literals": False, "remove_literal_statements": True, "combine_imports": True}


def top_names(node: ast.stmt) -> list[str]:
    """The names that a statement at the top level binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    return [part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)]


def arguments_apart(tree: ast.Module, loose: set[str]) -> None:
    """Make arguments positional in the definitions of these names, unless a call may pass one by its name."""
    modules = {alias.asname or alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    known = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    named: set[tuple[str, str | None]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            word = (
                called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
            )
            foreign = (
                isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id in modules
            )
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            hands_on = any(isinstance(part, ast.Name) and part.id in known for part in given)  # as partial() does
            if not foreign or hands_on:
                named |= {(word if word in known else "", keyword.arg) for keyword in node.keywords}
    for top in tree.body:
        if not isinstance(top, ast.FunctionDef | ast.ClassDef) or top.name not in loose:
            continue
        for node in ast.walk(top):
            if isinstance(node, ast.FunctionDef | ast.Lambda):
                name = getattr(node, "name", "")
                words = {top.name, name} if name == "__init__" else {name}
                taken = {keyword for word, keyword in named if word in words or not word}
                if None not in taken and not any(a.arg in taken for a in node.args.args):
                    node.args.posonlyargs, node.args.args = node.args.posonlyargs + node.args.args, []


class Inline(ast.NodeTransformer):
    """Numbers in the place of the names that stand for them."""

    def __init__(self, values: dict[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """The number, where the name is read."""
        return self.values.get(node.id, node) if isinstance(node.ctx, ast.Load) else node


def inline_numbers(tree: ast.Module, loose: set[str]) -> None:
    """Put constants of the top level that are numbers in the place of their names, and let the assignments go."""
    stored = [name for node in ast.walk(tree) for name in bound_names(node)]
    values: dict[str, ast.expr] = {}
    for line in list(tree.body):
        if isinstance(line, ast.Assign) and len(line.targets) == 1 and isinstance(target := line.targets[0], ast.Name):
            number = Inline(values).visit(line.value)
            if target.id in loose and stored.count(target.id) == 1 and is_number(number):
                values[target.id] = number
                tree.body.remove(line)
    Inline(values).visit(tree)


def bound_names(node: ast.AST) -> list[str]:
    """The names that this one part of a program gives a meaning to, at any level."""
    if isinstance(node, ast.Name):
        return [] if isinstance(node.ctx, ast.Load) else [node.id]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    if isinstance(node, ast.Global | ast.Nonlocal):
        return node.names
    name = getattr(node, "arg", None) if isinstance(node, ast.arg) else getattr(node, "name", None)
    return [name] if isinstance(name, str) else []


def is_number(node: ast.expr) -> bool:
    """Whether an expression is made of whole numbers alone."""
    allowed = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)
    return all(isinstance(part, allowed) for part in ast.walk(node)) and all(
        type(part.value) is int for part in ast.walk(node) if isinstance(part, ast.Constant)
    )


def without_unread(tree: ast.Module, loose: set[str]) -> None:
    """Drop definitions, plain assignments and pure imports at the top whose names nothing reads."""
    while True:
        before = len(tree.body)
        read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Store)}
        tree.body = [line for line in tree.body if is_read(line, read, loose)]
        if len(tree.body) == before:
            return


def is_read(line: ast.stmt, read: set[str], loose: set[str]) -> bool:
    """Whether a statement at the top must stay; imports lose the names that nothing reads."""
    if isinstance(line, ast.ImportFrom) and line.module in PURE:
        line.names = [alias for alias in line.names if (alias.asname or alias.name) in read]
        return bool(line.names)
    if isinstance(line, ast.FunctionDef):
        return line.name in read or line.name not in loose
    if isinstance(line, ast.Assign) and all(isinstance(target, ast.Name) for target in line.targets):
        names = {target.id for target in line.targets if isinstance(target, ast.Name)}
        return bool(names & read) or not names <= loose or not is_quiet(line.value)
    return True


def is_quiet(value: ast.expr) -> bool:
    """Whether making a value does nothing else: no calls but of types and expressions."""
    calls = [ast.unparse(part.func) for part in ast.walk(value) if isinstance(part, ast.Call)]
    return all(call in QUIET for call in calls)
