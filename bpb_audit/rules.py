"""The registry of rules: a stable code, a title, and one generator function that looks at the evidence.

A rule is registered where it is written; its docstring is its public page (`pglab audit --explain PG121`, and
RULES.md is generated from all of them). A check takes an `Evidence` and yields findings; where its evidence is absent
it yields `unchecked(...)` with what to give. A code is never reused for another meaning.

    @rule("PG121", "bytes implied by the log")
    def implied_bytes(evidence: Evidence) -> Iterator[Finding]:
        '''What it checks. Why it matters. How to fix it.'''

Families: PG10x recount from raw text, PG11x round trip, PG12x bytes implied by loss and BPB, PG2xx sizes, PG3xx the
submission's own code, PG4xx claim and log, PG50x coverage, PG51x behaviour of a scorer, PG6xx shards and tokenizer.
"""

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .errors import AuditError
from .evidence import Evidence
from .finding import Finding, Verdict

Check = Callable[[Evidence], Iterator[Finding]]


@dataclass(frozen=True)
class Rule:
    """A registered check: `code` (PG and three digits), `title` (lower case, no stop), `check`, `page` (docstring)."""

    code: str
    title: str
    check: Check
    page: str


REGISTRY: dict[str, Rule] = {}


def rule(code: str, title: str) -> Callable[[Check], Check]:
    """Register the decorated generator under `code`. Raises AuditError for a bad or taken code or a missing page."""

    def register(check: Check) -> Check:
        page = inspect.getdoc(check) or ""
        if not re.fullmatch(r"PG[1-9]\d\d", code):
            raise AuditError(f"rule code {code!r} is not PG and three digits.")
        if not page:
            raise AuditError(f"rule {code} has no docstring; its page is missing.")
        if code in REGISTRY and REGISTRY[code].check.__qualname__ != check.__qualname__:
            raise AuditError(f"rule code {code} is taken by {REGISTRY[code].title!r}.")
        REGISTRY[code] = Rule(code, title, check, page)
        return check

    return register


def never(evidence: Evidence) -> Iterator[Finding]:
    """The check of a page that no audit of a folder runs. Yields nothing."""
    return iter(())


def documented() -> list[Rule]:
    """Every rule that has a page: those an audit runs, and the behaviour probes, by code."""
    from .behaviour_pages import PAGES

    return sorted([*all_rules(), *PAGES.values()], key=lambda one: one.code)


def all_rules() -> list[Rule]:
    """Every rule, by code. Imports the check modules."""
    from . import checks  # noqa: F401  (importing registers)

    return [REGISTRY[code] for code in sorted(REGISTRY)]


def run_rule(one: Rule, evidence: Evidence) -> list[Finding]:
    """Run one rule; findings carry its code. An AuditError becomes UNCHECKED with the error's sentence."""
    found: list[Finding] = []
    try:
        for finding in one.check(evidence):
            found.append(dataclasses.replace(finding, rule=one.code))
    except AuditError as error:
        found.append(Finding(one.code, Verdict.UNCHECKED, f"could not be checked: {error}"))
    return found


def explain(code: str) -> str:
    """The page of one rule. Raises AuditError for an unknown code, naming the known ones."""
    known = {one.code: one for one in documented()}
    wanted = code.upper()
    if wanted not in known:
        raise AuditError(
            f"no rule {code!r}; there are {', '.join(known)}. Try: pglab audit --explain {next(iter(known), '')}"
        )
    one = known[wanted]
    return f"{one.code} {one.title}\n\n{one.page}\n"


def pages() -> str:
    """RULES.md: every rule's page, by code. Generated with `python -m bpb_audit --explain all`."""
    head = (
        "# The rules\n\nGenerated from their docstrings: `python -m bpb_audit --explain all > bpb_audit/RULES.md`.\n"
        "Verdicts: PASS (evidence agrees), FAIL (evidence contradicts), UNCHECKED (no evidence; never a pass).\n\n"
        "Bytes are recounted; the loss is taken from the log, not evaluated again. Behaviour probes of a scorer are\n"
        "`bpb_audit.behaviour` (PG51x), called with the scorer itself.\n"
    )
    parts = [f"\n## {one.code} {one.title}\n\n{one.page}\n" for one in documented()]
    return head + "".join(parts)
