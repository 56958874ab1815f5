"""Unpacks scripts that carry themselves compressed, without executing a word of them.

Public scripts hide in `exec(lzma.decompress(base64.b85decode("...")))`. The argument of such a call is a constant
expression over a dozen pure functions, so it is evaluated here by walking the syntax tree: strings, bytes, names bound
to constants, base64/85, lzma (with filters), zlib, bz2, gzip, `.decode()`, and `exec(open("sibling.py").read())`.
Anything else is left alone and named. brotli and zstandard are not in the standard library: such a script is named
too, unless the caller lends a decoder.
"""

import ast
import base64
import bz2
import lzma
import zlib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from .program import read_program

MOST_BYTES = 16 << 20
DEPTH = 4
Decoders = dict[str, Callable[[bytes], bytes]]


class NotConstant(Exception):
    """An expression that is not made of constants and the functions known here; the message names the first one."""


@dataclass(frozen=True, slots=True)
class Source:
    """A program: `name` as findings call it (`train_gpt.py (unpacked)`), its `text`, `note` on what stayed packed."""

    name: str
    text: str
    note: str = ""


def bounded(name: str, data: Any, **options: Any) -> bytes:
    """Decompress with a cap, so that a small script cannot fill the memory. Raises NotConstant."""
    if isinstance(data, str):
        data = data.encode("latin-1")
    makers: dict[str, Callable[[], Any]] = {
        "lzma": lambda: lzma.LZMADecompressor(
            options.get("format", lzma.FORMAT_AUTO), memlimit=None, filters=options.get("filters")
        ),
        "zlib": lambda: zlib.decompressobj(options.get("wbits", zlib.MAX_WBITS)),
        "gzip": lambda: zlib.decompressobj(zlib.MAX_WBITS | 16),
        "bz2": bz2.BZ2Decompressor,
    }
    try:
        out: bytes = makers[name]().decompress(data, MOST_BYTES)
    except (lzma.LZMAError, zlib.error, OSError, EOFError, ValueError, TypeError, MemoryError, OverflowError) as error:
        raise NotConstant(f"its {name} data does not decompress ({error})") from error
    if len(out) >= MOST_BYTES:
        raise NotConstant(f"its {name} data is above {MOST_BYTES:,} bytes")
    return out


def as_buffer(data: Any) -> bytes:
    """`bytes(...)` of bytes or of a list of numbers; of a bare number it would be as many zeros. Raises TypeError."""
    if isinstance(data, int):
        raise TypeError("bytes of a number")
    return bytes(data)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "base64.b64decode": lambda data, *_, **__: base64.b64decode(data),
    "base64.b85decode": lambda data: base64.b85decode(data),
    "base64.a85decode": lambda data, **options: base64.a85decode(data, **options),
    "base64.b32decode": lambda data: base64.b32decode(data),
    "base64.b16decode": lambda data: base64.b16decode(data),
    "lzma.decompress": lambda data, format=lzma.FORMAT_AUTO, memlimit=None, filters=None: bounded(
        "lzma", data, format=format, filters=filters
    ),
    "zlib.decompress": lambda data, wbits=zlib.MAX_WBITS, bufsize=0: bounded("zlib", data, wbits=wbits),
    "bz2.decompress": lambda data: bounded("bz2", data),
    "gzip.decompress": lambda data: bounded("gzip", data),
    "bytes.fromhex": bytes.fromhex,
    "str": lambda data, *rest: str(data, *rest) if rest else str(data),
    "bytes": lambda data, *rest: data.encode(*rest) if isinstance(data, str) else as_buffer(data),
}
NAMES: dict[str, Any] = {f"lzma.{name}": getattr(lzma, name) for name in dir(lzma) if name.isupper()}
NAMES |= {"zlib.MAX_WBITS": zlib.MAX_WBITS}
METHODS = ("decode", "encode", "strip", "replace", "join")
GROW: dict[str, Callable[..., int]] = {  # what may come out far larger than what goes in: its length, at most
    "replace": lambda data, old, new, *_: len(data) + data.count(old) * len(new),
    "join": lambda data, parts: sum(map(len, parts)) + len(data) * len(parts),
}


class Evaluator:
    """Values of constant expressions of one module. `files`: names of sibling files -> their text; `more`: decoders
    of libraries that the caller has, by dotted name."""

    def __init__(self, tree: ast.Module, files: dict[str, str], own_name: str, more: Decoders | None = None) -> None:
        self.more = more or {}
        self.aliases: dict[str, str] = {}
        self.values: dict[str, ast.expr] = {}
        self.files = files
        self.own_name = own_name
        self.steps = 0
        for node in tree.body:
            self._bind(node)

    def _bind(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Import):
            for one in node.names:
                self.aliases[one.asname or one.name] = one.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            for one in node.names:
                self.aliases[one.asname or one.name] = f"{node.module}.{one.name}"
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            reads_itself = any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(node.value))
            if reads_itself and name in self.values:
                self.values[name] = _replace(node.value, name, self.values[name])
            else:
                self.values[name] = node.value

    def dotted(self, node: ast.expr) -> str:
        """`L.decompress` -> `lzma.decompress`, by the imports; '' when it is no dotted name."""
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and (base := self.dotted(node.value)):
            return f"{base}.{node.attr}"
        return ""

    def value(self, node: ast.expr) -> Any:
        """The value of a constant expression. Raises NotConstant."""
        self.steps += 1
        if self.steps > 10_000:
            raise NotConstant("too many steps")
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name) and node.id in self.values:
            return self.value(self.values[node.id])
        if isinstance(node, (ast.Name, ast.Attribute)) and self.dotted(node) in NAMES:
            return NAMES[self.dotted(node)]
        if isinstance(node, (ast.List, ast.Tuple)):
            return [self.value(one) for one in node.elts]
        if isinstance(node, ast.Dict):
            return {self.value(k): self.value(v) for k, v in zip(node.keys, node.values, strict=True) if k is not None}
        if isinstance(node, ast.BinOp):
            return self._binary(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        raise NotConstant(f"{type(node).__name__} at line {getattr(node, 'lineno', 0)}")

    def _binary(self, node: ast.BinOp) -> Any:
        left, right = self.value(node.left), self.value(node.right)
        try:
            if isinstance(node.op, ast.Add) and type(left) is type(right) and len(left) + len(right) <= MOST_BYTES:
                return left + right
            if isinstance(node.op, ast.BitOr) and isinstance(left, int) and isinstance(right, int):
                return left | right
        except TypeError as error:
            raise NotConstant(str(error)) from error
        if isinstance(left, int) and isinstance(right, int) and isinstance(node.op, (ast.Sub, ast.Mult)):
            return left - right if isinstance(node.op, ast.Sub) else left * right
        raise NotConstant(f"an operation at line {node.lineno}")

    def _call(self, node: ast.Call) -> Any:
        name = self.dotted(node.func)
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("read", "read_text", "read_bytes"):
            return self._file(node.func.value, node.func.attr)
        if name == "compile" and node.args:
            return self.value(node.args[0])
        try:
            given = [self.value(one) for one in node.args]
            options = {one.arg: self.value(one.value) for one in node.keywords if one.arg}
            if name in FUNCTIONS:
                return FUNCTIONS[name](*given, **options)
            if name in self.more:
                return self.more[name](*given)
            if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
                data = self.value(node.func.value)
                if isinstance(data, (str, bytes)):
                    if node.func.attr in GROW and GROW[node.func.attr](data, *given) > MOST_BYTES:
                        raise NotConstant(f"line {node.lineno}: above {MOST_BYTES:,} bytes")
                    return getattr(data, node.func.attr)(*given, **options)
        except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError, MemoryError) as error:
            raise NotConstant(f"line {node.lineno}: {error}") from error
        raise NotConstant(f"{name or 'a call'} at line {node.lineno}")

    def _file(self, node: ast.expr, how: str) -> Any:
        """`open("x.py").read()` of a sibling: the name is any constant in the expression that is a sibling's name."""
        words = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        for word in reversed(words):
            for file in self.files:
                if PurePosixPath(file).name == PurePosixPath(word).name and file != self.own_name:
                    return self.files[file].encode() if how == "read_bytes" else self.files[file]
        raise NotConstant(f"a file read at line {node.lineno}")


def _replace(tree: ast.expr, name: str, by: ast.expr) -> ast.expr:
    """`tree` with every read of `name` replaced: `S = S.decode()` after `S = ...`."""

    class Swap(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return by if node.id == name else node

    swapped: ast.expr = Swap().visit(deepcopy(tree))  # the tree itself is shared, and every rule walks it
    return swapped


def parse(text: str) -> ast.Module | None:
    """The syntax tree, shared, or None when the text is not Python; newer Python is read in other words."""
    return read_program(text).tree


def unpacked(source: Source, files: dict[str, str], depth: int = DEPTH, more: Decoders | None = None) -> list[Source]:
    """The source and everything it carries packed, outermost first; a note names what could not be unpacked."""
    if depth == 0 or "exec" not in source.text or len(source.text) > MOST_BYTES:
        return [source]
    program = read_program(source.text)
    if program.tree is None:
        return [source]
    found = [source]
    evaluator = Evaluator(program.tree, files, source.name, more)
    for node in program.calls:
        if not (isinstance(node.func, ast.Name) and node.func.id == "exec" and node.args):
            continue
        try:
            value = evaluator.value(node.args[0])
        except (NotConstant, RecursionError) as error:
            found[0] = Source(source.name, source.text, f"exec at line {node.lineno} is not unpacked: {error}")
            continue
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if isinstance(text, str) and text != source.text:
            found += unpacked(Source(f"{source.name} (unpacked)", text), files, depth - 1, more)
    return found
