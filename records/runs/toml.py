"""On which line of a TOML text each key stands, so that an error about a value can say where to look.

The text has been read by `tomllib` before, so it is known to be TOML; only tables, arrays of tables and keys are looked
for. A value may go over many lines: it ends where the lines so far are TOML by themselves.
"""

import re
import tomllib

KEY = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*'))*)\s*="""
)
HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]")
Place = tuple[str | int, ...]


def words(dotted: str) -> list[str]:
    """`a."b c".d` -> a, b c, d."""
    return [a or b or c for a, b, c in re.findall(r"""([A-Za-z0-9_-]+)|"([^"]*)"|'([^']*)'""", dotted)]


def ends(value: str) -> bool:
    """Whether the lines of one key are a whole `key = value`."""
    try:
        tomllib.loads(value)
    except tomllib.TOMLDecodeError:
        return False
    return True


def key_lines(text: str) -> dict[Place, int]:
    """Place of every table and key -> its line, counted from 1. The n-th [[table]] has n - 1 in its place."""
    found: dict[Place, int] = {(): 1}
    table: list[str | int] = []
    counts: dict[Place, int] = {}
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line, here = lines[at], at + 1
        at += 1
        if header := HEADER.match(line):
            table = placed(words(header[2]), counts, header[1] == "[[")
            found[tuple(table)] = here
        elif key := KEY.match(line):
            found[(*table, *words(key[1]))] = here
            value = line
            while not ends(value) and at < len(lines):
                value += "\n" + lines[at]
                at += 1
    return found


def placed(names: list[str], counts: dict[Place, int], repeats: bool) -> list[str | int]:
    """The place of a table's header: each name of an array of tables is followed by the number of its last table."""
    place: list[str | int] = []
    for number, name in enumerate(names):
        place.append(name)
        last = number == len(names) - 1
        if last and repeats:
            counts[tuple(place)] = counts.get(tuple(place), -1) + 1
        if tuple(place) in counts:
            place.append(counts[tuple(place)])
    return place


def line_of(lines: dict[Place, int], place: Place) -> int:
    """The line of the nearest known place at or above `place`."""
    for length in range(len(place), -1, -1):
        if place[:length] in lines:
            return lines[place[:length]]
    return 1
