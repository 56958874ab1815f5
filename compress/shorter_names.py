"""Which names of a program may be made short although others could use them: arguments and attributes.

An argument may be renamed when no call passes it by its name; it is marked as positional for the minifier, and the
mark is taken off after. An attribute may be renamed when a definition of ours binds it (a method, a field, `self.x`),
nothing outside those definitions mentions it, and no object of Python's or numpy's has one of that name.
"""

import ast
import string
from collections import Counter
from collections.abc import Iterator


def definitions(tree: ast.Module, loose: set[str]) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Those of the program that may be renamed."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in loose:
            yield node


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
            if not foreign:
                named |= {(word if word in known else "", keyword.arg) for keyword in node.keywords}
    for top in definitions(tree, loose):
        for node in ast.walk(top):
            if isinstance(node, ast.FunctionDef | ast.Lambda):
                name = getattr(node, "name", "")
                words = {top.name, name} if name == "__init__" else {name}
                taken = {keyword for word, keyword in named if word in words or not word}
                if None not in taken and not any(a.arg in taken for a in node.args.args):
                    node.args.posonlyargs, node.args.args = node.args.posonlyargs + node.args.args, []


def attributes_apart(tree: ast.Module, loose: set[str]) -> None:
    """Give one or two letters to attributes that these definitions alone bind and mention."""
    ours: set[str] = set()
    inside: Counter[str] = Counter()
    for top in definitions(tree, loose):
        inside.update(node.attr for node in ast.walk(top) if isinstance(node, ast.Attribute))
        if isinstance(top, ast.ClassDef):
            ours |= set(bound_in(top))
    everywhere = Counter(node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    words = {node.arg or "" for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    taken = foreign_attributes() | {name for name in everywhere if everywhere[name] != inside[name]} | words
    chosen = sorted((name for name in ours if name not in taken), key=lambda name: (-inside[name], name))
    short = dict(zip(chosen, letters(everywhere), strict=False))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in short:
            node.attr = short[node.attr]
    for top in definitions(tree, loose):
        if isinstance(top, ast.ClassDef):
            for line in top.body:
                if isinstance(line, ast.FunctionDef) and line.name in short:
                    line.name = short[line.name]
                elif isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                    line.target.id = short.get(line.target.id, line.target.id)


def bound_in(top: ast.ClassDef) -> Iterator[str]:
    """The attributes that a class binds: methods, fields with an annotation, and what is set on `self`."""
    for line in top.body:
        if isinstance(line, ast.FunctionDef) and not line.name.startswith("__"):
            yield line.name
        elif isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            yield line.target.id
    for node in ast.walk(top):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def foreign_attributes() -> set[str]:
    """Names that objects of Python's or numpy's may have."""
    import json
    import struct
    import zlib

    import numpy as np

    kinds = [object, int, float, str, bytes, list, tuple, dict, set, type, slice, np.ndarray, np.dtype, np.generic]
    opened = [zlib.decompressobj(), struct.Struct("<I"), json, zlib, np, np.linalg, np.add, ValueError("")]
    return {name for thing in (*kinds, *opened) for name in dir(thing)}


def letters(taken: Counter[str]) -> Iterator[str]:
    """Short names that no attribute has."""
    for first in ("", *string.ascii_letters):
        for second in string.ascii_letters:
            if first + second not in taken:
                yield first + second
