"""Words beside the points of a plot, each where it covers no other word and no point, as far as there is room.

A word is tried right, left, above and below of its point, near and then farther off; the place with the least that it
would cover is taken. Sizes are estimated: eight-point letters are taken to be 4.6 points wide.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

LETTER, HEIGHT = 4.6, 9.0  # points
DOT = 3.5  # half the side of the square that a point takes, points
MOST, MOST_BARE = 60, 1_000  # words, points
OFFSETS: list[tuple[float, float, int]] = [
    (side * (6 if side else 0), up, side) for up in (3, -11, 9, -17, 15, -23, 22) for side in (1, -1, 0)
]  # (right, up) in points, and the side of the point that the word stands on
Box = tuple[float, float, float, float]  # left, bottom, right, top


def common(one: Box, other: Box) -> float:
    """The area that two boxes share, square points."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0.0) * max(high, 0.0)


def box_of(point: tuple[float, float], offset: tuple[float, float, int], word: str) -> Box:
    """Where a word lies at an offset from its point."""
    wide = LETTER * len(word)
    left = point[0] + offset[0] - {1: 0.0, 0: wide / 2, -1: wide}[offset[2]]
    return left, point[1] + offset[1], left + wide, point[1] + offset[1] + HEIGHT


def places(
    points: Sequence[tuple[float, float]], words: Sequence[str], room: tuple[float, float]
) -> list[tuple[float, float, int]]:
    """An offset for each word. points: of every mark, those with words first; room: of the axes; all in points."""
    dots = [(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in points]
    taken: list[Box] = []
    found = []
    for point, word in zip(points, words, strict=False):
        costs = []
        for rank, offset in enumerate(OFFSETS):
            box = box_of(point, offset, word)
            whole = (box[2] - box[0]) * HEIGHT
            inside = common(box, (0.0, 0.0, room[0], room[1] + HEIGHT))
            cost = 3 * (whole - inside) + sum(common(box, other) for other in [*taken, *dots])
            costs.append((round(cost, 3), rank))
        offset = OFFSETS[min(costs)[1]]
        taken.append(box_of(point, offset, word))
        found.append(offset)
    return found


def along(corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points on a line, near enough to each other that no word fits between them."""
    found = []
    for (x, y), (to_x, to_y) in pairwise(corners):
        steps = min(int(max(abs(to_x - x), abs(to_y - y)) / (2 * DOT)) + 1, MOST_BARE) if x == x and to_x == to_x else 0
        found += [(x + (to_x - x) * step / steps, y + (to_y - y) * step / steps) for step in range(steps)]
    return found[:MOST_BARE]


def write_names(
    axes: Any,
    named: Sequence[tuple[float, float, str]],
    bare: Sequence[tuple[float, float]],
    lines: Sequence[Sequence[tuple[float, float]]],
    colour: str,
) -> None:
    """Write the words of `named` (x, y, word) on matplotlib's axes.

    bare: the points without words; lines: the corners of each line, which words avoid, too. All in data units.

    More words than can be read are not written at all.
    """
    if not 0 < len(named) <= MOST or len(bare) > MOST_BARE:
        return
    size = axes.get_position().size * axes.figure.get_size_inches() * 72
    room = (float(size[0]) - 30, float(size[1]) - 10)  # what the ticks' words take is not known before the layout
    axes.get_xlim(), axes.get_ylim()  # makes the limits, which the transform needs
    told = axes.transScale + axes.transLimits

    def points(data: Sequence[tuple[Any, ...]]) -> list[tuple[float, float]]:
        return [(float(x) * room[0], float(y) * room[1]) for x, y in (told.transform((p[0], p[1])) for p in data)]

    at = [*points(named), *points(bare), *(dot for line in lines for dot in along(points(line)))]
    for (x, y, word), (right, up, side) in zip(named, places(at, [one[2] for one in named], room), strict=True):
        text = axes.annotate(word, (x, y), xytext=(right, up), textcoords="offset points", color=colour, fontsize=8,
                             ha={1: "left", 0: "center", -1: "right"}[side])  # fmt: skip
        text.set_in_layout(False)
