"""The decode half without the sentences of its errors, as a packed script carries it.

Whoever has the lab has the sentences: `pglab codec verify FILE` tells what is wrong with a file. In a script that is
counted they would cost 700 to 800 bytes of the decoder's 5 KB.
"""

import ast
from collections.abc import Iterable
from typing import cast


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
