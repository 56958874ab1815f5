"""What a training script says of itself, read without running it.

Scripts in public are plain, or packed as `exec(lzma.decompress(base64.b85decode(b"...")))`. Packed ones are opened by
the auditor's reader, which undoes the named steps and executes nothing; brotli, which the standard library lacks, is
lent to it here. A source that our Python cannot parse may be written for a newer one: it is read in other words where
that can be done, and only whether it compiles stays unknown.
"""

import ast
import re
from dataclasses import dataclass, field
from functools import cached_property

from bpb_audit.program import Function, Program, read_program
from bpb_audit.unpack import Source as Packed
from bpb_audit.unpack import unpacked

from .folder import RecordFolder

OPENED_CAP = 16 << 20
LAYERS = 3


@dataclass
class Source:
    """A script: its outer `text`, the text inside when it was packed, and the innermost program."""

    name: str
    text: str
    inner: str | None
    program: Program = field(repr=False)

    @property
    def body(self) -> str:
        """The text people would read: the inner one of a packed script."""
        return self.inner if self.inner is not None else self.text

    @property
    def tree(self) -> ast.Module | None:
        """The syntax tree, None when only some blocks of the text could be read."""
        return None if self.program.partial else self.program.tree

    @property
    def error(self) -> str:
        """What our Python says of it, or an empty text."""
        return self.program.error

    @property
    def newer(self) -> bool:
        """True when a later Python reads what ours does not."""
        return self.program.newer

    @property
    def calls(self) -> list[ast.Call]:
        """Every call."""
        return self.program.calls

    @cached_property
    def strings(self) -> list[tuple[int, str, bool]]:
        """(line, text, is a part of a formatted string) of every short string."""
        pieces = self.program.pieces
        found = [(node.lineno, str(node.value), id(node) in pieces) for node in self.program.strings]
        return [one for one in found if len(one[1]) < 300]

    @cached_property
    def modules(self) -> list[tuple[int, str]]:
        """(line, full name) of every module imported, relative ones aside."""
        return [(node.lineno, name) for node in self._outside for name in names_of(node)]

    @property
    def _outside(self) -> list[ast.Import | ast.ImportFrom]:
        return [node for node in self.program.imports if not (isinstance(node, ast.ImportFrom) and node.level)]

    @cached_property
    def imports(self) -> dict[str, int]:
        """Top-level module -> the first line it is imported on."""
        found: dict[str, int] = {}
        for line, name in self.modules:
            found.setdefault(name.split(".")[0], line)
        return found

    @cached_property
    def optional(self) -> set[str]:
        """Modules whose every import stands in a `try` that is caught."""
        tops = [
            (name.split(".")[0], id(node) in self.program.guarded) for node in self._outside for name in names_of(node)
        ]
        return {top for top, caught in tops if caught} - {top for top, caught in tops if not caught}

    @cached_property
    def functions(self) -> dict[str, list[Function]]:
        """Bare name -> functions and methods of it."""
        found: dict[str, list[Function]] = {}
        for one in self.program.functions:
            found.setdefault(one.name, []).append(one)
        return found


def names_of(node: ast.Import | ast.ImportFrom) -> list[str]:
    """The modules an import names."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return [name for name in names if name]


def _brotli(data: bytes) -> bytes:
    import brotli

    unpacker = brotli.Decompressor()
    try:
        out: bytes = unpacker.process(data, output_buffer_limit=OPENED_CAP)  # gives a block more at most
    except brotli.error as error:
        raise ValueError("not brotli") from error
    if not unpacker.is_finished() or len(out) > OPENED_CAP:
        raise ValueError("cut off, or too large")
    return out


def read_source(name: str, text: str, layers: int = LAYERS) -> Source:
    """Parse a script, opening up to `layers` of packing. Never raises on what the text holds."""
    opened = unpacked(Packed(name, text), {}, layers, {"brotli.decompress": _brotli})
    inner = opened[-1].text if len(opened) > 1 else None
    return Source(name, text, inner, read_program(text if inner is None else inner))


def script_source(folder: RecordFolder, name: str) -> Source:
    """The parsed source of one Python file of the folder, read once."""
    kept = folder.sources
    if name not in kept:
        kept[name] = read_source(name, folder.text(name))
    return kept[name]


def local_modules(folder: RecordFolder, script: str) -> list[str]:
    """The folder's own files the script needs to run: modules it imports, and a file it executes by name."""
    if script in folder.needed:
        return folder.needed[script]
    found: list[str] = []
    queue = [script]
    while queue:
        source = script_source(folder, queue.pop())
        wanted = [f"{module}.py" for module in source.imports] + [f"{module}/__init__.py" for module in source.imports]
        wanted += [
            name
            for name in folder.files
            if name.endswith((".py", ".cpp", ".cu"))
            and name.rpartition("/")[2] in source.body
            and name != source.name
            and _opens(source, name)
        ]
        for name in wanted:
            if name in folder.files and name != script and name not in found:
                found.append(name)
                if name.endswith(".py"):
                    queue.append(name)
    folder.needed[script] = sorted(found)
    return folder.needed[script]


def _opens(source: Source, name: str) -> bool:
    """True when a string of the source is this file's name and the source executes or reads what it opens."""
    last = name.rpartition("/")[2]
    literal = any(text == last or text.endswith((name, f"/{last}")) for _, text, _ in source.strings)
    return literal and bool(
        re.search(r"\bexec\(|runpy|cpp_extension|load_inline|importlib|subprocess|ctypes", source.body)
    )


def bare(text: str) -> tuple[str, ...]:
    """The lines of a source without blank ones, and without white space around them."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())
