"""Rule PG405, whether the source dumped in a log is the source that is shipped."""

import ast
import copy
import hashlib
import re
from collections.abc import Iterator
from types import CodeType

from .builder_finder import Bare
from .code_signs import builders
from .evidence import Evidence
from .finding import Finding, failed, many, passed, unchecked
from .log_reader import Dump, Log
from .matching import find, scores_of
from .program import read_program
from .rules import rule
from .submission import Submission

COUNTS = re.compile(r"\bid_to_piece\b|byte_count|token_bytes|byte_sum|base_bytes|has_leading|val_bpb =", re.I)
COUNTS_WORDS = re.compile(
    r"id_to_piece|byte_count|token_bytes|byte_sum|base_bytes|has_leading|val_bpb", re.I
)  # in the source
READERS = ("os.environ.get", "os.getenv", "environ.get", "getenv", "_e", "env")


def shape(text: str, settings: bool = True) -> str:
    """A digest of what the code does: its byte code, without comments, layout, line numbers and docstrings.

    Without `settings`, the defaults of environment variables do not count: runs override them. An empty text when it is
    no code.
    """
    program = read_program(text)
    if program.tree is None:
        return ""
    kept = [] if settings else [(call, call.args[1]) for call in program.calls if _reads_setting(call)]
    bodies = [one.body for one in (program.tree, *program.functions, *program.classes) if one.body]
    words = [(body, body[0]) for body in bodies if isinstance(body[0], ast.Expr) and _is_text(body[0].value)]
    try:
        for call, _ in kept:
            call.args[1] = ast.copy_location(ast.Constant(""), call)
        for body, first in words:
            body[:1] = [] if len(body) > 1 else [ast.copy_location(ast.Pass(), first)]
        code = compile(program.tree, "script", "exec", dont_inherit=True, optimize=2)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return ""
    finally:
        for call, default in kept:  # the tree is shared
            call.args[1] = default
        for body, first in words:
            body[:] = [first, *(one for one in body if not (isinstance(one, ast.Pass) and one.lineno == first.lineno))]
    digest = hashlib.sha256()
    _feed(digest, code)
    for one in program.asserts:
        digest.update(ast.unparse(one).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _feed(digest: "hashlib._Hash", code: CodeType) -> None:
    """What a code object does and names, and the code objects in it."""
    digest.update(code.co_code)
    names = (code.co_name, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_flags)
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    plain = [one for one in code.co_consts if not isinstance(one, CodeType)]
    told = repr((names, counts, [sorted(map(repr, one)) if isinstance(one, frozenset) else one for one in plain]))
    digest.update(told.encode("utf-8", "surrogatepass"))
    for one in code.co_consts:
        if isinstance(one, CodeType):
            _feed(digest, one)


def _reads_setting(call: ast.Call) -> bool:
    """True for a call that reads an environment variable with a default."""
    return len(call.args) == 2 and ast.unparse(call.func) in READERS


def counting(text: str) -> set[str]:
    """The statements that count bytes or compute BPB, and whole byte-table builders, as the syntax tree prints them."""
    program = read_program(text)
    found = {ast.unparse(Bare().visit(copy.deepcopy(one))) for one in builders(program)}
    for node in program.statements:
        mine = isinstance(node, (ast.Assign, ast.AugAssign, ast.Return)) and COUNTS_WORDS.search(program.lines(node))
        if mine and COUNTS.search(code := ast.unparse(node)):
            found.add(code)
    return found


def plain(text: str) -> str:
    """Lines without trailing white space, blank ends cut."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def first_difference(one: str, other: str) -> tuple[int, str, str]:
    """(line from 1, text there, text there) of the first line that differs."""
    left, right = plain(one).splitlines(), plain(other).splitlines()
    for at in range(max(len(left), len(right))):
        a = left[at].strip() if at < len(left) else "(end)"
        b = right[at].strip() if at < len(right) else "(end)"
        if a != b:
            return at + 1, a[:120], b[:120]
    return 0, "", ""


def claimed_logs(submission: Submission) -> list[Log]:
    """Logs that hold a claimed score; all of them when none does. Other runs may come from other versions."""
    hits = [find(score, submission.logs).log for score in scores_of(submission.claim)]
    names = {log.name for log in hits if log is not None}
    return [log for log in submission.logs if log.name in names] or list(submission.logs)


@rule("PG405", "the log's source is the shipped source")
def same_source(evidence: Evidence) -> Iterator[Finding]:
    """Where the log of a claimed score holds the script that ran, it is a script in the folder.

    Compared as text, then as syntax trees, so that comments and layout may differ. When the functions that count bytes
    and compute BPB differ, the shipped code did not make this score, and that fails; another version with the same
    counting code is unchecked. Fix: ship the very file that ran; a record is never edited afterwards.
    """
    submission = evidence.submission
    behind = claimed_logs(submission)
    shipped = submission.texts
    dumps = [(log.name, dump) for log in behind for dump in log.dumps if dump.whole and len(dump.text) > 400]
    if not dumps or not shipped:
        yield unchecked("no log holds its source, or no script is shipped", fix="ship a log that opens with its source")
        return
    texts = {plain(text): name for name, text in shipped.items()}
    other = [(name, dump) for name, dump in dumps if plain(dump.text) not in texts]
    same, edited, defaults = len(dumps) - len(other), 0, 0
    odd: list[tuple[str, Dump]] = []
    if other:  # trees cost time, and most records ship the very text
        shapes = {shape(text) for text in shipped.values()}
        loose = {shape(text, settings=False) for text in shipped.values()}
    for name, dump in other:
        if (digest := shape(dump.text)) and digest in shapes:
            edited += 1
        elif digest and shape(dump.text, settings=False) in loose:
            defaults += 1
        elif digest:
            odd.append((name, dump))
    for name, dump in odd:
        place = next(iter(shipped))
        counts = counting(dump.text)
        kept = next((other for other, code in shipped.items() if counts and counts <= counting(code)), None)
        line, there, here = first_difference(dump.text, shipped[kept or place])
        if line == 0:
            edited += 1
        elif kept:
            says = f"the source in {name} is another version of {kept}, with the same counting code"
            yield unchecked(says, f"{name}:{dump.first + line - 1}", "ship the file that ran")
        else:
            yield failed(
                f"the source in {name} counts bytes otherwise than any script in the folder",
                f"{name}:{dump.first + line - 1}",
                there,
                f"{here} ({place}:{line})",
                "ship the file that ran",
            )
    if defaults:
        says = f"{many(defaults, 'dumped source')} with other defaults of settings than the shipped script"
        yield unchecked(says, dumps[0][0], "ship the file that ran, or state the settings of the run")
    if same or edited:
        note = f", {edited} with other comments or layout" if edited else ""
        yield passed(f"the shipped script stands in {many(same + edited, 'log')}{note}", dumps[0][0])
    elif not odd and not defaults:
        yield unchecked("the dumped source cannot be parsed (cut or mixed with other output)", dumps[0][0])
