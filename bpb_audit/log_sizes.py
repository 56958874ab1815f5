"""The sizes one line of a log states, in bytes, each with a label and what its digits leave open.

Public logs say `Total submission size int8+zlib: 15863489 bytes`, `artifact_bytes: 15555017`, two sizes behind a
stroke, `artifact:15.92MB ... code:70853`, `budget:15993853/16000000`, `15.67MB model + 0.077MB code = 15.75/16.00MB`.
Megabytes are decimal, as the challenge's are.
"""

import re
from dataclasses import dataclass

LABEL = r"[A-Za-z][\w +()./-]{1,70}?"
SIZE = re.compile(rf"^\s{{0,8}}({LABEL})\s{{0,16}}[:=]\s{{0,16}}(\d[\d,]{{0,20}})\s{{0,4}}(?:bytes|B)\b")
PLAIN = re.compile(
    r"^\s{0,8}((?:total_|code_|artifact_|model_|submission_|compressed_|quantized_)+bytes)\s{0,16}[:=]\s{0,16}(\d[\d,]{0,20})\s*$"
)
ARTIFACT = re.compile(r"^artifact:(\d{1,4}\.\d{1,4})MB .{0,300}?\bcode:(\d{1,12})")
BUDGET = re.compile(r"^budget:(\d{1,12})/16000000\b")
MEGABYTES = re.compile(r"(\d{1,4}\.\d{1,4})MB model \+ (\d{1,4}\.\d{1,4})MB code = (\d{1,4}\.\d{1,4})/16\.00MB")
MODEL, CODE, TOTAL = "Serialized model (rounded)", "Code size", "Total submission size"


@dataclass(frozen=True, slots=True)
class Size:
    """`bytes` under `label`; `room` bytes that rounding leaves to either side, 0 when every digit is there."""

    label: str
    bytes: int
    room: int = 0


def megabytes(text: str) -> tuple[int, int]:
    """(bytes, room): `15.92` is 15,920,000, give or take 5,000."""
    digits = len(text.partition(".")[2])
    return round(float(text) * 1e6), 5 * 10 ** (5 - digits)


def sizes_in(text: str) -> list[Size]:
    """Every size in a line without its stamp; [] when there is none. Lines of source give none."""
    if text.startswith("artifact:") and (found := ARTIFACT.match(text)):
        return [Size(MODEL, *megabytes(found[1])), Size(CODE, int(found[2]))]
    if text.startswith("budget:"):
        found = BUDGET.match(text)
        return [Size(TOTAL + " (budget)", int(found[1]))] if found else []
    if "MB model +" in text and (found := MEGABYTES.search(text[:400])):
        return [Size(MODEL, *megabytes(found[1])), Size(TOTAL + " (rounded)", *megabytes(found[3]))]
    parts = text.split(" | ")[:8] if " | " in text else [text]
    sizes = []
    for part in parts:
        found = SIZE.match(part) or PLAIN.match(part)
        if found and len(found[2]) < 20:
            label = found[1].strip()
            sizes.append(Size(CODE if label.lower() == "code" else label, int(found[2].replace(",", ""))))
    return sizes
