"""Many symbols at a time to bytes and back: range coders side by side (rANS, Duda 2013), one state a lane.

A state is an integer from 2**24 to below 2**40. Coding a symbol of frequency f out of 2**18 multiplies it by 2**18 / f;
what grows past the end is cut off in words of 16 bits, which all lanes write into one stream in the order in which the
decoder will want them.
"""

import numpy as np

from .errors import CodecError

BITS = 18  # of a symbol's frequency
TOTAL = 1 << BITS
LEAST = 1 << 24  # of a state between two symbols; well above TOTAL, or rounding would cost 0.005 bits a symbol


def lane_count(symbols: int) -> int:
    """Lanes for a stream of so many symbols: a power of two from 2 to 4,096, about one for 16,384 symbols of many."""
    few = min(max(symbols.bit_length() - 11, 1), 4)
    return 1 << min(max(symbols.bit_length() - 14, few), 12)


class LaneReader:
    """Gives the lanes' positions within 2**18, and is told which symbols they meant. Raises CodecError."""

    def __init__(self, data: bytes, lanes: int) -> None:
        self.lanes, self.at = lanes, 0
        if len(data) < 5 * lanes or (len(data) - 5 * lanes) % 2:
            raise CodecError("the stream of the mixing coder is cut short")
        head = np.frombuffer(data, np.uint8, 5 * lanes).reshape(lanes, 5)
        self.states = np.pad(head, ((0, 0), (0, 3))).view("<i8")[:, 0].astype(np.int64)
        self.words = np.frombuffer(data, "<u2", offset=5 * lanes).astype(np.int64)

    def peek(self, count: int) -> np.ndarray:
        """Where the next symbol of the first `count` lanes lies, `(count,) int64` below 2**18."""
        return self.states[:count] & (TOTAL - 1)

    def take(self, place: np.ndarray, start: np.ndarray, frequency: np.ndarray) -> None:
        """Go on to the symbols after these."""
        x = self.states[: len(place)]
        x = frequency * (x >> BITS) + place - start
        while len(empty := np.flatnonzero(x < LEAST)):
            words = self.words[self.at : self.at + len(empty)]
            if len(words) < len(empty):
                raise CodecError("the stream of the mixing coder is cut short")
            x[empty] = x[empty] << 16 | words
            self.at += len(empty)
        self.states[: len(place)] = x

    def finish(self) -> None:
        """Hold the stream to its end."""
        if self.at != len(self.words) or (self.states != LEAST).any():
            raise CodecError("the coded integers do not end where their bytes end")
