"""Every stage there is, by name: what `pglab codec list` prints and what the shared tests run over."""

from typing import Any

from .coders import LEVELS, ByteCoder
from .floats import Floats
from .gptq import Gptq
from .mix_coder import Mix
from .order0 import Order0
from .quantizers import Exact, Half, Official, RowInt
from .quantizers_classic import AffineInt, ClipSearch, KMeans, Ternary
from .recipes import RECORD_SIGMA
from .stage import Coder, Quantizer, Stage
from .trellis_search import Trellis, Uniform
from .two_steps import TwoSteps
from .water import Water

LAYOUTS = {
    "columns": "each matrix column by column",
    "shuffle": "first bytes, then second bytes, of wider numbers",
    "bits6": "integers of N bits without gaps (bits1 to bits8)",
    "planes6": "bit planes, the highest first (planes1 to planes8)",
}


def quantizers() -> dict[str, Quantizer]:
    """Every quantiser by name."""
    found: list[Quantizer] = [Exact(), Official(), Half()]
    found += [RowInt(bits) for bits in range(2, 9)]
    found += [RowInt(bits, sigma=RECORD_SIGMA) for bits in (5, 6, 7)]
    found += [AffineInt(4), ClipSearch(4), Ternary(), KMeans(16)]
    found += [Gptq(6, RECORD_SIGMA), Gptq(6, RECORD_SIGMA, 8)]
    found += [Uniform(0.02), TwoSteps(0.02, 0.5), Trellis(0.02, 8), Trellis(0.02, 32), Water(0.02), Water(0.02, 8)]
    return {stage.name: stage for stage in found}


def coders() -> dict[str, Coder]:
    """Every coder by name, at its highest level, and one of each layout."""
    found: list[Coder] = [ByteCoder(name, top) for name, (_, top) in LEVELS.items()]
    found += [ByteCoder("zlib", 9, (layout,)) for layout in LAYOUTS]
    return {stage.name: stage for stage in (*found, Mix(), Floats(), Order0(), Order0(adaptive=True))}


def described() -> list[dict[str, Any]]:
    """Rows of `pglab codec list`: stage, kind, the first line of its docstring."""

    def first_line(stage: Stage) -> str:
        return (type(stage).__doc__ or "").strip().splitlines()[0]

    rows = [{"stage": n, "kind": "quantiser", "says": first_line(s)} for n, s in quantizers().items()]
    rows += [{"stage": name, "kind": "layout", "says": says} for name, says in LAYOUTS.items()]
    return rows + [{"stage": n, "kind": "coder", "says": first_line(s)} for n, s in coders().items() if "+" not in n]
