"""The real FineWeb validation split in numbers: what honest runs imply, and by how much they may differ.

Source: the challenge's public records, recounted (151,080,891 bytes by the official table over all targets). A run is
held to this table only when it can be known to be on that split: by the number of validation tokens its log states,
or by the names of the published data together with a known vocabulary. Any other text has its own recount instead.
"""

from dataclasses import dataclass

SPLIT_BYTES = 151_080_891
RAW_BYTES = 151_080_645
DOCUMENTS = 50_000
ABOVE = 5_000  # bytes an honest run may imply above the table
BELOW_SEQUENCES = 8


@dataclass(frozen=True, slots=True)
class Split:
    """One published tokenization: `tokens` in its shards (or scored, where only that is public) and their `bytes`."""

    name: str
    vocab_size: int
    tokens: int
    bytes: int = SPLIT_BYTES
    known_as: tuple[str, ...] = ()

    @property
    def bytes_per_token(self) -> float:
        """Bytes per scored token over the whole split."""
        return self.bytes / self.tokens


SPLITS = (
    Split("sp1024", 1024, 62_021_846, known_as=("sp1024", "fineweb_1024_bpe")),
    Split("sp4096", 4096, 45_510_000, known_as=("sp4096", "fineweb_4096_bpe")),
    Split("sp4096 (second export)", 4096, 45_514_752),
    Split("sp8192", 8192, 40_540_803, known_as=("sp8192", "fineweb_8192_bpe")),
    Split("caseops", 8192, 47_853_344, known_as=("caseops", "lossless_caps")),
    Split("byte260", 260, 151_130_891, known_as=("byte260",)),
    Split("bytes without document marks", 256, SPLIT_BYTES, known_as=("byte_level",)),
    Split("sp1024 on the older split", 1024, 63_779_840, 155_769_746),
)


@dataclass(frozen=True, slots=True)
class Ratio:
    """A known error: implied bytes stand to the true ones as `low`..`high`; `name` says what was done."""

    low: float
    high: float
    name: str
    only: tuple[str, ...] = ()  # splits it can happen on; empty: all


RATIOS = (
    Ratio(1.155, 1.185, "the leading space counted twice (`+ 1` in the table and again in the loop)"),
    Ratio(1.222, 1.242, "no single U+2581 piece in the vocabulary: a space costs three byte tokens, three bytes"),
    Ratio(1.325, 1.345, "the U+2581 literal is lost, so no leading space is stripped and each counts three bytes"),
    Ratio(
        1.085,
        1.094,
        "piece bytes of the transformed text (case operators counted) instead of the original bytes",
        ("caseops",),
    ),
    Ratio(1.037, 1.046, "byte-fallback tokens sized by U+FFFD, three bytes instead of one"),
    Ratio(1.440, 1.446, "nats per byte printed as bits: the division by ln 2 is missing"),
    Ratio(0.692, 0.694, "ln 2 divided out twice"),
    Ratio(0.820, 0.840, "leading spaces counted nowhere"),
    Ratio(1.490, 1.510, "leading spaces counted as four bytes: U+2581 not stripped, and one more added in the loop"),
)


def named(ratio: float, split: str = "") -> str | None:
    """The known error whose implied/true byte ratio this is, or None."""
    for one in RATIOS:
        if one.low <= ratio <= one.high and (not one.only or any(word in split for word in one.only)):
            return one.name
    return None


def by_tokens(tokens: int, seq_len: int = 4096) -> Split | None:
    """The published split that has this many scored tokens (the tail beyond the last sequence may be missing)."""
    slack = BELOW_SEQUENCES * max(seq_len, 2048)
    fits = [one for one in SPLITS if one.tokens - slack <= tokens <= one.tokens]
    return min(fits, key=lambda one: one.tokens - tokens, default=None)


def by_name(words: str, vocab_size: int | None) -> Split | None:
    """The published split that these words (paths, names) and the vocabulary size point to, or None when unsure."""
    words = words.lower()
    fits = [one for one in SPLITS if any(word in words for word in one.known_as)]
    if vocab_size is not None:
        fits = [one for one in fits if one.vocab_size == vocab_size]
    if any(one.name == "caseops" for one in fits):
        fits = [one for one in fits if one.name == "caseops"]
    return fits[0] if len(fits) == 1 else None
