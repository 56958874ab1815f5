"""Which fast engine, if any, stands in front of a vocabulary.

Our table of words encodes CaseOps and other SentencePiece text faster than gigatoken does, which has to normalise all
of it; byte-level BPE it encodes more slowly (DECISIONS.md has the numbers), so there gigatoken comes first.
"""

from .fast_engine import Engine, FastTokenizer
from .fast_odd import odd, odd_plain
from .tokenizer import Tokenizer

BYTE_LEVEL = ("bpe", "bpe_split")
WORDS = ("unigram", "wordpiece", "wordpiece_pruned")


def with_engine(kind: str, name: str, reference: Tokenizer, data: bytes) -> Tokenizer:
    """The tokenizer of a vocabulary file `data`, with a fast engine that is loaded when it is worth it."""
    if not (kind in (*BYTE_LEVEL, *WORDS, "hf", "sp") or kind.startswith("sp_")):
        return reference

    def by_gigatoken() -> Engine:
        from .fast_gigatoken import Gigatoken

        return Gigatoken(reference, data, odd_plain if kind in BYTE_LEVEL else odd)

    def by_words() -> Engine | None:
        from .word_rules import rules_of

        rules = rules_of(reference)
        if rules is None:
            return None
        from .word_table import WordTable

        return WordTable(reference, rules)

    def make() -> Engine:
        if kind in BYTE_LEVEL:
            try:
                return by_gigatoken()
            except ImportError:
                if (words := by_words()) is None:
                    raise
                return words
        words = by_words()
        if words is None and kind not in ("hf", "sp"):
            raise ValueError("its words depend on what stands beside them")
        return words or by_gigatoken()

    return FastTokenizer(reference, make, name, 1 if kind in (*BYTE_LEVEL, "hf") else 3)
