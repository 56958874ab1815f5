"""The decoders of whole arrays that a container may need, by the names in its table."""

from collections.abc import Callable
from typing import Any

from .floats_decode import unfloat
from .mix_decode import unmix
from .order0_decode import unadapt, unorder


def array_decoders() -> dict[str, Callable[..., Any]]:
    """Each takes a stream's bytes and the dtypes and shapes of its arrays."""
    return {"mix": unmix, "floats": unfloat, "order0": unorder, "adaptive0": unadapt}
