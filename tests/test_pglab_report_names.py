"""Words beside points: none over another, over a point or a line, or out of the picture, while there is room."""

import math

import pytest

from pglab_report import Plot, Series
from pglab_report_names import along, box_of, common, places
from pglab_report_plot import as_svg

ROOM = (500.0, 200.0)
WORDS = ["int6-row+mix", "int6-row+brotli11", "official .int8.ptz"]


def boxes(points: list[tuple[float, float]], words: list[str]) -> list[tuple[float, float, float, float]]:
    return [box_of(p, offset, w) for p, offset, w in zip(points, places(points, words, ROOM), words, strict=False)]


@pytest.mark.parametrize(
    "points",
    [
        [(100.0, 100.0), (110.0, 100.0), (105.0, 104.0)],
        [(499.0, 199.0), (498.0, 199.0), (1.0, 1.0)],
        [(0.0, 150.0), (0.0, 150.0), (0.0, 150.0)],
    ],
)
def test_near_points_have_words_apart_and_inside(points: list[tuple[float, float]]) -> None:
    found = boxes(points, WORDS)
    assert not [(a, b) for i, a in enumerate(found) for b in found[:i] if common(a, b)]
    assert all(box[0] >= 0 and box[2] <= ROOM[0] for box in found)
    dots = [(x - 3, y - 3, x + 3, y + 3) for x, y in points]
    assert not [(box, dot) for box in found for dot in dots if common(box, dot)]


def test_a_word_keeps_off_a_line() -> None:
    line = along([(0.0, 105.0), (500.0, 105.0)])
    assert len(line) > 50
    (box,) = boxes([(250.0, 100.0), *line], ["a word"])
    assert box[1] > 108 or box[3] < 102


def test_wild_numbers_are_no_fault() -> None:
    wild = Series("w", [1e-30, 1.0, 1e30, math.inf], [1.0, 0.0, 1e-12, 2.0], style="dots", names=["a", "b", "c", "d"])
    line = Series("l", [math.nan, 1.0, 1e20], [1.0, math.nan, 1e-5])
    assert "</svg>" in as_svg(Plot("p", "Wild", "x", "y", [wild, line], x_log=True, y_log=True))
    many = Series("m", range(3000), range(3000), style="dots", names=["x"] * 3000)
    assert "</svg>" in as_svg(Plot("p", "Many", "x", "y", [many]))
