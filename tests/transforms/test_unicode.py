"""The characters that need no look-up are in normal form C, alone and beside each other."""

from __future__ import annotations

import re
import unicodedata

from transforms.unicode import COMPOSED

HANGUL_VOWELS_AND_ENDS = {*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)}


def composing() -> set[int]:
    """Characters that may become one with the character before them."""
    parts = (unicodedata.decomposition(chr(code)).split() for code in range(0x110000))
    return {
        int(pair[1], 16) for pair in parts if len(pair) == 2 and pair[0][0] != "<"
    } | HANGUL_VOWELS_AND_ENDS


def test_no_text_of_these_characters_changes() -> None:
    pattern = re.compile(COMPOSED.replace(r"\z", r"\Z"))
    codes = [code for code in range(0x10000) if pattern.match(chr(code))]
    assert {0, ord("a"), 0xE9, 0x20AC, 0x4E2D, 0xAC00} <= set(codes)
    assert not {0xAD, 0x300, 0x37E, 0x200B, 0x212B, 0xFEFF} & set(codes)
    for code in codes:
        assert unicodedata.is_normalized("NFC", chr(code)), hex(code)
        assert unicodedata.combining(chr(code)) == 0, hex(code)
        assert unicodedata.category(chr(code)) != "Cf", hex(code)
    assert not composing() & set(codes)
