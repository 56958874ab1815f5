"""Write RULES.md, the rules' pages as one document; a test holds it to the docstrings.

python -m records.rules_page records/RULES.md
"""

import sys
from pathlib import Path

from .rules import load_rules

FAMILIES = {
    "RC1": "The folder",
    "RC2": "submission.json",
    "RC3": "Score, runs and seeds",
    "RC4": "Bytes",
    "RC5": "The script",
    "RC6": "Time and machine",
    "RC7": "The audit",
}
HEAD = """# The rules of `pglab record check`

<!-- Written by `python -m records.rules_page records/RULES.md` from the rules' docstrings. Do not edit. -->

Each rule answers PASS, FAIL or UNCHECKED for every folder, with what was found, what was expected, where, and the fix.
No evidence is UNCHECKED, never PASS. `pglab record check --explain CODE` prints one page.
"""


def page() -> str:
    """RULES.md's text."""
    parts = [HEAD]
    rules = load_rules()
    for family, title in FAMILIES.items():
        parts.append(f"## {title}\n")
        for code, rule in rules.items():
            if code.startswith(family):
                parts.append(f"### {code} {rule.name}\n\n{rule.page}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
