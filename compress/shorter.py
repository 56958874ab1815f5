"""A program in fewer characters: what happens before lzma when a script is packed, and when a decoder is counted.

python-minifier takes out comments, docstrings, annotations and spaces and gives local names one letter. It must leave
alone what others may name: arguments and attributes. Of definitions whose every use is at hand we know better
(`shorter_names`), and what nothing reads any more goes too (`shorter_trees`). The result computes the same.
"""

import ast
import builtins
from collections.abc import Iterable
from typing import Any

from .shorter_names import arguments_apart, attributes_apart
from .shorter_trees import inline_numbers, merge_raises, without_unread


def shorter(text: str, keep: Iterable[str], free: Iterable[str] | None = None) -> str:
    """The same program in fewer characters.

    keep: names at the top level that stay; free: definitions that may be renamed, with their arguments and attributes,
    where it is not all of the others. Nothing in `text` may look up its own names as strings.
    """
    import python_minifier

    tree = ast.parse(text)
    tops = {name for node in tree.body for name in top_names(node)}
    loose = (tops if free is None else set(free)) - set(keep)
    tree = ast.parse(python_minifier.minify(text, **LEAVE, rename_globals=False, rename_locals=False))
    inline_numbers(tree, loose)
    without_unread(tree, loose)
    merge_raises(tree)
    attributes_apart(tree, loose)
    arguments_apart(tree, loose)
    fixed = [*(tops - loose), *keep, *dir(builtins)]
    text = python_minifier.unparse(ast.fix_missing_locations(tree))
    small = python_minifier.minify(text, **LEAVE, rename_globals=True, preserve_globals=fixed)
    tree = ast.parse(small)
    for node in ast.walk(tree):
        if isinstance(node, ast.arguments):
            node.posonlyargs, node.args = [], node.posonlyargs + node.args
    return str(python_minifier.unparse(tree))


LEAVE: dict[str, Any] = {"hoist_literals": False, "remove_literal_statements": True, "combine_imports": True}


def top_names(node: ast.stmt) -> list[str]:
    """The names that a statement at the top level binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    return [part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)]
