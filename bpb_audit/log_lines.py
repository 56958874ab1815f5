"""One line of a training log: which numbers does it state?

Public logs spell the final metric in more than thirty ways, and some labels carry another method than they say. So no
label is looked for: a line is taken apart into `key:value` and `key=value` pairs, and the words before the first pair
are kept only to be shown and to tell methods apart. A line of Python source is not a line of a log: quotes, brackets or
a comment sign before the first number rule it out.

    >>> parse_metric(7, "final_int8_zlib_roundtrip_exact val_loss:2.07269931 val_bpb:1.22436570").bpb
    Decimal('1.22436570')
"""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

NUMBER = r"-?(?:\d{1,24}(?:\.\d{0,24})?|\.\d{1,24})(?:[eE][-+]?\d{1,3})?"
PAIR = re.compile(rf"\b([A-Za-z][A-Za-z0-9_]{{0,60}})\s{{0,16}}[:=]\s{{0,16}}({NUMBER})(ms|s|m|B|x|%)?(?![\w.])")
STAMP = re.compile(
    r"^(?:\[?rank ?\d+\]?:? ?|\d{10}\.\d{3} |\[\d\d:\d\d:\d\d\] |\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*\]?:? )+"
)
STEP = re.compile(r"^(?:step[:= ]\s*)?(\d{1,12})/(\d{1,12})\b")
JSON_PAIR = re.compile(r'^\s*"(\w*bpb)"\s*:\s*(\d+\.\d+),?\s*$')
# progress inside an evaluation: a running mean over part of the text, not a score
PASSING = re.compile(
    r"progress|ttt_chunk|sliding_eval|\bttp\b|running|batch \d+/\d+|chunk[ _]\d+/\d+|\d+/\d+ windows|partial", re.I
)
# values beside a score that are none: differences, spreads, running means
NOT_A_SCORE = re.compile(
    r"gain|delta|diff|improve|std|running|batch|probe|chunk|saved|gap|baseline|target|neural|llm_|best_val|prev", re.I
)
NOT_A_LABEL = re.compile(r"[\"'`#({\[\\|]")
SPENT = ("eval_time", "elapsed", "time")
SECONDS = {"s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Metric:
    """A score that a log states.

    `line` counts from 1; `bpb` bits per byte and `loss` nats per token exactly as printed (Decimal keeps the digits);
    `step` for validations printed while training (weights before quantisation); `run` counts the trainings in the file
    from 0; `label` the words before the first number; `seconds` the evaluation took, or on the way the training so far.
    """

    line: int
    label: str
    bpb: Decimal
    loss: Decimal | None = None
    step: int | None = None
    run: int = 0
    seconds: float | None = None

    def __str__(self) -> str:
        name = self.label or (f"step {self.step}" if self.step is not None else "val_bpb")
        return f"{name} {self.bpb}"

    @property
    def val_bpb(self) -> float:
        """Bits per byte as a float."""
        return float(self.bpb)

    @property
    def val_loss(self) -> float | None:
        """Nats per token as a float."""
        return None if self.loss is None else float(self.loss)

    @property
    def digits(self) -> int:
        """Decimals the score was printed with."""
        exponent = self.bpb.as_tuple().exponent
        return max(0, -exponent) if isinstance(exponent, int) else 0

    @property
    def during_training(self) -> bool:
        """True for the validations printed on the way."""
        return self.step is not None


def seconds(value: str, unit: str | None) -> float:
    """`("600038", "ms") -> 600.038`; a missing unit means milliseconds, as the challenge's `train_time` prints."""
    return float(value) * SECONDS.get(unit or "ms", 0.001)


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
    """The last score in one line, or None (see `parse_metrics`)."""
    found = parse_metrics(line, text, run)
    return found[-1] if found else None


def parse_metrics(line: int, text: str, run: int = 0) -> list[Metric]:
    """The scores in a line: every value whose key ends in `bpb`, but for gains, deviations and running means.

    `text` is a line without its newline; lines of source give none.
    """
    if "bpb" not in text and "BPB" not in text and "bits_per_byte" not in text:
        return []
    text = bare(text).rstrip()
    if as_json := JSON_PAIR.match(text):
        only = _metric(line, as_json[1], as_json[2], None, None, run, None)
        return [only] if only else []
    step = STEP.match(text)
    body = text[step.end() :] if step else text
    first = PAIR.search(body)
    label = (body[: first.start()] if first else body).strip(" :-\t")
    if first is None or len(label) > 120 or NOT_A_LABEL.search(label) or PASSING.search(body[: first.end()]):
        return []
    if text[:1] in " \t" and ("=" in text or text.endswith(",")):
        return []
    pairs = [(m[1], m[2], m[3]) for m in PAIR.finditer(body)]
    scores = [
        (key, value)
        for key, value, unit in pairs
        if (key.lower().endswith("bpb") or key in ("bits_per_byte", "val_bits_per_byte"))
        and not unit
        and not NOT_A_SCORE.search(key)
    ]
    if not scores:
        return []
    by_name = {key: value for key, value, _ in reversed(pairs)}
    wanted = ("train_time",) if step else SPENT
    spent = next((seconds(v, u) for k, v, u in pairs if k in wanted and (u in ("ms", "s", "m") or step)), None)
    found = []
    for key, value in scores:
        plain = key in ("val_bpb", "bpb", "BPB")
        loss = by_name.get(key[:-3] + "loss") if key.lower().endswith("bpb") else None
        if loss is None and (plain or len(scores) == 1 or key.endswith("val_bpb")):
            loss = next((by_name[name] for name in ("val_loss", "loss", "val_nll") if name in by_name), None)
        if loss is None and (plain or len(scores) == 1):
            loss = next((v for k, v, _ in pairs if k.endswith("val_loss")), None)
        name = (label or ("" if step else key)) if plain else f"{label} {key}".strip()
        found.append(_metric(line, name, value, loss, int(step[1]) if step else None, run, spent))
    return [metric for metric in found if metric]


def _metric(
    line: int, label: str, bpb: str, loss: str | None, step: int | None, run: int, spent: float | None
) -> Metric | None:
    value, nats = number(bpb), number(loss) if loss else None
    if value is None or not 0 < value < 100:
        return None
    if nats is not None and not 0 < nats < 1000:
        nats = None
    return Metric(line, label, value, nats, step, run, spent)
