"""Scripts of newer Python in the words of ours: the same text comes out, line numbers hold, any text is read or not."""

import ast
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpb_audit.newer_python import Unreadable, downlevel
from bpb_audit.program import read_program

VALUES = {"x": 3, "w": 5, "d": {"k": "v"}}
SAME = {
    "f'a{x}b'": "a3b",
    "f'{d['k']}'": "v",
    'f"{d["k"]:>{w}}"': "    v",
    "f'{x!r:>4}|{x!s}|{x=}|{x = }'": "   3|3|x=3|x = 3",
    "f'{{{x}}}'": "{3}",
    '"a" f"{x}" "b" f"{x}"': "a3b3",
    "f'{'\\n'.join(['a', 'b'])}'": "a\nb",
    "rf'\\d{x}'": "\\d3",
    "f'{x==3}{x!=4}{x<=3}'": "TrueTrueTrue",
    "f'{f'{f'{x}'}'}'": "3",
    'f"""a\n{x}\n"""': "a\n3\n",
    "f'{'a' 'b'}{(lambda y: y)(x)}'": "ab3",
    "f'\\N{LATIN SMALL LETTER A}{x:0{w}d}'": "a00003",
    "f'{ {1: 2}[1] }'": "2",
}


@pytest.mark.parametrize(("code", "text"), SAME.items())
def test_a_formatted_string_gives_the_same_text(code: str, text: str) -> None:
    assert eval(downlevel(code), dict(VALUES)) == text  # our own lines, above


def test_what_only_a_type_checker_reads_is_left_out() -> None:
    code = "type Pair[T] = tuple[T, T]\ndef first[T: int](a: T) -> T:\n    return a\nclass Box[T]:\n    pass\n"
    code += "try:\n    pass\nexcept ValueError, KeyError:\n    pass\n"
    tree = ast.parse(downlevel(code))
    assert [getattr(node, "name", "") for node in tree.body] == ["", "first", "Box", ""]


@pytest.mark.parametrize("text", ["f'{x", "'abc", "f(", ")", "f'{x!'", 'f"{x:{y"', "f'''{x}"])
def test_what_never_ends_is_said(text: str) -> None:
    with pytest.raises((Unreadable, IndexError)):
        downlevel(text)
    assert read_program(text).tree is None


def test_our_own_sources_keep_their_lines() -> None:
    for place in sorted(Path(__file__).parent.parent.joinpath("bpb_audit").glob("*.py"))[::4]:
        text = place.read_text(encoding="utf-8")
        named = (ast.FunctionDef, ast.ClassDef)
        here, there = (
            [(node.name, node.lineno) for node in ast.walk(tree) if isinstance(node, named)]
            for tree in (ast.parse(text), ast.parse(downlevel(text)))
        )
        assert here == there


@given(st.text(alphabet="f'\"{}!:=[]()\\x \n#r", max_size=40))
def test_any_text_is_a_program_or_none(text: str) -> None:
    program = read_program(text)
    assert program.tree is None or isinstance(program.tree, ast.Module)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python reads it as it stands")
def test_a_minified_script_of_python_312_is_read() -> None:
    program = read_program("import a\ndef f(d):\n    print(f'{d['k']}')\n    from b import c\n")
    assert program.newer
    assert "f-string" in program.error
    assert [node.lineno for node in program.imports] == [1, 4]
