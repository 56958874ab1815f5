"""The audit as a page: headings in order, a picture with words, colours that can be read, nothing from outside."""

import re
from html.parser import HTMLParser

import pytest

from bpb_audit.finding import Finding, Report, Verdict
from bpb_audit.report_page import STYLE, as_html, picture
from tests.contrast import contrast

FINDINGS = tuple(Finding(f"PG90{n}", verdict, "says <b>", "where", "found") for n, verdict in enumerate(Verdict))


class Tags(HTMLParser):
    """Every element and its attributes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_can_be_read_aloud() -> None:
    text = as_html([Report("a<b", FINDINGS, 1.2, 1.25, "raw bytes", "", 1.21)] * 2)
    tags = [tag for tag, _ in Tags(text).seen]
    assert [tags.count(tag) for tag in ("h1", "main", "h2", "h3", "svg", "article")] == [1, 1, 2, 6, 2, 6]
    assert "script" not in tags
    assert "link" not in tags
    drawn = next(attrs for tag, attrs in Tags(text).seen if tag == "svg")
    assert drawn["role"] == "img"
    assert "claimed 1.200000; in the log 1.210000; on the best evidence 1.250000" in str(drawn["aria-label"])
    assert not re.findall(r"(?:src|href)=|https?:", text)


def test_a_score_alone_has_no_picture() -> None:
    assert picture([("claimed", 1.2)]) == ""
    assert "<svg" not in as_html([Report("a", FINDINGS, 1.2)])


@pytest.mark.parametrize("scheme", [0, 1])
def test_the_colours_have_contrast(scheme: int) -> None:
    light, dark = STYLE.split("@media(prefers-color-scheme:dark)")
    colours = dict(re.findall(r"--(\w+):#([0-9a-f]{6})", (light, dark.split("*{")[0])[scheme]))
    assert len(colours) == 8
    for name in set(colours) - {"paper", "line"}:
        assert contrast(colours[name], colours["paper"]) >= 4.5, name
