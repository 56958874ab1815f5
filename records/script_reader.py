"""What a training script says of itself, read without running it.

Scripts in public are plain, or packed as `exec(lzma.decompress(base64.b85decode(b"...")))`. Packed ones are opened here
by reading the literal and undoing the named steps, with limits on the output; nothing of a stranger is executed. A
source that our Python cannot parse may be written for a newer one: then the answer is "unknown", with the reason.
"""

import ast
import base64
import binascii
import bz2
import io
import lzma
import re
import sys
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from .folder import RecordFolder

OPENED_CAP = 16 << 20
NEWER = re.compile(
    r"f-string|invalid syntax|expected '\('|type parameter|unparenthesized|backslash|unterminated string", re.IGNORECASE
)
DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "b85decode": base64.b85decode,
    "a85decode": base64.a85decode,
    "b64decode": base64.b64decode,
    "b32decode": base64.b32decode,
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Source:
    """A script: its outer text, the text inside when it was packed, and the tree of the innermost that parses."""

    name: str
    text: str
    inner: str | None = None
    tree: ast.AST | None = None
    error: str = ""
    newer: bool = False
    imports: dict[str, int] = field(default_factory=dict)  # top-level module -> first line
    optional: set[str] = field(default_factory=set)
    modules: list[tuple[int, str]] = field(default_factory=list)  # line, full name
    calls: list[ast.Call] = field(default_factory=list)
    strings: list[tuple[int, str]] = field(default_factory=list)
    functions: dict[str, list[Function]] = field(default_factory=dict)  # bare name -> functions and methods

    @property
    def body(self) -> str:
        """The text people would read: the inner one of a packed script."""
        return self.inner if self.inner is not None else self.text


def parse(text: str) -> tuple[ast.Module | None, str, bool]:
    """`(tree, error, newer)`: newer is True when the fault is one that a later Python may not have."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text), "", False
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        says = f"line {getattr(error, 'lineno', '?')}: {getattr(error, 'msg', error)}"
        newer = isinstance(error, SyntaxError) and bool(re.search(r"f-string", str(error.msg or ""), re.IGNORECASE))
        newer = newer or (isinstance(error, SyntaxError) and _new_words(text, error.lineno or 0))
        return None, says, newer


def _new_words(text: str, line: int) -> bool:
    """True when the faulty line uses words of a Python newer than ours (PEP 695 types, 3.12 f-strings)."""
    lines = text.splitlines()
    near = "\n".join(lines[max(0, line - 3) : line])
    return bool(
        re.search(r"^\s*type \w+.* = |^\s*(?:def|class) \w+\[|f[\"'].*\{.*[\"']", near, re.MULTILINE)
    ) and sys.version_info < (3, 14)


def open_packed(tree: ast.AST) -> str | None:
    """The source inside `exec(decompress(decode(literal)))`, or None when this is no such script."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("exec", "eval")
            and node.args
        ):
            data = _value(node.args[0], tree, 0)
            if isinstance(data, bytes):
                return data.decode("utf-8", "replace")
            if isinstance(data, str) and len(data) > 200:
                return data
    return None


def _value(node: ast.AST, tree: ast.AST, depth: int) -> bytes | str | None:
    """Evaluate only literals, names bound to literals, decoders and decompressors; anything else is None."""
    if depth > 12:
        return None
    if isinstance(node, ast.Constant) and isinstance(node.value, bytes | str):
        return node.value
    if isinstance(node, ast.Name):
        bound = [
            n.value
            for n in ast.walk(tree)
            if isinstance(n, ast.Assign) and any(isinstance(t, ast.Name) and t.id == node.id for t in n.targets)
        ]
        return _value(bound[0], tree, depth + 1) if len(bound) == 1 else None
    if not isinstance(node, ast.Call):
        return None
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    module = owner.id if isinstance(owner, ast.Name) else ""
    if name == "compile" and node.args:
        return _value(node.args[0], tree, depth + 1)
    if name in ("decode", "encode") and owner is not None:
        inner = _value(owner, tree, depth + 1)
        return inner if not isinstance(inner, bytes) or name == "encode" else inner.decode("utf-8", "replace")
    inner = _value(node.args[0], tree, depth + 1) if node.args else None
    if inner is None:
        return None
    data = inner.encode("latin-1", "replace") if isinstance(inner, str) else inner
    try:
        if name in DECODERS:
            return DECODERS[name](data)
        if name in ("decompress", "D", "loads"):
            return decompress(data, module)
    except (ValueError, binascii.Error, lzma.LZMAError, zlib.error, OSError, EOFError):
        return None
    return decompress(data, module) if name.startswith("decompress") else None


def decompress(data: bytes, module: str) -> bytes | None:
    """Undo zlib, gzip, bz2, lzma (raw too) or brotli, at most `OPENED_CAP` bytes out; None when it is none of them."""
    attempts: dict[str, Callable[[], bytes]] = {
        "zlib": lambda: zlib.decompressobj().decompress(data, OPENED_CAP),
        "gzip": lambda: zlib.decompressobj(31).decompress(data, OPENED_CAP),
        "bz2": lambda: bz2.BZ2Decompressor().decompress(data, OPENED_CAP),
        "lzma": lambda: lzma.LZMADecompressor().decompress(data, OPENED_CAP),
        "raw": lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2}]).decompress(
            data, OPENED_CAP
        ),
        "brotli": lambda: _brotli(data),
    }
    order = ([module] if module in attempts else []) + [name for name in attempts if name != module]
    for name in order:
        try:
            out = attempts[name]()
        except (ValueError, lzma.LZMAError, zlib.error, OSError, EOFError):
            continue
        if out:
            return out
    return None


def _brotli(data: bytes) -> bytes:
    import brotli

    unpacker, out = brotli.Decompressor(), io.BytesIO()
    try:
        for start in range(0, len(data), 1 << 14):
            out.write(unpacker.process(data[start : start + (1 << 14)]))
            if out.tell() > OPENED_CAP:
                break
    except brotli.error as error:
        raise ValueError("not brotli") from error
    return out.getvalue()


def read_source(name: str, text: str) -> Source:
    """Parse a script, opening up to three layers of packing. Never raises on what the text holds."""
    source = Source(name, text)
    tree, source.error, source.newer = parse(text)
    source.tree = tree
    for _ in range(3):
        text = source.body
        inner = open_packed(tree) if tree is not None and ("exec" in text or "eval" in text) else None
        if not inner or inner == source.inner:
            break
        source.inner = inner
        tree, source.error, source.newer = parse(inner)
        source.tree = tree
    if source.tree is not None:
        _collect(source, source.tree)
    return source


def _collect(source: Source, tree: ast.AST) -> None:
    """One walk over the tree: imports, calls and strings, for every rule that asks for them."""
    guarded: set[int] = set()
    imports: list[ast.Import | ast.ImportFrom] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and node.handlers:
            inner = [
                s for part in node.body for s in ([part, *part.body] if isinstance(part, ast.If | ast.With) else [part])
            ]
            guarded.update(id(s) for s in inner if isinstance(s, ast.Import | ast.ImportFrom))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            imports.append(node)
        elif isinstance(node, ast.Call):
            source.calls.append(node)
        elif isinstance(node, Function):
            source.functions.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 300:
            source.strings.append((node.lineno, node.value))
    for node in imports:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        source.modules += [(node.lineno, name) for name in names if name and not relative(node)]
        for name in names:
            top = name.split(".")[0]
            if not top or relative(node):
                continue
            source.imports.setdefault(top, node.lineno)
            if id(node) in guarded:
                source.optional.add(top)
            else:
                source.optional.discard(top)


def relative(node: ast.Import | ast.ImportFrom) -> bool:
    """True for `from . import x`, which names no module of its own."""
    return isinstance(node, ast.ImportFrom) and node.level > 0


@lru_cache(maxsize=64)
def _cached(name: str, text: str) -> Source:
    return read_source(name, text)


def script_source(folder: RecordFolder, name: str) -> Source:
    """The parsed source of one Python file of the folder."""
    return _cached(name, folder.text(name))


def local_modules(folder: RecordFolder, script: str) -> list[str]:
    """The folder's own files the script needs to run: modules it imports, and a file it executes by name."""
    found: list[str] = []
    queue = [script]
    while queue:
        source = script_source(folder, queue.pop())
        wanted = [f"{module}.py" for module in source.imports] + [f"{module}/__init__.py" for module in source.imports]
        wanted += [
            name
            for name in folder.files
            if name.endswith((".py", ".cpp", ".cu"))
            and name in source.body
            and name != source.name
            and _opens(source, name)
        ]
        for name in wanted:
            if name in folder.files and name != script and name not in found:
                found.append(name)
                if name.endswith(".py"):
                    queue.append(name)
    return sorted(found)


def _opens(source: Source, name: str) -> bool:
    """True when a string of the source is this file's name and the source executes or reads what it opens."""
    literal = any(text.endswith(name) for _, text in source.strings)
    return literal and bool(
        re.search(r"\bexec\(|runpy|cpp_extension|load_inline|importlib|subprocess|ctypes", source.body)
    )


def bare(text: str) -> tuple[str, ...]:
    """The lines of a source without blank ones, and without white space around them."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())
