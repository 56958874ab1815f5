"""A quantiser and a coder under one name, a recipe, such as `int6-row+brotli11` or `official+columns+lzma9`.

The first word is the quantiser, the last the coder, what stands between are layouts of the integers. Scales and small
tensors are halves or floats; they go through the same coder with their bytes shuffled, whatever the integers do. Beside
`mix` that is brotli, or `mix` where they are int8 and it is smaller; `mix+floats` also tries the coder of floats.
"""

import re

from .coders import LEVELS, ByteCoder, known_coders
from .either import Either
from .errors import CodecError
from .floats import Floats
from .gptq import Gptq
from .mix_coder import Mix
from .order0 import Order0
from .quantizers import Exact, Half, Official, RowInt
from .quantizers_classic import AffineInt, ClipSearch, KMeans, Ternary
from .stage import Coder, Quantizer, Stage
from .trellis_search import Trellis, Uniform
from .two_steps import TwoSteps
from .water import Water

SCHEMES = {  # what a quantiser writes beside `raw`, by the name of its class: a script carries its own quantiser alone
    "Official": "row one", "RowInt": "row", "AffineInt": "affine", "ClipSearch": "row", "Ternary": "row",
    "KMeans": "book", "Gptq": "row", "Trellis": "trellis states", "Uniform": "one", "TwoSteps": "row", "Water": "grid",
}  # fmt: skip
NUMBER = r"\d{1,9}(?:\.\d{1,12})?(?:e-?\d{1,2})?"
RECORD_SIGMA = 12.85  # the clip of the public int6 records, in standard deviations of a row


class Recipe(Stage):
    """A quantiser, the coder of its integers, and the coder of everything else."""

    def __init__(self, quantizer: Quantizer, coder: Coder, rest: Coder) -> None:
        self.quantizer, self.coder, self.rest = quantizer, coder, rest
        self.name = f"{quantizer.name}+{coder.name}" + ("+floats" if "floats" in rest.needs() else "")

    def config(self) -> dict[str, object]:
        return {"quantizer": self.quantizer, "coder": self.coder, "rest": self.rest}

    def needs(self) -> frozenset[str]:
        """What its files may need: coders, layouts and schemes by name, and "states" where a trellis is walked."""
        words = {"raw", "zlib", *SCHEMES.get(type(self.quantizer).__name__, "").split()}  # tables are zlib's
        if getattr(self.quantizer, "states", 1) > 1:
            words.add("states")
        return frozenset(words | self.coder.needs() | self.rest.needs())


def parse_quantizer(word: str) -> Quantizer:
    """The quantiser of that name. Raises CodecError, naming those there are."""
    plain: dict[str, type[Quantizer]] = {"official": Official, "fp16": Half, "exact": Exact}
    if word in plain:
        return plain[word]()
    if word == "ternary":
        return Ternary()
    if match := re.fullmatch(r"kmeans(\d{1,3})", word):
        return KMeans(int(match[1]))
    if match := re.fullmatch(r"int([2-8])-(affine|search)", word):
        return (AffineInt if match[2] == "affine" else ClipSearch)(int(match[1]))
    if match := re.fullmatch(r"int([2-8])-(row|sigma)", word):
        bits = int(match[1])
        return RowInt(bits, sigma=RECORD_SIGMA if match[2] == "sigma" else 0.0)
    if match := re.fullmatch(rf"(?:step|trellis(\d{{1,3}}))-({NUMBER})", word):
        return Trellis(float(match[2]), int(match[1])) if match[1] else Uniform(float(match[2]))
    if match := re.fullmatch(rf"steps-({NUMBER})-({NUMBER})", word):
        return TwoSteps(float(match[1]), float(match[2]))
    if match := re.fullmatch(rf"gptq([2-8])(?:\.([2-8]))?-(row|sigma({NUMBER})?)", word):
        sigma = float(match[4] or RECORD_SIGMA) if match[3] != "row" else 0.0
        return Gptq(int(match[1]), sigma, int(match[2] or 0))
    if match := re.fullmatch(rf"water(\d{{0,3}})-({NUMBER})", word):
        return Water(float(match[2]), int(match[1] or 1))
    raise CodecError(
        f"no quantiser is called {word!r:.40}; there are exact, official, fp16, ternary, kmeansN (N to 128), intN-row, "
        "intN-sigma, intN-affine, intN-search, gptqN-row, gptqN-sigma (N 2 to 8), step-S, steps-S-SHARE, trellisN-S, "
        "water-S and waterN-S (S a number, N 4 to 256)."
    )


def parse_coder(words: list[str]) -> Coder:
    """The coder of those layouts and that last word, as `columns`, `brotli11`. Raises CodecError."""
    if words == ["mix"]:
        return Mix()
    if words in (["order0"], ["adaptive0"]):
        return Order0(adaptive=words == ["adaptive0"])
    match = re.fullmatch(r"(bz2|[a-z]+)(\d{0,2})", words[-1]) if words else None
    if not match or match[1] not in LEVELS:
        raise CodecError(
            f"no coder is called {(words or [''])[-1]!r:.40}; there are {known_coders()}, order0, adaptive0 and mix."
        )
    return ByteCoder(match[1], int(match[2] or LEVELS[match[1]][1]), tuple(words[:-1]))


def rest_of(coder: Coder, floats: bool = False) -> Coder:
    """What codes scales and small tensors beside a coder of integers; `floats` may choose the coder of that name."""
    if isinstance(coder, ByteCoder):
        return parse_coder(["shuffle", coder.name.split("+")[-1]])
    plain = ByteCoder("brotli", 11, ("shuffle",))
    return Either((plain, coder, Floats()) if floats else (plain, coder))


def parse_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises CodecError with the words there are."""
    first, *words = name.split("+")
    if not words:
        raise CodecError(f"{name!r:.60} is no recipe; wanted QUANTISER+CODER, such as int6-row+brotli11.")
    floats = words == ["mix", "floats"]
    coder = parse_coder(words[:1] if floats else words)
    return Recipe(parse_quantizer(first), coder, rest_of(coder, floats))
