"""What a codec's decoder costs: the source that a container of one recipe needs, joined and compressed as it ships.

A submission's bytes are code plus container, so a smaller payload that needs a larger decoder may be no gain. Counted
is what reading reaches, definition by definition, with no coder that the recipe does not use: what stands in a script
that was built for it. The text goes through lzma twice: as it stands, comments and all, which is what every table
counts; and packed, without docstrings, comments and annotations, for those who want the least. A bundle shares one
stream with the model's own source and comes out a little smaller.
"""

import ast
import lzma
from functools import cache
from importlib.resources import files

MODULES = (
    "errors", "decode_bytes", "trellis", "grid", "dequantize", "layouts", "container_read", "mix_tables", "mix_lanes",
    "mix_regress", "mix_model", "mix_plan", "mix_decode", "floats_decode", "order0_decode",
    "decoders", "official",
)  # fmt: skip
OFFICIAL = frozenset({"official"})  # the challenge's own file, which needs no container
BYTES = {"store": "unstore", "zlib": "inflate", "bz2": "unbzip"} | {n: f"un{n}" for n in ("lzma", "zstd", "brotli")}
ARRAYS = {"mix": "unmix", "floats": "unfloat", "order0": "unorder", "adaptive0": "unadapt"}
TABLE = '''def {name}() -> dict[str, Callable[..., Any]]:
    """The decoders of the one recipe that this was built for."""
    return {{{rows}}}
'''


def decoder_tables(needs: frozenset[str]) -> dict[tuple[str, str], str]:
    """The two tables of decoders with what is needed alone, as source: `{(module, function): text}`."""
    out = {}
    for module, name, known in (("decode_bytes", "byte_decoders", BYTES), ("decoders", "array_decoders", ARRAYS)):
        rows = ", ".join(f'"{word}": {function}' for word, function in known.items() if word in needs)
        out[f"compress.{module}", name] = TABLE.format(name=name, rows=rows)
    return out


def source_text(name: str) -> str:
    """A module of this room as text."""
    return files("compress").joinpath(f"{name}.py").read_text(encoding="utf-8")


@cache
def decoder_text(needs: frozenset[str]) -> str:
    """The definitions that reading reaches, in the order of their modules, with their outside imports."""
    tables = {name: text for (_, name), text in decoder_tables(needs).items()}
    outside: dict[str, str] = {}
    texts: dict[tuple[str, str], str] = {}  # of what a module binds
    reads: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for module in MODULES:
        text = source_text(module)
        owners: dict[str, str] = {}
        for node in ast.parse(text).body:
            if isinstance(node, ast.ImportFrom) and node.level:
                owners |= {alias.name: node.module or "" for alias in node.names}
            elif isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    one = (
                        ast.Import([alias]) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, [alias], 0)
                    )
                    outside[alias.asname or alias.name] = ast.unparse(one)
            for name in bound(node):
                own = tables.get(name) or ast.get_source_segment(text, node) or ""
                named = {part.id for part in ast.walk(ast.parse(own)) if isinstance(part, ast.Name)}
                texts[module, name], reads[module, name] = own, [(owners.get(n, module), n) for n in sorted(named)]
    todo = [("official", "dequantize_official")]
    if needs != OFFICIAL:
        todo = [("container_read", "unpack_container"), ("decoders", "array_decoders")]
    kept: set[tuple[str, str]] = set()
    while todo:
        place = todo.pop()
        if place in texts and place not in kept:
            kept.add(place)
            todo += reads[place]
    used = {name for place in kept for _, name in reads[place]}
    lines = sorted(line for name, line in outside.items() if name in used)
    pieces = dict.fromkeys(text for place, text in texts.items() if place in kept)  # a statement may bind two names
    return "\n\n\n".join(["\n".join(lines), *pieces]) + "\n"


def bound(node: ast.stmt) -> list[str]:
    """The names that a definition or an assignment at the top of a module binds."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]


def compressed(text: str) -> int:
    """Bytes of a text under lzma, without a container."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0}]
    return len(lzma.compress(text.encode(), lzma.FORMAT_RAW, filters=filters))


@cache
def decoder_bytes(needs: frozenset[str]) -> int:
    """Bytes of that source, compressed, comments and all."""
    return compressed(decoder_text(needs))


@cache
def packed_bytes(needs: frozenset[str]) -> int:
    """The same without docstrings, comments and annotations."""
    return compressed(bare(decoder_text(needs)))


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
    return ast.unparse(tree)
