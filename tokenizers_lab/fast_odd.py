"""What gigatoken is known to treat otherwise than sentencepiece and Hugging Face; such text goes to the reference.

Strings like `<s>`, of which it makes special ids. U+0085, U+2581 and private-use characters. Parts that NFKC composes
across the borders of characters as they are shown (jamo, half-width marks, Indic vowel signs). And marks behind a
character that NFKC replaces: it looks for replacements in whole clusters of less than six bytes and drops what stands
behind the first one found, so the vowel sign of an Arabic presentation form is lost.

Found by giving both every character in three contexts, every key of the normaliser's table (225,262), and every
character before each sort of mark. Without a normaliser the strings remain, and letters that only gigatoken's younger
Unicode knows, where a split asks for letters.
"""

import re

TAGS = re.compile("</?s>|<pad>|<unk>|<bos>|<eos>|<0x")
_COMPOSED = (  # whatever stands second in a composition; and what stands for itself in one reader only
    "\u0080-\u009f\u0300-\u036f\u0653-\u0655\u093c\u09be\u09d7\u0b3e-\u0b57\u0bbe-\u0bd7\u0c56\u0cc2-\u0cd6\u0d3e-\u0d57"
    "\u0dca-\u0ddf\u102e\u1100-\u11ff\u1b35\u2581\u3099\u309a\u3131-\u318e\ua960-\ua97f\ud7b0-\ud7ff\ue000-\uf8ff"
    "\uff9e-\uffdc\U000110ba-\U00011930\U0001611e-\U00016d67"
)
_SHORT = "\u00a0-\u00be\u0132-\u0149\u017f-\u01f3\u02b0-\u02e4\u0374-\u0387\u03d0-\u03f9\u0587\u0675-\u0678"
_MARKS = (
    "\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u074a\u07a6-\u109d\u135d-\u135f\u1712-\u1aff"
    "\u1b00-\u1cff\u1dc0-\u1dff\u200b-\u200d\u20d0-\u20ff\u2cef-\u2cf1\u2d7f-\u2dff\u302a-\u302f\ua66f-\uabff\ufb1e"
    "\ufe00-\ufe2f"
)
_SHORT_MARKS = "\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u074a\u07a6-\u07ff"  # two bytes each
MARKS = re.compile(f"[{_COMPOSED}]|[{_SHORT}][{_MARKS}]|[\u0800-\uffff][{_SHORT_MARKS}]")
NEW = re.compile(  # letters, marks and numbers of Unicode 17, which split words for one of them
    "[\u088f\u0c5c\u0cdc\ua7ce-\ua7d4\ua7f1\U00010940-\U0001095f\U00010ec0-\U00010eff\U00011db0-\U00011dff"
    "\U00016ea0-\U00016eff\U00016ff0-\U00016fff\U000187f8-\U000187ff\U00018d00-\U00018dff\U0001e6c0-\U0001e6ff"
    "\U0002b73a-\U0002b73f\U0002cea2-\U0002cead\U000323b0-\U0003347f]"
)
_ASCII = bytes(range(128))


_NEW_LEADS = (b"\xe0", b"\xea", b"\xf0")  # with one of these each of them begins


def _beyond_ascii(raw: bytes) -> str:
    return raw.translate(None, _ASCII).decode("utf-8")


def odd_plain(text: str, raw: bytes) -> bool:
    """Whether a text, whose UTF-8 is `raw`, is odd for a vocabulary without a normaliser."""
    if "<" in text and TAGS.search(text):
        return True
    return any(lead in raw for lead in _NEW_LEADS) and NEW.search(_beyond_ascii(raw)) is not None


def odd(text: str, raw: bytes) -> bool:
    """Whether a text holds any of it; some that do not are called odd too."""
    return odd_plain(text, raw) or (not text.isascii() and MARKS.search(_beyond_ascii(raw)) is not None)
