"""Signs in code that byte accounting may be off. Code alone only flags; the numbers of other rules decide.

Audits by reading code have been wrong in public, so nothing here fails a submission: each sign is a line to look at.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .builder_finder import PIECES, asks_for_pieces, calls, space_added
from .program import Program

SPACE = "\u2581"
CONSTANT = re.compile(r"(bytes?_per_tok|avg_bytes|mean_bytes|tokens?_per_byte|tok_per_byte|bytes_ratio)", re.I)
STRIPPERS = {"startswith", "lstrip", "removeprefix", "replace", "strip"}


@dataclass(frozen=True, slots=True)
class Sign:
    """One line to look at: `line` from 1, `says` what is odd, `text` the code."""

    line: int
    says: str
    text: str


def short(node: ast.AST) -> str:
    """The code of a node on one line, cut."""
    return " ".join(ast.unparse(node).split())[:120]


def signs(program: Program) -> Iterator[Sign]:
    """Every sign in a module, by line."""
    found = [*constants(program), *literals(program), *twice(program), *divided(program)]
    yield from sorted(found, key=lambda sign: sign.line)


def constants(program: Program) -> Iterator[Sign]:
    """A name that says bytes per token, bound to a number."""
    for node in program.statements:
        value = node.value
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or not isinstance(value, ast.Constant):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [short(one) for one in targets]
        number = isinstance(value.value, (int, float)) and not isinstance(value.value, bool)
        if number and value.value and any(CONSTANT.search(name) for name in names):
            yield Sign(node.lineno, "a constant for bytes per token", short(node))


def divided(program: Program) -> Iterator[Sign]:
    """A BPB computed with a literal number of the size of bytes per token."""
    for node in program.statements:
        if not isinstance(node, ast.Assign) or "bpb" not in program.lines(node).lower():
            continue
        if not any("bpb" in short(one).lower() for one in node.targets):
            continue
        inside_calls = {id(part) for call in ast.walk(node) if isinstance(call, ast.Call) for part in ast.walk(call)}
        for part in ast.walk(node.value):
            if isinstance(part, ast.BinOp) and isinstance(part.op, (ast.Div, ast.Mult)):
                for side in (part.left, part.right):
                    number = side.value if isinstance(side, ast.Constant) else None
                    if isinstance(number, float) and 1.2 < number < 12 and id(side) not in inside_calls:
                        yield Sign(node.lineno, f"BPB computed with the constant {number}", short(node))


def builders(program: Program) -> list[ast.FunctionDef]:
    """Functions that ask a tokenizer for its pieces."""
    return [one for one in asks_for_pieces(program) if calls(one) & PIECES]


def literals(program: Program) -> Iterator[Sign]:
    """A builder that strips another literal than U+2581 from pieces, or none at all."""
    for function in builders(program):
        for node in ast.walk(function):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            word = node.args[0]
            if node.func.attr in STRIPPERS and isinstance(word, ast.Constant) and isinstance(word.value, str):
                text = word.value
                if text and len(text) <= 4 and SPACE not in text and not text.startswith("<") and text != " ":
                    yield Sign(node.lineno, f"pieces are stripped of {text!a} instead of U+2581", short(node))


def twice(program: Program) -> Iterator[Sign]:
    """`+ 1` (or `+= 1`) in a builder's table while a loop adds the leading space again."""
    added = space_added(program)
    if not added:
        return
    for function in builders(program):
        for node in ast.walk(function):
            plus = isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.Add)
            side = getattr(node, "right", getattr(node, "value", None)) if plus else None
            if isinstance(side, ast.Constant) and side.value == 1 and "encode" in short(node) + _near(function):
                says = f"one is added in the table, and the leading space again at line {added[0].line}"
                if _about_bytes(node):
                    yield Sign(node.lineno, says, short(node))  # type: ignore[attr-defined]


def _near(function: ast.FunctionDef) -> str:
    return " ".join(sorted(calls(function)))


def _about_bytes(node: ast.AST) -> bool:
    return bool(re.search(r"encode|byte|len", short(node)))
