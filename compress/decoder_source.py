"""What a codec's decoder costs: the source that a container of one recipe needs, joined and compressed as it ships.

A submission's bytes are code plus container, so a smaller payload that needs a larger decoder may be no gain. Counted
is what reading reaches, definition by definition, with no coder, layout or scheme that the recipe does not use: what
stands in a script that was built and packed for it. There the sentences of errors are left out too (`short_errors`;
`pglab codec verify` tells them), names and spaces are made short (`shorter`), and lzma takes the rest. A bundle shares
one stream with the model's own source and comes out a little smaller.
"""

import ast
import lzma
from functools import cache
from importlib.resources import files

from .short_errors import short_errors
from .shorter import shorter

MODULES = (
    "errors", "decode_bytes", "trellis", "grid", "dequantize", "layouts", "container_read", "mix_tables", "mix_lanes",
    "mix_regress", "mix_model", "mix_plan", "mix_decode", "floats_decode", "order0_decode",
    "decoders", "official",
)  # fmt: skip
OFFICIAL = frozenset({"official"})  # the challenge's own file, which needs no container
BYTES = {"store": "unstore", "zlib": "inflate", "bz2": "unbzip"} | {n: f"un{n}" for n in ("lzma", "zstd", "brotli")}
ARRAYS = {"mix": "unmix", "floats": "unfloat", "order0": "unorder", "adaptive0": "unadapt"}
LAYOUTS = {"columns": "read_columns", "shuffle": "read_shuffle", "bits": "read_bits", "planes": "read_bits"}
SCHEMES = {
    "raw": "raw_shapes, raw_values", "one": "one_shapes, scaled", "row": "row_shapes, scaled",
    "affine": "affine_shapes, scaled", "book": "book_shapes, book_values",
    "trellis": "trellis_shapes, trellis_values", "grid": "grid_shapes, grid_values",
}  # fmt: skip
TABLES = (
    ("decode_bytes", "byte_decoders", BYTES),
    ("decoders", "array_decoders", ARRAYS),
    ("layouts", "layout_readers", LAYOUTS),
    ("dequantize", "scheme_decoders", {word: f"({pair})" for word, pair in SCHEMES.items()}),
)
TABLE = '''def {name}() -> dict[str, Any]:
    """Those of the one recipe that this was built for."""
    return {{{rows}}}
'''
NO_STATES = '''def next_states(states: int) -> Any:
    """This was built for a recipe without a trellis. Raises CodecError."""
    raise CodecError("no trellis here")
'''
NO_WALK = NO_STATES.replace("next_states(states: int)", "walk_trellis(k: Any, states: int)")
ENTRIES = ("unpack_container", "array_decoders", "dequantize_official", "CodecError")
LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 3, "lp": 0, "pb": 0}]

Place = tuple[str, str]  # a module of this room and a name that it binds


def decoder_tables(needs: frozenset[str]) -> dict[Place, str]:
    """The definitions that know one recipe only, as source: the tables of decoders, and no trellis without one."""
    out: dict[Place, str] = {}
    for module, name, known in TABLES:
        rows = ", ".join(f'"{word}": {function}' for word, function in known.items() if word in needs)
        out[f"compress.{module}", name] = TABLE.format(name=name, rows=rows)
    if "states" not in needs:
        out["compress.trellis", "next_states"], out["compress.trellis", "walk_trellis"] = NO_STATES, NO_WALK
    return out


def source_text(name: str) -> str:
    """A module of this room as text."""
    return files("compress").joinpath(f"{name}.py").read_text(encoding="utf-8")


@cache
def decoder_pieces(needs: frozenset[str]) -> tuple[dict[Place, str], tuple[str, ...]]:
    """The definitions that reading reaches, by module and name in the order of modules, and their outside imports."""
    tables = decoder_tables(needs)
    outside: dict[str, str] = {}
    texts: dict[Place, str] = {}  # of what a module binds
    reads: dict[Place, list[Place]] = {}
    for short in MODULES:
        text, module = source_text(short), f"compress.{short}"
        owners: dict[str, str] = {}
        for node in ast.parse(text).body:
            if isinstance(node, ast.ImportFrom) and node.level:
                owners |= {alias.name: f"compress.{node.module}" for alias in node.names}
            elif isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    one = (
                        ast.Import([alias]) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, [alias], 0)
                    )
                    outside[alias.asname or alias.name] = ast.unparse(one)
            for name in bound(node):
                own = tables.get((module, name)) or ast.get_source_segment(text, node) or ""
                named = {part.id for part in ast.walk(ast.parse(own)) if isinstance(part, ast.Name)}
                texts[module, name], reads[module, name] = own, [(owners.get(n, module), n) for n in sorted(named)]
    todo = [("compress.official", "dequantize_official")]
    if needs != OFFICIAL:
        todo = [("compress.container_read", "unpack_container"), ("compress.decoders", "array_decoders")]
    kept: set[Place] = set()
    while todo:
        place = todo.pop()
        if place in texts and place not in kept:
            kept.add(place)
            todo += reads[place]
    used = {name for place in kept for _, name in reads[place]}
    lines = sorted(line for name, line in outside.items() if name in used)
    return {place: text for place, text in texts.items() if place in kept}, tuple(lines)


def bound(node: ast.stmt) -> list[str]:
    """The names that a definition or an assignment at the top of a module binds."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]


def decoder_text(needs: frozenset[str]) -> str:
    """Those definitions as one text, comments and all."""
    pieces, lines = decoder_pieces(needs)
    return "\n\n\n".join(["\n".join(lines), *dict.fromkeys(pieces.values())]) + "\n"  # a statement may bind two names


def short_parts(needs: frozenset[str]) -> dict[Place, str]:
    """Those definitions as they stand in a script that is to be packed: without the sentences of errors."""
    return {place: short_errors(text) for place, text in decoder_pieces(needs)[0].items()}


@cache
def packed_text(needs: frozenset[str]) -> str:
    """The decoder alone as it ships in a packed script, before lzma; it decodes the same."""
    text = "\n".join([*decoder_pieces(needs)[1], *dict.fromkeys(short_parts(needs).values())])
    return shorter(text, ENTRIES)


def compressed(text: str) -> bytes:
    """A script under lzma, without a container."""
    return lzma.compress(text.encode(), lzma.FORMAT_RAW, filters=LZMA)


@cache
def decoder_bytes(needs: frozenset[str]) -> int:
    """Bytes of the decoder as it ships: `packed_text` under lzma."""
    return len(compressed(packed_text(needs)))
