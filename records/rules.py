"""The registry of rules: a code, a short name, and a docstring that is the rule's public page.

A rule is a function from a `Case` to findings. To register is to be documented and tested: RULES.md is generated from
the docstrings, and `pglab record check --explain RC301` prints one. A rule says something about every folder: when
there is nothing to judge it answers UNCHECKED, and never stays silent.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .errors import RecordError
from .evidence import Case
from .finding import FAIL, PASS, UNCHECKED, Finding

Check = Callable[[Case], Iterable[Finding]]


@dataclass(frozen=True)
class Rule:
    """One rule: `code` is stable for ever, `name` reads as a noun, `page` is its docstring."""

    code: str
    name: str
    page: str
    check: Check

    def run(self, case: Case) -> list[Finding]:
        """The findings on one folder, at least one; a rule that trips over a folder says so and is UNCHECKED."""
        try:
            findings = list(self.check(case))
        except (RecordError, OSError, RecursionError, MemoryError) as error:
            return [Finding(self.code, UNCHECKED, f"{self.name}: could not be checked ({error})")]
        return findings or [Finding(self.code, UNCHECKED, f"{self.name}: nothing to judge")]


RULES: dict[str, Rule] = {}


def rule(code: str, name: str) -> Callable[[Check], Check]:
    """Register a check under `code`. Its docstring must be there: it is what people read."""

    def register(check: Check) -> Check:
        if code in RULES or not check.__doc__:
            raise RuntimeError(f"rule {code} is registered twice or has no docstring")
        RULES[code] = Rule(code, name, inspect.cleandoc(check.__doc__), check)
        return check

    return register


class Say:
    """Short hand for one rule's findings: `say.fail("...", where=..., found=..., expected=..., fix=...)`."""

    def __init__(self, code: str) -> None:
        self.code = code

    def ok(self, says: str, where: str = "", found: str = "", expected: str = "", fix: str = "") -> Finding:
        """The rule holds."""
        return Finding(self.code, PASS, says, where, found, expected, fix)

    def fail(self, says: str, where: str = "", found: str = "", expected: str = "", fix: str = "") -> Finding:
        """The rule does not hold."""
        return Finding(self.code, FAIL, says, where, found, expected, fix)

    def unchecked(self, says: str, where: str = "", found: str = "", expected: str = "", fix: str = "") -> Finding:
        """There is no evidence."""
        return Finding(self.code, UNCHECKED, says, where, found, expected, fix)


def load_rules() -> dict[str, Rule]:
    """All rules by code, in order; imports the modules that register them."""
    from . import (
        rules_audit,
        rules_eval,
        rules_folder,
        rules_json,
        rules_pull,
        rules_readme,
        rules_score,
        rules_script,
        rules_seeds,
        rules_size,
        rules_time,
    )

    loaded = (rules_audit, rules_folder, rules_json, rules_pull, rules_score, rules_script, rules_seeds, rules_size)
    assert all((*loaded, rules_eval, rules_readme, rules_time))
    return dict(sorted(RULES.items()))


def explain(code: str) -> str:
    """One rule's page as Markdown. Raises RecordError with the nearest codes when there is none of that name."""
    rules = load_rules()
    found = rules.get(code.upper())
    if found is None:
        near = [c for c in rules if c[:3] == code.upper()[:3]] or list(rules)
        raise RecordError(f"there is no rule {code}; there are {', '.join(near)}. `pglab record rules` lists all.")
    return f"{found.code} {found.name}\n\n{found.page}\n"
