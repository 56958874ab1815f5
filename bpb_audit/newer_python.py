"""Scripts of a newer Python, rewritten so that ours can parse them; what they mean is kept, how they look is not.

Python 3.12 lets an f-string hold its own quotes, backslashes and comments, and knows `type X = ...`, `def f[T](...)`,
`class C[T]`. A minified public script uses the first freely, and 3.11 then reads nothing of it. Here every f-string
becomes the same text built by a call, `''.join((..., format((expression),'spec'),))`, the other forms lose what only
a type checker reads, and every line break stays where it is, so line numbers hold. Nothing is executed. The result
serves reading alone: whether the original compiles is not told by it.
"""

import re

OPENS, CLOSES = "([{", ")]}"
STRING = re.compile(r"([A-Za-z]{0,2})('''|\"\"\"|'|\")")
WORD = re.compile(r"[A-Za-z_]\w*")
GENERIC = re.compile(r"(?:def|class)\s+\w+$")
NAMED = re.compile(r"\\N\{[^}\n]*\}")
DEPTH = 60


class Unreadable(ValueError):
    """The text ends inside a string or bracket, or is nested past reason."""


def downlevel(text: str) -> str:
    """`text` in the words of Python 3.11. Raises Unreadable when a string or bracket never ends."""
    out, end = _code(text, 0, "", 0)
    if end != len(text):
        raise Unreadable("a bracket closes that was never opened")
    return out


def _code(text: str, at: int, until: str, depth: int) -> tuple[str, int]:
    """Code from `at` to one of the characters `until` outside any bracket (or to the end), rewritten."""
    if depth > DEPTH:
        raise Unreadable("nested past reason")
    out: list[str] = []
    brackets = 0
    after_string = ""  # `plain` or `formatted` while only white space came since a string: two in a row join
    while at < len(text):
        char = text[at]
        if char in until and not brackets and not (char == "!" and text[at + 1 : at + 2] == "="):
            return "".join(out), at
        if char == "#":
            stop = text.find("\n", at)
            at = len(text) if stop < 0 else stop
            continue
        literal = STRING.match(text, at) if char in "'\"" or char.isalpha() else None
        if literal and set(literal[1].lower()) <= set("rbuft"):
            formatted = bool(set(literal[1].lower()) & set("ft"))
            piece, at = _string(text, at, literal, formatted, depth)
            joined = formatted or after_string == "formatted"
            out.append(f"+{piece}" if after_string and joined else piece)
            after_string = "formatted" if formatted else "plain"
            continue
        if word := WORD.match(text, at):
            after_string = ""
            out.append(word[0])
            at = word.end()
            if text[at : at + 1] == "[" and GENERIC.search(_line("".join(out[-8:]))):
                _, at = _code(text, at + 1, "]", depth + 1)
                at += 1
            continue
        if (not char.isspace() and char != "\\") or (
            char == "\n" and not brackets and not until and (at == 0 or text[at - 1] != "\\")
        ):
            after_string = ""
        brackets += (char in OPENS) - (char in CLOSES)
        if brackets < 0:
            return "".join(out), at
        out.append(char)
        at += 1
    if until or brackets:
        raise Unreadable("the text ends inside a bracket")
    return _statements("".join(out)), at


def _line(text: str) -> str:
    return text.rpartition("\n")[2].rstrip()


def _statements(code: str) -> str:
    """`type X = ...` is an assignment, `except A, B:` a tuple."""
    code = re.sub(r"(?m)^([ \t]*)type[ \t]+([A-Za-z_]\w*)(?:\[[^\]\n]*\])?([ \t]*=[^=])", r"\1\2\3", code)
    return re.sub(r"(?m)^([ \t]*except[ \t]+)([\w.]+(?:[ \t]*,[ \t]*[\w.]+)+)([ \t]*:)", r"\1(\2)\3", code)


def _string(text: str, at: int, literal: re.Match[str], formatted: bool, depth: int) -> tuple[str, int]:
    """A string literal, as it stands or built by a call when it is formatted, and where it ends."""
    prefix, quote = literal[1], literal[2]
    raw = "r" in prefix.lower()
    start = literal.end()
    if formatted:
        return _formatted(text, start, quote, raw, depth)
    end = start
    while not text.startswith(quote, end):
        if end >= len(text) or (text[end] == "\n" and len(quote) == 1):
            raise Unreadable("a string never ends")
        end += 2 if text[end] == "\\" else 1
    return text[at : end + len(quote)], end + len(quote)


def _formatted(text: str, at: int, quote: str, raw: bool, depth: int) -> tuple[str, int]:
    parts, end = _parts(text, at, quote, raw, depth, quote)
    return f"''.join(({''.join(part + ',' for part in parts)}))", end + len(quote)


def _parts(text: str, at: int, quote: str, raw: bool, depth: int, until: str) -> tuple[list[str], int]:
    """The pieces of a formatted string from `at` to `until`, each an expression that gives text."""
    parts: list[str] = []
    plain: list[str] = []
    mark = "r" if raw else ""

    def flush() -> None:
        if plain:
            parts.append(f"{mark}{quote}{''.join(plain)}{quote}")
            plain.clear()

    while not text.startswith(until, at):
        if at >= len(text) or (text[at] == "\n" and len(quote) == 1):
            raise Unreadable("a formatted string never ends")
        if text.startswith(("{{", "}}"), at) and until == quote:
            plain.append(text[at])
            at += 2
        elif text[at] == "{":
            flush()
            piece, at = _field(text, at + 1, quote, raw, depth + 1)
            parts.append(piece)
        elif text[at] == "\\" and not raw:
            named = NAMED.match(text, at)
            plain.append(named[0] if named else text[at : at + 2])
            at += len(plain[-1])
        else:
            plain.append(text[at])
            at += 1
    flush()
    return parts, at


def _field(text: str, at: int, quote: str, raw: bool, depth: int) -> tuple[str, int]:
    """A replacement field after its `{`: the call that gives its text, and the place after its `}`."""
    code, end = _code(text, at, "}!:", depth)
    shown = re.fullmatch(r"(.*[^=!<>])=(\s*)", code, re.DOTALL)
    if shown:
        code = shown[1]
    value = f"({code})"
    if text[end] == "!":
        value = f"{'repr' if text[end + 1] == 'r' else 'ascii' if text[end + 1] == 'a' else 'str'}({value})"
        end += 2
    elif shown and text[end] == "}":
        value = f"repr({value})"
    spec = ""
    if text[end] == ":":
        parts, end = _parts(text, end + 1, quote, raw, depth, "}")
        spec = f",''.join(({''.join(part + ',' for part in parts)}))"
    if text[end] != "}":
        raise Unreadable("a field of a formatted string never ends")
    label = f"{shown[0]!r}+" if shown else ""
    return f"{label}format({value}{spec})", end + 1
