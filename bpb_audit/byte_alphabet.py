"""Byte-level vocabularies: the GPT-2 alphabet that writes 256 bytes as printable characters, and byte260.

GPT-2 style tokenizers store each byte as one visible character, so that a vocabulary can live in JSON: the 188 bytes
that print well stand for themselves, the other 68 become U+0100, U+0101, ... in order. Reading it backwards gives the
bytes of a token. Source: `bytes_to_unicode` in openai/gpt-2's encoder.py, rebuilt here from its description.
"""

PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))


def character_to_byte() -> dict[str, int]:
    """The 256 characters of the alphabet and the byte each stands for."""
    table = {chr(byte): byte for byte in PRINTABLE}
    hidden = [byte for byte in range(256) if byte not in PRINTABLE]
    return table | {chr(256 + place): byte for place, byte in enumerate(hidden)}


def to_bytes(token: str, alphabet: dict[str, int]) -> bytes:
    """The bytes of a token written in the alphabet; a token with any other character is taken as plain UTF-8.

    That second case is how Hugging Face decodes added tokens. A lone surrogate has no UTF-8 and raises
    UnicodeEncodeError.
    """
    try:
        return bytes([alphabet[character] for character in token])
    except KeyError:
        return token.encode("utf-8")


def byte_fallback(piece: str) -> int | None:
    """The byte that a piece such as `<0x0A>` stands for; None for every other piece."""
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        digits = piece[3:5]
        if all(digit in "0123456789ABCDEFabcdef" for digit in digits):
            return int(digits, 16)
    return None
