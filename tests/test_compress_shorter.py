"""A shortened program prints what the long one prints: programs that a careless minifier would change."""

import contextlib
import io

import pytest

from compress.shorter import shorter

PROGRAMS = {
    "an argument named by a library": (
        "import functools\ndef helper(value, number):\n    return value * 10 + number\n"
        "print(functools.partial(helper, number=2)(1))\n",
        {"helper"},
    ),
    "an argument named by a dictionary": (
        "def helper(value, number):\n    return value * 10 + number\nprint(helper(1, **{'number': 2}))\n",
        {"helper"},
    ),
    "an argument named behind another name": (
        "def helper(value, number):\n    return value * 10 + number\nother = helper\nprint(other(value=1, number=2))\n",
        {"helper"},
    ),
    "an argument named by who calls back": (
        "def apply(run):\n    return run(value=3)\ndef back(value):\n    return value\nprint(apply(back))\n",
        {"apply", "back"},
    ),
    "a method and a function of one name": (
        "class K:\n    def go(self, value):\n        return value\ndef go(value):\n    return -value\n"
        "print(K().go(value=1), go(2))\n",
        {"K", "go"},
    ),
    "a number whose name an import takes": (
        "base = 5\ndef f():\n    import os.path as base\n    return base.basename('a/b')\nprint(f(), base)\n",
        {"base", "f"},
    ),
    "a number whose name an error takes": (
        "LIMIT = 5\ndef f():\n    try:\n        raise ValueError(3)\n    except ValueError as LIMIT:\n"
        "        return str(LIMIT)\ndef g():\n    return LIMIT\nprint(f(), g())\n",
        {"LIMIT"},
    ),
    "a number whose name a function takes": (
        "size = 5\ndef f():\n    def size():\n        return 1\n    return size()\nprint(f(), size)\n",
        {"size", "f"},
    ),
    "a number that is counted up": (
        "seen = 1\ndef f():\n    global seen\n    seen += 1\nf()\nprint(seen)\n",
        {"seen", "f"},
    ),
    "a name that nothing reads, made by work that shows": (
        "seen = []\ndef note(x):\n    seen.append(x)\n    return x\nUNUSED = note(1)\nprint(seen)\n",
        {"UNUSED", "note", "seen"},
    ),
    "signs and powers": ("A = -2\nN = 3\nprint(A ** 2, 3 - A, N / 2, -N ** 2)\n", {"A", "N"}),
    "truths are no numbers": ("FLAG = True\nprint(FLAG, [FLAG])\n", {"FLAG"}),
}


def printed(text: str) -> str:
    """What a program prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(text, "program", "exec"), {"__name__": "__main__"})
    return out.getvalue()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_shorter_program_does_the_same(name: str) -> None:
    text, free = PROGRAMS[name]
    short = shorter(text, keep=(), free=free)
    assert printed(short) == printed(text) != ""
    assert len(short) <= len(text)


def test_what_nobody_needs_goes() -> None:
    text = (
        "from typing import Any\nLIMIT = 1 << 20\nUNREAD = (1, 2)\n"
        "def reach(number: int, limit: Any) -> int:\n    '''Words.'''\n    return number + limit\n"
        "def nobody():\n    return 1\n"
        "def main():\n    return reach(1, LIMIT)\n"
    )
    short = shorter(text, keep={"main"}, free={"reach", "LIMIT", "UNREAD", "nobody"})
    assert "main" in short
    assert not any(word in short for word in ("LIMIT", "UNREAD", "nobody", "reach", "number", "Any", "Words", "int"))
    space: dict[str, object] = {}
    exec(short, space)
    assert space["main"]() == 1 + (1 << 20)  # type: ignore[operator]
    assert "reach" in shorter(text, keep={"reach", "main"}, free=set())
