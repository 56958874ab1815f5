"""Finds the function that builds a script's byte table, and all it needs, by the syntax tree alone.

A builder is a function that asks a tokenizer for its pieces (`id_to_piece`, ...) or measures them in bytes, and returns
tables. It is cut out with the helpers and constants it reaches, without annotations and decorators, so that it can run
where neither torch nor sentencepiece is. The finder also says whether the counting loop adds the leading space.
"""

import ast
import re
from dataclasses import dataclass, field

from .program import Program

PIECES = {"id_to_piece", "IdToPiece", "id_to_token", "decode_single_token_bytes"}
KINDS = {"is_control", "IsControl", "is_byte", "IsByte", "is_unused", "is_unknown", "IsUnknown"}
ROLES = {
    "sp": re.compile(r"^(sp|tok|tokenizer|processor|sp_model|proc|spm_model|model|enc|sentencepiece)$"),
    "size": re.compile(r"^(vocab_size|V|n_vocab|vocab|size|num_tokens)$"),
    "path": re.compile(r"^(place|path|tokenizer_path|model_path|tok_path|sp_path|model_file|spm_path)$"),
    "device": re.compile(r"^(device|dev|dtype)$"),
}
SPACE_TABLE = re.compile(r"lead|space", re.I)
PLAIN_IMPORTS = {
    "numpy",
    "math",
    "re",
    "unicodedata",
    "functools",
    "itertools",
    "collections",
    "torch",
    "sys",
    "string",
    "sentencepiece",
    "pathlib",
}


@dataclass(frozen=True, slots=True)
class Builder:
    """A byte-table builder: `code` to run, `function` to call with `roles` of its arguments, found at `line`."""

    function: str
    line: int = field(compare=False)
    code: str
    roles: tuple[str, ...]
    problem: str = ""  # why it cannot be run


def calls(node: ast.AST) -> set[str]:
    """Names of all attributes called inside `node`."""
    return {
        one.func.attr for one in ast.walk(node) if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute)
    }


def asks_for_pieces(program: Program) -> list[ast.FunctionDef]:
    """Functions whose text names a call that gives a tokenizer's pieces."""
    plain = [one for one in program.functions if isinstance(one, ast.FunctionDef)]
    if not any(word in program.text for word in PIECES):
        return []
    return [one for one in plain if any(word in program.lines(one) for word in PIECES)]


def find_builders(program: Program) -> list[Builder]:
    """Every byte-table builder of a module, in order."""
    asking = asks_for_pieces(program)
    tree = program.tree
    if not asking or tree is None:
        return []
    functions = {one.name: one for one in program.functions if isinstance(one, ast.FunctionDef)}
    found = []
    for one in [one for one in asking if functions[one.name] is one]:
        called = calls(one)
        returns = any(isinstance(part, ast.Return) and part.value is not None for part in ast.walk(one))
        if called & PIECES and (called & KINDS or "encode" in called) and returns and one.args.args:
            found.append(cut_out(one, tree))
    inner = {item.function for item in found}
    return [item for item in found if not _is_helper(item, inner, functions)]


def _is_helper(item: Builder, names: set[str], functions: dict[str, ast.FunctionDef]) -> bool:
    return any(
        isinstance(part, ast.Name) and part.id == item.function
        for name in names - {item.function}
        for part in ast.walk(functions[name])
    )


def role(name: str) -> str:
    """What an argument of this name wants: `sp`, `size`, `device` or ''."""
    return next((kind for kind, words in ROLES.items() if words.match(name)), "")


def cut_out(function: ast.FunctionDef, tree: ast.Module) -> Builder:
    """The function with what it reaches at module level."""
    positional = function.args.args
    required = len(positional) - len(function.args.defaults)
    roles = [role(one.arg) for one in positional]
    odd = [one.arg for one, kind in list(zip(positional, roles, strict=True))[:required] if not kind]
    odd += [
        one.arg for one, value in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True) if value is None
    ]
    if roles[:1] not in (["sp"], ["path"]):
        odd = odd or [positional[0].arg]
    top = _module_names(tree)
    wanted, queue = {function.name}, [function.name]
    while queue:
        name = queue.pop()
        node = function if name == function.name else top.get(name)
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} if node else set()
        fresh = {name for name in names if name in top} - wanted
        wanted |= fresh
        queue += sorted(fresh)
    body: list[ast.stmt] = []
    used = {part.id for name in wanted if name in top for part in ast.walk(top[name]) if isinstance(part, ast.Name)}
    used |= {part.id for part in ast.walk(function) if isinstance(part, ast.Name)}
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            kept = _plain_import(node, used)
            body += [kept] if kept else []
        elif any(top.get(name) is node for name in wanted) and not (
            isinstance(node, ast.FunctionDef) and node.name == function.name
        ):
            body.append(node)
    body.append(function)
    bare = [Bare().visit(ast.parse(ast.unparse(node)).body[0]) for node in body]  # a copy: trees are shared
    code = ast.unparse(ast.fix_missing_locations(ast.Module(bare, [])))
    roles = [kind for at, kind in enumerate(roles) if at < required or kind]
    problem = f"it takes {', '.join(odd)}, which cannot be supplied" if odd else ""
    return Builder(function.name, function.lineno, code, tuple(roles), problem)


def _plain_import(node: ast.Import | ast.ImportFrom, used: set[str]) -> ast.stmt | None:
    """The import without names that are not used or belong to libraries that are not there."""
    if isinstance(node, ast.ImportFrom):
        names = [one for one in node.names if (one.asname or one.name) in used]
        plain = node.module is not None and node.module.split(".")[0] in PLAIN_IMPORTS and not node.level
        return ast.ImportFrom(node.module, names, 0) if plain and names else None
    names = [one for one in node.names if one.name in PLAIN_IMPORTS and (one.asname or one.name) in used]
    return ast.Import(names) if names else None


def _module_names(tree: ast.Module) -> dict[str, ast.stmt]:
    top: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            top[node.name] = node
        elif isinstance(node, ast.Assign):
            top |= {one.id: node for one in node.targets if isinstance(one, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            top[node.target.id] = node
    return top


class Bare(ast.NodeTransformer):
    """Drops annotations and decorators, which name libraries that are not there."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.decorator_list, node.returns = [], None
        for one in [*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs]:
            one.annotation = None
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.Pass()
        return ast.Assign([node.target], node.value, lineno=node.lineno)


@dataclass(frozen=True, slots=True)
class SpaceAdded:
    """A place where counting code adds something for a leading space: line, and its text."""

    line: int
    text: str


def space_added(program: Program) -> list[SpaceAdded]:
    """Additions whose term indexes a table named after a leading space: `+= (has_leading_space_lut[tgt] & ...)`."""
    found = []
    for node in program.additions:
        term = node.value if isinstance(node, ast.AugAssign) else node.right
        if SPACE_TABLE.search(program.lines(node)) and any(_indexes_space(part) for part in ast.walk(term)):
            found.append(SpaceAdded(getattr(node, "lineno", 0), ast.unparse(node)[:160]))
    return found


def _indexes_space(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript):
        name = node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        name = node.func.value
    else:
        return False
    word = name.id if isinstance(name, ast.Name) else name.attr if isinstance(name, ast.Attribute) else ""
    return bool(SPACE_TABLE.search(word))
