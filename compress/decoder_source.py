"""What a codec's decoder costs: the source of its decode half, joined and compressed as it would ship.

A submission's bytes are code plus container, so a smaller payload that needs a larger decoder may be no gain. Counted
is the text of the decode modules by lzma alone, twice: as it stands, comments and all, which is what a bundle ships
and what every table counts; and packed, without docstrings, comments and annotations, for those who want the least.
A bundle shares one stream with the model's own source and comes out a little smaller.
"""

import ast
import lzma
from functools import cache
from importlib.resources import files

GENERAL = ("errors", "decode_bytes", "dequantize", "grid", "trellis", "layouts", "container_read")


def source_text(name: str) -> str:
    """A module of this room as text."""
    return files("compress").joinpath(f"{name}.py").read_text(encoding="utf-8")


def compressed(text: str) -> int:
    """Bytes of a text under lzma, without a container."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0}]
    return len(lzma.compress(text.encode(), lzma.FORMAT_RAW, filters=filters))


@cache
def decoder_bytes(modules: tuple[str, ...] = GENERAL) -> int:
    """Bytes of these modules' source, joined and compressed, comments and all."""
    return compressed("".join(map(source_text, modules)))


@cache
def packed_bytes(modules: tuple[str, ...] = GENERAL) -> int:
    """The same without docstrings, comments, annotations and imports from this room."""
    return compressed("\n".join(bare(source_text(name)) for name in modules))


def bare(text: str) -> str:
    """A module's program alone; it computes the same."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            head = node.body[0]
            if isinstance(head, ast.Expr) and isinstance(head.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            for argument in (*node.args.args, *node.args.kwonlyargs):
                argument.annotation = None
    tree.body = [n for n in tree.body if not (isinstance(n, ast.ImportFrom) and n.level)]
    return ast.unparse(tree)
