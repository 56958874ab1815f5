"""RC506: does the code that evaluates reach for training data? Told from the syntax tree, so it only points at lines.

From every function that evaluates by its name (`eval_val`, `sliding_window`, `ttt_score`) the calls are followed to the
functions and methods of the same file; what any of these says about training data is named with its line. Names can
mislead and code can be dead: a hit asks a reviewer to look. Only a function that evaluates by its own name and opens
training files itself fails a record.
"""

import ast
import re
from collections.abc import Iterator

from bpb_audit.program import Function

from .evidence import Case
from .finding import Finding, many
from .rules import Say, rule
from .rules_script import sources
from .script_reader import Source

EVALUATES = re.compile(r"(?:^|_)(?:eval|evaluate|evaluation|validate|validation|val|score|ttt|sliding)(?:_|$)", re.I)
# what holds training data: its files, or the objects that hand it out; a length or a time of training is none
TRAINING = re.compile(
    r"^(?:_?train_?(?:files?|loader|pattern|glob|shards?|data|dataset|tokens|stream|batch(?:es)?|paths?|dir))$", re.I
)
TRAINING_FILES = re.compile(r"^_?train_?(?:files?|pattern|glob|shards?|paths?|dir)$", re.I)
READS = re.compile(
    r"^(?:open|fromfile|memmap|load\w*|read\w*|\w*loader|\w*stream|\w*dataset)$", re.I
)  # a list of names reads none
SETTLES = re.compile(r"dataset|tokenizer|config|setting|args|hyperparam|checkpoint", re.I)  # what else one validates
TRAINING_TEXT = re.compile(r"(?:fineweb|data|tokens|shard)\w*_train\b|_train_(?:\*|%|\{|\d)|\btrain_(?:\*|%\d)")


def called(function: Function) -> set[str]:
    """The bare names of what a function calls."""
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {f.id if isinstance(f, ast.Name) else f.attr for f in calls if isinstance(f, ast.Name | ast.Attribute)}


Known = dict[str, list[Function]]


def evaluating(known: Known) -> dict[str, str]:
    """Functions on the evaluation path: name -> the evaluating function it was reached from (itself, at the start).

    A name that says both (`train_and_eval`) starts no path: what it calls first is the training.
    """
    reached = {name: name for name in known if EVALUATES.search(name) and "train" not in name.lower()}
    queue = list(reached)
    while queue:
        name = queue.pop()
        for function in known[name]:
            for other in sorted(called(function) & known.keys() - reached.keys()):
                reached[other] = reached[name]
                queue.append(other)
    return reached


def mentions(text: str) -> bool:
    """True for a string that is, or holds, the name of training shards; a long text (a docstring) is none."""
    return len(text) < 300 and bool(TRAINING_TEXT.search(text))


def training_reads(source: Source, reached: dict[str, str]) -> list[tuple[int, str]]:
    """`(line, what)` of each mention of training data in a function on the evaluation path, by line."""
    hits = set()
    for name, start in reached.items():
        place = name if name == start else f"{name}, reached from {start}"
        for function in speaking(source, name):
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute) and TRAINING.match(node.attr):
                    hits.add((node.lineno, f".{node.attr} in {place}"))
                elif isinstance(node, ast.Name) and TRAINING.match(node.id):
                    hits.add((node.lineno, f"{node.id} in {place}"))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str) and mentions(node.value):
                    hits.add((node.lineno, f"{node.value[:60]!r} in {place}"))
    return sorted(hits)


def speaking(source: Source, name: str) -> list[Function]:
    """The functions of a name whose text speaks of training at all."""
    return [one for one in source.functions[name] if "train" in source.program.lines(one).lower()]


def certain_reads(source: Source, reached: dict[str, str]) -> list[tuple[int, str]]:
    """`(line, call)` where a function that evaluates by its own name opens or loads training files itself."""
    hits = set()
    for name in [name for name, start in reached.items() if name == start and not SETTLES.search(name)]:
        for call in (n for one in speaking(source, name) for n in ast.walk(one) if isinstance(n, ast.Call)):
            func = call.func
            word = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
            given = [part for value in [*call.args, *(k.value for k in call.keywords)] for part in ast.walk(value)]
            if READS.match(word) and any(names_files(part) for part in given):
                hits.add((call.lineno, f"{word}(...) of training files in {name}"))
    return sorted(hits)


def names_files(node: ast.AST) -> bool:
    """True for what names training files: `args.train_files`, `"fineweb_train_*.bin"`."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and mentions(node.value)
    word = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return bool(TRAINING_FILES.match(word))


@rule("RC506", "no training data while scoring")
def no_training_reads(case: Case) -> Iterator[Finding]:
    """No function that evaluates, nor what it calls, speaks of training data.

    Training data may not be read while scoring, unless its bytes are counted. The functions whose names say that they
    evaluate (eval, val, score, ttt, sliding; not with train) are followed through their calls in the file, and each
    mention of training files, loaders or shards on the way is named with its line. Names can mislead and code can be
    dead, so a hit is UNCHECKED, for a reviewer. It fails only where a function that evaluates by its own name opens or
    loads training files itself. Code outside functions that evaluate, such as a calibration between training and
    scoring, is not judged. No such function is UNCHECKED too.

    Fix: put what scoring needs into the artifact, or take the dead code out.
    """
    say, found = Say("RC506"), sources(case)
    parsed = [source for source in found if source.tree is not None]
    if not parsed or len(parsed) < len(found):
        yield say.unchecked("no script that can be parsed", where=found[0].name if found else "")
        return
    paths = [(source, evaluating(source.functions)) for source in parsed]
    names = sorted({name for _, reached in paths for name in reached})
    reads = [(source.name, read) for source, reached in paths for read in training_reads(source, reached)]
    hits = [f"{name}:{line} {what}" for name, (line, what) in reads]
    certain = [(source.name, read) for source, reached in paths for read in certain_reads(source, reached)]
    if certain:
        yield say.fail(
            f"training files are read by {many(len(certain), 'call')} in functions that evaluate",
            where=f"{certain[0][0]}:{certain[0][1][0]}",
            found="; ".join(f"{name}:{line} {what}" for name, (line, what) in certain[:5]),
            expected="no training data while scoring",
            fix="put what scoring needs into the artifact",
        )
    elif hits:
        yield say.unchecked(
            f"training data is named in {many(len(hits), 'line')} on the evaluation path; a reviewer must look",
            where=hits[0].split(" ")[0],
            found="; ".join(hits[:5]) + ("; ..." if len(hits) > 5 else ""),
            expected="no training data while scoring",
            fix="put what scoring needs into the artifact, or take the dead code out",
        )
    elif names:
        yield say.ok("no training data on the evaluation path", where=parsed[0].name, found=", ".join(names[:8]))
    else:
        yield say.unchecked("no function that evaluates by its name", where=parsed[0].name)
