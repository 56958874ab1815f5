"""RC206: do README.md and submission.json speak of the same score? Read from the page's numbers, beside any wording."""

import re
from collections.abc import Iterator

from .evidence import Case, agrees
from .finding import Finding
from .rules import Say, rule
from .submission import decimals

NUMBER = re.compile(r"(?<![\w.])(\d\.\d{2,10})(?![\w.]*\d)")
NEAR = re.compile(r"b(?:pb|pp|its[ -]per[ -]byte)\b", re.IGNORECASE)
LEAST = 3  # decimals from which on a number is taken for a score


def scores_told(page: str) -> list[tuple[int, str]]:
    """(line, number) of every number of a score's size on lines and in tables that speak of bits per byte."""
    found, table = [], False
    for number, line in enumerate(page.replace("\\_", "_").splitlines(), 1):
        told = bool(NEAR.search(line))
        table = line.lstrip().startswith("|") and (table or told)
        if told or table:
            found += [(number, text) for text in NUMBER.findall(line.replace("**", " ")) if decimals(text) >= LEAST]
    return [(line, text) for line, text in found if 0.5 < float(text) < 9]


@rule("RC206", "README tells the same score")
def readme_score(case: Case) -> Iterator[Finding]:
    """The claimed `val_bpb` stands in README.md too, to the digits that the page gives.

    A page that states scores in bits per byte and never the claimed one explains another run, or was left behind by
    the last change; it fails. A page without such numbers is UNCHECKED. Numbers of other records stand on the page by
    right, so a single match is enough.

    Fix: bring README.md and submission.json to the same score.
    """
    say, claims, name = Say("RC206"), case.claims, case.folder.readme
    if name is None or claims is None or claims.val_bpb is None:
        yield say.unchecked("no claim, or no README.md, to compare")
        return
    claim = claims.val_bpb
    page = case.folder.text(name)
    everywhere = [
        (at, text)
        for at, line in enumerate(page.splitlines(), 1)
        for text in NUMBER.findall(line)
        if decimals(text) >= LEAST
    ]
    hit = next((one for one in everywhere if same_score(claim, one[1])), None)
    told = scores_told(page)
    if hit:
        yield say.ok("the claimed score stands on the page", where=f"{name}:{hit[0]}", found=hit[1], expected=claim)
    elif told:
        yield say.fail(
            "the page states scores, and never the claimed one",
            where=f"{name}:{told[0][0]}",
            found=", ".join(list(dict.fromkeys(text for _, text in told))[:6]),
            expected=claim,
            fix="bring README.md and submission.json to the same score",
        )
    else:
        yield say.unchecked("the page states no score in bits per byte", where=name, expected=claim)


def same_score(claim: str, told: str) -> bool:
    """True when one is the other, rounded or cut to fewer decimals."""
    short, long = sorted((claim, told), key=decimals)
    return agrees(short, float(long), decimals(long))
