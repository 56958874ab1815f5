"""Which fast engine, if any, stands in front of a vocabulary."""

from .fast_engine import Engine, FastTokenizer
from .fast_odd import odd, odd_plain
from .tokenizer import Tokenizer

WORDS = ("bpe", "unigram", "wordpiece", "wordpiece_pruned", "sp", "sp_caseops")
BY_GIGATOKEN = ("bpe_split", "sp", "hf")  # what has no words


def with_engine(kind: str, name: str, reference: Tokenizer, data: bytes) -> Tokenizer:
    """The tokenizer of a vocabulary file `data`, with a fast engine that is loaded when it is worth it."""
    if not (kind in WORDS or kind in BY_GIGATOKEN or kind.startswith("sp_")):
        return reference

    def make() -> Engine:
        from .word_rules import rules_of

        rules = None if kind == "hf" else rules_of(reference, data)
        if rules is not None:
            from .word_table import WordTable

            return WordTable(reference, rules)
        if kind not in BY_GIGATOKEN:
            raise ValueError("its words depend on what stands beside them")
        from .fast_gigatoken import Gigatoken

        return Gigatoken(reference, data, odd_plain if kind == "bpe_split" else odd)

    return FastTokenizer(reference, make, name)
