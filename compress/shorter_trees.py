"""Changes to a program's tree that leave its results alone and make its text shorter."""

import ast
from collections.abc import Iterable, Iterator
from typing import cast

PURE = ("collections.abc", "typing", "math")  # modules whose import does nothing else


class ShortErrors(ast.NodeTransformer):
    """`raise CodecError(sentence)` becomes `raise CodecError`; handlers that then only raise it again vanish."""

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Without the sentence, and without a cause."""
        if isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name) and node.exc.func.id == "CodecError":
            return ast.Raise(node.exc.func, None)
        return node

    def visit_Try(self, node: ast.Try) -> ast.AST | list[ast.stmt]:
        """Without handlers that catch a CodecError to raise one, where no later handler does anything else."""
        self.generic_visit(node)
        for handler in node.handlers:
            handler.name = handler.name if handler.name in names_read(handler.body) else None
        if node.finalbody or node.orelse or not all(map(raises_again, node.handlers)):
            return node
        kept = [one for one in map(without_ours, node.handlers) if one]
        if not kept:
            return node.body
        node.handlers = kept
        return node


def short_errors(text: str) -> str:
    """A definition without the sentences of its CodecErrors; comments and layout go too where there were any."""
    tree = ast.parse(text)
    if not any(isinstance(node, ast.Raise | ast.Try) for node in ast.walk(tree)):
        return text
    return ast.unparse(ast.fix_missing_locations(ShortErrors().visit(tree)))


def names_read(nodes: Iterable[ast.AST]) -> set[str]:
    """The plain names that occur in nodes."""
    return {part.id for node in nodes for part in ast.walk(node) if isinstance(part, ast.Name)}


def raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether a handler does nothing but `raise` or `raise CodecError`."""
    return [ast.unparse(line) for line in handler.body] in (["raise"], ["raise CodecError"])


def without_ours(handler: ast.ExceptHandler) -> ast.ExceptHandler | None:
    """A handler that does not catch CodecError by name; None where that was all."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    left = [kind for kind in kinds if not (isinstance(kind, ast.Name) and kind.id == "CodecError")]
    if len(left) < len(kinds) and left:
        handler.type = left[0] if len(left) == 1 else ast.Tuple(cast(list[ast.expr], left), ast.Load())
    return handler if left else None


def blocks(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    """Every list of statements in a program."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            if isinstance(found := getattr(node, field, None), list) and found:
                yield found


def merge_raises(tree: ast.Module) -> None:
    """`if a: raise E` and `if b: raise E` right behind it become `if a or b: raise E`."""
    for block in blocks(tree):
        merged: list[ast.stmt] = []
        for line in block:
            last = merged[-1] if merged else None
            if is_check(line) and last and is_check(last) and ast.dump(line.body[0]) == ast.dump(last.body[0]):  # type: ignore[attr-defined]
                merged[-1] = ast.If(ast.BoolOp(ast.Or(), [last.test, line.test]), line.body, [])  # type: ignore[attr-defined]
            else:
                merged.append(line)
        block[:] = merged


def is_check(line: ast.stmt) -> bool:
    """Whether a statement is `if ...: raise NAME` and no more."""
    if not isinstance(line, ast.If) or line.orelse or len(line.body) != 1:
        return False
    only = line.body[0]
    return isinstance(only, ast.Raise) and isinstance(only.exc, ast.Name) and only.cause is None


class Inline(ast.NodeTransformer):
    """Numbers in the place of the names that stand for them."""

    def __init__(self, values: dict[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """The number, where the name is read."""
        return self.values.get(node.id, node) if isinstance(node.ctx, ast.Load) else node


def inline_numbers(tree: ast.Module, loose: set[str]) -> None:
    """Put constants of the top level that are numbers in the place of their names, and let the assignments go."""
    stored: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            stored.append(node.id)
        elif isinstance(node, ast.arg):
            stored.append(node.arg)
    values: dict[str, ast.expr] = {}
    for line in list(tree.body):
        if isinstance(line, ast.Assign) and len(line.targets) == 1 and isinstance(target := line.targets[0], ast.Name):
            number = Inline(values).visit(line.value)
            if target.id in loose and stored.count(target.id) == 1 and is_number(number):
                values[target.id] = number
                tree.body.remove(line)
    Inline(values).visit(tree)


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
        return bool(names & read) or not names <= loose
    return True
