"""`train_gpt.py` is built, not written: the readable modules joined as text into the one file that is counted.

The bundler starts at `main` of an entry module and takes only the definitions it reaches, module after module in import
order under `# ---- model/gpt.py ----` markers, comments and docstrings kept (packed, all of them together cost about
0.013% of the budget, so the source is never golfed). Imports from outside are hoisted once, lab imports vanish. It
refuses whatever would change meaning (`bundle_source`), two owners of one name, and import cycles; the result is
compiled and its every global name is accounted for before a byte is written.

    pglab model bundle --recipe tour --out train_gpt.py
    pglab model bundle --recipe tour --out train_gpt.py --check
"""

import ast
import base64
import builtins
import dis
import pprint
import types
from collections.abc import Iterable, Mapping
from pathlib import Path

from compress.aside import write_aside

from .bundle_source import ROOMS, Source, read_source, refuse, replace_definition
from .config import RunConfig, read_recipe, with_values
from .cuda_left_out import KERNELS_LEFT_OUT
from .errors import ModelError

ROOT = Path(__file__).resolve().parent.parent
ENTRY = ("model.train", "main")
ALWAYS = {"__name__", "__file__", "__doc__", "__annotations__"}  # names that every script has


def bundle_text(
    constants: Mapping[str, object],
    root: Path = ROOT,
    entry: tuple[str, str] = ENTRY,
    title: str = "",
    instead: Mapping[tuple[str, str], str] | None = None,
) -> str:
    """The text of the script.

    constants: top-level names of the entry module whose value is replaced (a recipe); instead: for a module and a
    function of it, the source that takes its place (`codec_parts`). Raises ModelError.
    """
    sources = reach_modules(root, entry[0])
    for (module, name), text in (instead or {}).items():
        replace_definition(sources[module], name, text)
    kept = reach_names(sources, *entry)
    check_owners(sources, kept)
    parts = [f'"""{title or "A standard GPT: trains, exports, reloads and evaluates."}\n\n{ABOUT}"""']
    parts.append("\n".join(hoisted(sources, kept)))
    for source in sources.values():
        taken = [d for d in source.definitions if kept[source.module] & set(d.names)]
        if not taken:
            continue
        place = source.path.relative_to(root).as_posix()
        comment = "\n".join(f"# {line}".rstrip() for line in source.doc.strip().splitlines())
        parts.append(f"# ---- {place} ----\n{comment}")
        for definition in taken:
            text = definition.text
            if source.module == entry[0] and (name := definition.names[0]) in constants:
                text = f"{name}: dict[str, object] = {pprint.pformat(constants[name], sort_dicts=False, width=110)}"
            parts.append(text)
    for name in constants:
        if sources[entry[0]].owner(name) is None:
            raise ModelError(f"{sources[entry[0]].path}: binds no {name}, which the recipe was to replace.")
    parts.append(f'if __name__ == "__main__":\n    {entry[1]}()')
    text = "\n\n\n".join(parts) + "\n"
    check_names(text)
    return text


ABOUT = """Built from the modules named below, which are joined as text; edit those, not this file. It needs torch and
numpy, and whichever compressor its recipe names. Run it alone or under torchrun; settings come from RECIPE below and
from the challenge's environment names.
"""


def reach_modules(root: Path, entry: str) -> dict[str, Source]:
    """Every lab module the entry reaches, what is imported before what imports it. Raises ModelError on a cycle."""
    ordered: dict[str, Source] = {}
    open_now: list[str] = []
    late: list[str] = [entry]

    def visit(module: str) -> None:
        if module in ordered:
            return
        if module in open_now:
            chain = " -> ".join([*open_now[open_now.index(module) :], module])
            raise ModelError(
                f"import cycle {chain}: no order of one file serves it. Move what is shared to its own module."
            )
        open_now.append(module)
        source = read_source(root, module)
        for before in source.before:
            visit(before)
        open_now.pop()
        ordered[module] = source
        late.extend(m for m in source.lab.values() if m not in source.before)  # imported on use: order is free

    while late:
        visit(late.pop())
    return ordered


def reach_names(sources: Mapping[str, Source], module: str, name: str) -> dict[str, set[str]]:
    """For each module the names that `name` of `module` reaches."""
    kept: dict[str, set[str]] = {m: set() for m in sources}
    todo = [(module, name)]
    while todo:
        module, name = todo.pop()
        source = sources[module]
        definition = source.owner(name)
        if definition is None:
            if name in source.lab:
                todo.append((source.lab[name], name))
                continue
            raise ModelError(f"{source.path}: binds no {name}, though another module imports it from here.")
        if name in kept[module]:
            continue
        kept[module] |= set(definition.names)
        for read in definition.reads:
            if read in source.lab:
                todo.append((source.lab[read], read))
            elif source.owner(read):
                todo.append((module, read))
    return kept


def check_owners(sources: Mapping[str, Source], kept: Mapping[str, set[str]]) -> None:
    """One owner for each name: no two modules, no outside import, no builtin of the same name. Raises ModelError."""
    owners: dict[str, Source] = {}
    for source in sources.values():
        for definition in source.definitions:
            for name in kept[source.module] & set(definition.names):
                if name in owners:
                    raise refuse(source.path, definition.line, f"{name} is bound in {owners[name].path.name} as well")
                if hasattr(builtins, name):
                    raise refuse(source.path, definition.line, f"{name} hides Python's own from every other module")
                owners[name] = source
    for source in sources.values():
        for name in used_outside(source, kept):
            if name in owners:
                line = source.outside[name]
                raise refuse(source.path, 1, f"`{line}` and a definition in {owners[name].path.name} share a name")


def used_outside(source: Source, kept: Mapping[str, set[str]]) -> list[str]:
    """Outside names that the kept definitions of a module read."""
    reads = {r for d in source.definitions if kept[source.module] & set(d.names) for r in d.reads}
    return [name for name in source.outside if name in reads]


def hoisted(sources: Mapping[str, Source], kept: Mapping[str, set[str]]) -> list[str]:
    """The outside imports, each once, sorted. Raises ModelError where one name means two things."""
    bound: dict[str, str] = {}
    for source in sources.values():
        for name in used_outside(source, kept):
            statement = source.outside[name]
            if (
                statement.startswith("import ")
                and " as " not in statement
                and bound.get(name, "").startswith("import ")
            ):
                bound[name] = "\n".join(sorted({*bound[name].split("\n"), statement}))  # import os, import os.path
            elif bound.setdefault(name, statement) != statement:
                raise refuse(source.path, 1, f"{name} means `{bound[name]}` in one module and `{statement}` in another")
    lines = {line for statement in bound.values() for line in statement.split("\n")}
    return sorted(lines, key=lambda line: (line.startswith("from"), line))


def check_names(text: str) -> None:
    """Compile the script and see that every global name it reads is bound in it. Raises ModelError."""
    code = compile(text, "train_gpt.py", "exec")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] in ROOMS):
            raise ModelError(
                f"line {node.lineno} of the joined script still says `{ast.unparse(node)}`. Please report."
            )
    bound = set(dir(builtins)) | ALWAYS
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        else:
            bound |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}

    def missing(block: types.CodeType, local: set[str]) -> set[str]:
        found = set()
        stored = {i.argval for i in dis.get_instructions(block) if i.opname == "STORE_NAME"} | local
        for step in dis.get_instructions(block):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME") and step.argval not in bound | stored:
                found.add(step.argval)
        for constant in block.co_consts:
            if isinstance(constant, types.CodeType):
                found |= missing(constant, {"__class__", "__module__", "__qualname__", "__annotations__"})
        return found

    if lost := missing(code, set()):
        raise ModelError(f"the joined script reads {sorted(lost)}, which nothing in it binds. Please report this.")


SHORTENED = "# ---- model/train.py and what it reaches, shortened ----\n"


def packed(text: str, free: Iterable[str] = ()) -> str:
    """The compressed, self-extracting form of a script: the same program, minified, in a sixth of the bytes.

    free: definitions of `text` that nobody names from outside, nor their arguments and attributes.
    """
    from compress.decoder_source import compressed
    from compress.shorter import shorter

    coded = base64.b85encode(compressed(SHORTENED + shorter(text, keep=(), free=free))).decode()
    return (
        "import base64,linecache,lzma\n"
        f's=lzma.decompress(base64.b85decode("{coded}"),3,None,[{{"id":33}}]).decode()\n'
        'linecache.cache["train_gpt.txt"]=len(s),None,s.splitlines(True),"train_gpt.txt"\n'
        'exec(compile(s,"train_gpt.txt","exec"))\n'
    )


def codec_parts(codec: str) -> dict[tuple[str, str], str]:
    """Functions of `compress` that need to know one codec only, once a script is built for it. Raises CodecError.

    The stages are written out by their `repr`, which is their constructor; so the others are not reached, nor are
    decoders of what it never writes.
    """
    from compress.decoder_source import decoder_tables
    from compress.recipes import parse_recipe  # loads every codec, which the bundler otherwise needs not

    chosen = parse_recipe(codec)
    parts = {("compress.recipes", "parse_recipe"): ONE_RECIPE.format(codec=codec, recipe=chosen)}
    return parts | decoder_tables(chosen.needs())


ONE_RECIPE = '''def parse_recipe(name: str) -> Recipe:
    """The recipe this script was built for. Raises CodecError for any other."""
    if name != {codec!r}:
        raise CodecError(f"this script was built for the codec {codec}, met {{name!r:.60}}; build one for that.")
    return {recipe!r}
'''


def write_bundle(recipe: Path, out: Path, *, pack: bool = False, codec: str = "", kernels: str = "off") -> int:
    """Write the script of a recipe (TOML) to `out`, aside first; returns its size in bytes. Raises ModelError.

    codec: instead of the recipe's own; kernels: what it shall have even where the recipe has none.
    """
    text = (packed_bundle if pack else recipe_bundle)(recipe, codec, kernels)
    out.parent.mkdir(parents=True, exist_ok=True)
    return write_aside(out, text.encode())


def recipe_bundle(recipe: Path, codec: str = "", kernels: str = "off") -> str:
    """The script of a recipe as text, with its codec alone and its kernels. Raises ModelError or CodecError."""
    return bundle_of(recipe, codec, kernels, {})


def packed_bundle(recipe: Path, codec: str = "", kernels: str = "off") -> str:
    """The same, packed; its decoder says a container's faults in few words. Raises ModelError or CodecError."""
    from compress.decoder_source import short_parts
    from compress.recipes import parse_recipe

    short = short_parts(parse_recipe(recipe_config(recipe, codec, kernels)[1].codec).needs())
    return packed(bundle_of(recipe, codec, kernels, short), {name for _, name in short})


def recipe_config(recipe: Path, codec: str, kernels: str) -> tuple[dict[str, object], RunConfig]:
    """A recipe's values with those changed, and what they make of the defaults. Raises ModelError."""
    values = read_recipe(recipe) | ({"codec": codec} if codec else {})
    values |= {} if kernels == "off" else {"kernels": kernels}
    return values, with_values(RunConfig(), values, str(recipe))


def bundle_of(recipe: Path, codec: str, kernels: str, short: Mapping[tuple[str, str], str]) -> str:
    """`recipe_bundle`, with the definitions of `short` where nothing else takes their place."""
    values, config = recipe_config(recipe, codec, kernels)
    parts = {**short, **codec_parts(config.codec), **KERNELS_LEFT_OUT[config.kernels]}
    title = f"{recipe.stem}: a standard GPT that trains, exports, reloads and evaluates from this one file."
    return bundle_text({"RECIPE": values}, title=title, instead=parts)


def is_current(recipe: Path, script: Path) -> bool:
    """Whether `script` equals what the modules and the recipe give today, plain or packed."""
    there = script.read_bytes()
    return there == recipe_bundle(recipe).encode() or there == packed_bundle(recipe).encode()
