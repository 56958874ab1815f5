"""One line of a training log: which numbers does it state?

Public logs spell the final metric in more than thirty ways, and some labels carry another method than they say. So no
label is looked for: a line is taken apart into `key:value` and `key=value` pairs, and the words before the first pair
are kept only to be shown. A line of Python source is not a line of a log: quotes, brackets or a comment sign before
the first number rule it out.

    >>> parse_metric(7, "final_int8_zlib_roundtrip_exact val_loss:2.07269931 val_bpb:1.22436570").bpb
    Decimal('1.22436570')
"""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

NUMBER = r"-?(?:\d{1,24}(?:\.\d{0,24})?|\.\d{1,24})(?:[eE][-+]?\d{1,3})?"
PAIR = re.compile(
    rf"(?:\b(sliding|roundtrip) )?\b([A-Za-z][A-Za-z0-9_]{{0,60}})"
    rf"\s{{0,16}}[:=]\s{{0,16}}({NUMBER})(ms|s|m|B|x|%)?(?![\w.])"
)
STAMP = re.compile(
    r"^(?:\[?rank ?\d+\]?:? ?|\d{10}\.\d{3} |\[\d\d:\d\d:\d\d\] |\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*\]?:? )+"
)
STEP = re.compile(r"^(?:step[:= ]\s*)?(\d{1,12})/(\d{1,12})\b")
JSON_PAIR = re.compile(r'^\s*"(\w*bpb)"\s*:\s*(\d+\.\d+),?\s*$')
PASSING = re.compile(
    r"progress|ttt_chunk|sliding_eval|\bttp\b|running|batch \d+/\d+|chunk[ _]\d+/\d+|\d+/\d+ windows|partial", re.I
)
NOT_A_LABEL = re.compile(r"[\"'`#({\[\\|]")
BPB_KEYS = ("val_bpb", "bpb", "val_var_bpb", "val_bits_per_byte", "bits_per_byte")
LOSS_KEYS = ("val_loss", "loss", "val_nll")


@dataclass(frozen=True, slots=True)
class Metric:
    """A score that a log states.

    `line` counts from 1; `bpb` bits per byte and `loss` nats per token exactly as printed (Decimal keeps the digits);
    `step` for validations printed while training; `run` counts the trainings in the file from 0; `label` the words
    before the first number.
    """

    line: int
    label: str
    bpb: Decimal
    loss: Decimal | None = None
    step: int | None = None
    run: int = 0

    def __str__(self) -> str:
        name = self.label or (f"step {self.step}" if self.step is not None else "val_bpb")
        return f"{name} {self.bpb}"


def pairs(text: str) -> list[tuple[str, str]]:
    """`key:value` and `key=value` pairs of a line, in order; values are numbers as printed."""
    return [(m[2], m[3]) for m in PAIR.finditer(text)]


def bare(text: str) -> str:
    """The line without a time stamp or rank prefix."""
    return STAMP.sub("", text)


def number(text: str) -> Decimal | None:
    """A finite Decimal, or None."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def parse_metric(line: int, text: str, run: int = 0) -> Metric | None:
    """The score in one line, or None. `text` is a line without its newline; lines of source give None."""
    if "bpb" not in text and "bits_per_byte" not in text:
        return None
    text = bare(text)
    as_json = JSON_PAIR.match(text)
    if as_json:
        return _metric(line, as_json[1], as_json[2], None, None, run)
    step = STEP.match(text)
    body = text[step.end() :] if step else text
    first = PAIR.search(body)
    label = (body[: first.start()] if first else body).strip(" :-\t")
    if first is None or NOT_A_LABEL.search(label) or len(label) > 120 or PASSING.search(body[: first.end()]):
        return None
    if text[:1] in " \t" and ("=" in text or text.rstrip().endswith(",")):
        return None
    found = pairs(body)
    bpb = next(((k, v) for k, v in found if k in BPB_KEYS or k.endswith("val_bpb")), None)
    if bpb is None:
        return None
    loss = next((v for k, v in found if k in LOSS_KEYS or k.endswith("val_loss")), None)
    plain = bpb[0] in ("val_bpb", "bpb")
    name = " ".join(part for part in (label, "" if plain else bpb[0], first[1] or "") if part)
    return _metric(line, name, bpb[1], loss, int(step[1]) if step else None, run)


def _metric(line: int, label: str, bpb: str, loss: str | None, step: int | None, run: int) -> Metric | None:
    value, nats = number(bpb), number(loss) if loss else None
    if value is None or not 0 < value < 100:
        return None
    if nats is not None and not 0 < nats < 1000:
        nats = None
    return Metric(line, label, value, nats, step, run)
