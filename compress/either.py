"""Whichever of several coders makes the fewest bytes of a stream: a container's table says which it was."""

import numpy as np

from .errors import CodecError
from .stage import Coder


class Either(Coder):
    """The smallest of what several coders make; those that cannot hold a stream are passed over."""

    def __init__(self, coders: tuple[Coder, ...]) -> None:
        self.coders = tuple(coders)
        self.name = "|".join(coder.name for coder in coders)

    def needs(self) -> set[str]:
        return set().union(*(coder.needs() for coder in self.coders))

    def smallest(self, arrays: list[np.ndarray], states: int = 1) -> tuple[str, bytes]:
        """Raises CodecError, the last coder's, when none can hold these arrays."""
        best: tuple[str, bytes] | None = None
        for coder in self.coders:
            try:
                chain, data = coder.smallest(arrays, states)
            except CodecError:
                if best is None and coder is self.coders[-1]:
                    raise
                continue
            if best is None or len(data) < len(best[1]):
                best = chain, data
        if best is None:
            raise CodecError("no coder is named that could hold these arrays.")
        return best

    def encode(self, arrays: list[np.ndarray]) -> bytes:
        return self.smallest(arrays)[1]
