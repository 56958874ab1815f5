"""A program read once: its syntax tree, and one walk over it that answers what every rule asks.

Walking a tree of fifty thousand nodes costs more than parsing it, and a dozen rules want to see it. So a text is parsed
once, walked once, and what was found is shared: imports, calls, functions, additions, strings. Trees are never changed
here; who rewrites one copies it first. A script in newer Python than ours is read in other words (newer_python.py),
or else block by block; `error` says what our own parser said of it.
"""

import ast
import re
import warnings
from dataclasses import dataclass, field
from functools import lru_cache

from .newer_python import Unreadable, downlevel

Function = ast.FunctionDef | ast.AsyncFunctionDef
KEPT = 12  # programs kept parsed: those of a record folder
NEWER = re.compile(r"f-string|type parameter|expected '\('|invalid syntax|multiple exception types", re.I)


@dataclass
class Program:
    """A text, `tree` None when it is no Python. `error` is our parser's own word, `newer` True when only a later
    Python reads the text as it stands. Lists are in the order of a breadth-first walk."""

    text: str
    tree: ast.Module | None = None
    error: str = ""
    newer: bool = False
    partial: bool = False  # some blocks could not be read
    imports: list[ast.Import | ast.ImportFrom] = field(default_factory=list)
    guarded: set[int] = field(default_factory=set)  # ids of imports in a `try` that is caught
    calls: list[ast.Call] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    classes: list[ast.ClassDef] = field(default_factory=list)
    statements: list[ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Return] = field(default_factory=list)
    additions: list[ast.BinOp | ast.AugAssign] = field(default_factory=list)
    strings: list[ast.Constant] = field(default_factory=list)
    asserts: list[ast.Assert] = field(default_factory=list)
    pieces: set[int] = field(default_factory=set)  # ids of strings that are parts of a formatted one

    def lines(self, node: ast.AST) -> str:
        """The source lines a node stands on."""
        first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", None)
        return "\n".join(self._split[first - 1 : last or first])

    @property
    def _split(self) -> list[str]:
        found = self.__dict__.get("_lines")
        if found is None:
            found = self.__dict__["_lines"] = self.text.splitlines()
        return found


@lru_cache(maxsize=KEPT)
def read_program(text: str) -> Program:
    """The program in a text. Never raises on what it holds; the result is shared and must not be changed."""
    text = text.removeprefix("\ufeff")  # Python skips this mark at the head of a file, not of a string
    program = Program(text)
    tree, error = parse_plain(text)
    if tree is None:
        program.error = error
        tree = _other_words(text)
        program.newer = tree is not None
        if tree is None:
            tree = _blocks(text)
            program.partial = tree is not None
    program.tree = tree
    if tree is not None:
        _walk(program, tree)
    return program


def parse_plain(text: str) -> tuple[ast.Module | None, str]:
    """(tree, "") or (None, what our parser says)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text), ""
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return None, f"line {getattr(error, 'lineno', None) or '?'}: {getattr(error, 'msg', error)}"


def _other_words(text: str) -> ast.Module | None:
    try:
        return parse_plain(downlevel(text))[0]
    except (Unreadable, IndexError, RecursionError):
        return None


def _blocks(text: str) -> ast.Module | None:
    """Top-level blocks (a line at the margin and what is indented below it), each by itself."""
    starts: list[int] = []
    lines = text.split("\n")
    for at, line in enumerate(lines):
        margin = re.match(r"[A-Za-z_@]", line) and not re.match(r"(?:else|elif|except|finally)\b", line)
        if margin and not (at and lines[at - 1].startswith("@")):
            starts.append(at)
    body: list[ast.stmt] = []
    for first, last in zip(starts[:20_000], [*starts[1:], len(lines)], strict=False):
        tree, _ = parse_plain("\n".join(lines[first:last]))
        if tree is not None and tree.body:
            body += ast.increment_lineno(tree, first).body
    real = any(isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)) for node in body)
    return ast.Module(body, []) if real else None


def _walk(program: Program, tree: ast.Module) -> None:
    """Every node once, breadth first, each sorted into the list of its kind."""
    calls, additions, strings = program.calls, program.additions, program.strings
    nodes: list[ast.AST] = [tree]
    for node in nodes:  # grows while it is read
        kind = type(node)
        if kind is ast.Call:
            calls.append(node)  # type: ignore[arg-type]
            if program.newer and node.args and type(node.args[0]) is ast.Tuple:  # type: ignore[attr-defined]
                program.pieces.update(id(one) for one in node.args[0].elts)  # type: ignore[attr-defined]
        elif kind is ast.Constant:
            if type(node.value) is str:  # type: ignore[attr-defined]
                strings.append(node)  # type: ignore[arg-type]
            continue
        elif kind is ast.Name:
            continue
        elif kind is ast.JoinedStr:
            program.pieces.update(id(one) for one in node.values)  # type: ignore[attr-defined]
        elif kind is ast.BinOp:
            if type(node.op) is ast.Add:  # type: ignore[attr-defined]
                additions.append(node)  # type: ignore[arg-type]
        elif kind in STATEMENTS:
            program.statements.append(node)  # type: ignore[arg-type]
            if kind is ast.AugAssign and type(node.op) is ast.Add:  # type: ignore[attr-defined]
                additions.append(node)  # type: ignore[arg-type]
        elif kind is ast.FunctionDef or kind is ast.AsyncFunctionDef:
            program.functions.append(node)  # type: ignore[arg-type]
        elif kind is ast.Import or kind is ast.ImportFrom:
            program.imports.append(node)  # type: ignore[arg-type]
            continue
        elif kind is ast.ClassDef:
            program.classes.append(node)  # type: ignore[arg-type]
        elif kind is ast.Assert:
            program.asserts.append(node)  # type: ignore[arg-type]
        elif kind is ast.Try and node.handlers:  # type: ignore[attr-defined]
            program.guarded.update(id(one) for one in _within(node.body))  # type: ignore[attr-defined]
        for name in node._fields:
            value = getattr(node, name, None)
            if type(value) is list:
                nodes += [one for one in value if isinstance(one, ast.AST)]
            elif isinstance(value, ast.AST) and type(value) not in EMPTY:
                nodes.append(value)


STATEMENTS = {ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return}
EMPTY = {ast.Load, ast.Store, ast.Del, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.And, ast.Or, ast.Not, ast.Eq}


def _within(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of a block and of the plain `if` and `with` blocks in it."""
    found: list[ast.stmt] = []
    for one in body:
        found += [one, *one.body] if isinstance(one, ast.If | ast.With) else [one]
    return found
