"""The lossless case transform ("CaseOps") read backwards: operators out, capitals in.

The public records since April write text in small letters with four private-use operators before them, so that "The",
"the" and "THE" share tokens. The transform loses nothing and its operators stand for no byte of the document:

    U+E001 title    the next ASCII word begins with a capital      U+E001 "the"  -> "The"
    U+E002 caps     the next ASCII word is all capitals            U+E002 "nasa" -> "NASA"
    U+E003 next     the next ASCII letter is a capital             "i" U+E003 "phone" -> "iPhone"
    U+E004 escape   the next character stands for itself           U+E004 U+E001 -> U+E001

A word is a longest run of ASCII letters. Learnt from the rules in the public `lossless_caps_caseops_v1`; written anew.
"""

import re

TITLE, CAPS, NEXT, ESCAPE = "\ue001", "\ue002", "\ue003", "\ue004"
OPERATORS = (TITLE, CAPS, NEXT, ESCAPE)
OPERATOR_BYTES = tuple(operator.encode() for operator in OPERATORS)

_OPERATOR = re.compile(f"{ESCAPE}(.)|{CAPS}([a-z]+)|[{TITLE}{NEXT}]([a-z])", re.DOTALL)
_STRAY = re.compile(f"[{TITLE}{CAPS}{NEXT}{ESCAPE}]")


def _restore(match: re.Match[str]) -> str:
    escaped, word, letter = match.groups()
    return escaped or (word or letter).upper()


def restore_case(text: str) -> str | None:
    """The document behind transformed `text`; None when an operator is left with nothing to work on.

    An operator inside a word is let pass: the transform never writes one there, but a normaliser that runs after it
    can turn the sign before it into a letter ("32º" into "32o"), and the capital it stands for is still right.
    """
    restored = _OPERATOR.sub(_restore, text)
    escaped = sum(match[1] in OPERATORS for match in _OPERATOR.finditer(text))
    return restored if len(_STRAY.findall(restored)) == escaped else None
