"""Where each token of a normalising SentencePiece model ends in the original UTF-8.

Most documents come through `nmt_nfkc` with nothing changed but white space. Then the bytes that are not white space are
the same on both sides, and a token's end follows by counting them; that is checked byte by byte, never assumed. For the
other documents sentencepiece is asked for its own spans, which costs several times the encoding.

Either way: white space (kept, collapsed or dropped) belongs to the token after it, at the end to the last token; a
character spelt in byte pieces gives one byte to each.
"""

import numpy as np

WHITE = np.zeros(256, bool)
WHITE[list(b" \t\n\r")] = True


class OwnBytes:
    """The bytes of each piece that are not white space. blobs: one entry per id, without spaces."""

    def __init__(self, blobs: list[bytes]) -> None:
        self.sizes = np.array([len(blob) for blob in blobs], np.int64)  # (V,)
        self._starts = np.cumsum(self.sizes) - self.sizes
        self._flat = np.frombuffer(b"".join(blobs), np.uint8)

    def ends(self, ids: np.ndarray, raw: bytes) -> np.ndarray | None:
        """(n,) int64 ends of a document's tokens by counting; None when it was changed in more than white space."""
        data = np.frombuffer(raw, np.uint8)
        places = np.flatnonzero(~WHITE[data])
        sizes = self.sizes[ids]
        counted = np.cumsum(sizes)
        if not len(ids) or counted[-1] != len(places):
            return None
        within = np.arange(len(places)) - np.repeat(counted - sizes, sizes)
        if not np.array_equal(self._flat[np.repeat(self._starts[ids], sizes) + within], data[places]):
            return None
        ends = np.append(places, len(raw))[counted]  # a token of white space ends where the next byte begins
        some = sizes > 0
        ends[some] = places[counted[some] - 1] + 1
        ends[-1] = len(raw)
        return ends


def repair_spans(spans: np.ndarray, is_byte: np.ndarray, size: int) -> np.ndarray:
    """(n,) int64 ends from sentencepiece's spans: nondecreasing, the last at `size`, one byte to each byte piece.

    is_byte: (n,) bool. Sentencepiece gives all bytes of a character to the last of its byte pieces.
    """
    ends = np.minimum(np.maximum.accumulate(spans), size)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_byte, [False]]).astype(np.int8)))
    for first, last in zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True):
        before = int(ends[first - 1]) if first else 0
        own = int(ends[last]) - np.arange(last - first, -1, -1)
        if own[0] > before:
            ends[first : last + 1] = own
    ends[-1] = size
    return ends
