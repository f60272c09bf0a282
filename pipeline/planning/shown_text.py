"""Text as it may be shown to people: without what drives a screen, and without passwords."""

from __future__ import annotations

import re
import unicodedata

# Joiners of letters and emoji; without them names of several scripts are misspelled.
_KEPT = "\n\t\u200c\u200d"
_SPACES = "Zs"
# A user and a password in an address. What stands alone before an @ is a name, as of an Azure container.
_PASSWORD = re.compile(r"(?<=://)[^/\s@:]*:[^/\s]*@")


def without_controls(text: str) -> str:
    """Replaces control characters and those that turn the direction of text, which could hide some of it."""
    return "".join(
        character
        if character.isprintable() or character in _KEPT or unicodedata.category(character) == _SPACES
        else "\ufffd"
        for character in text
    )


def without_passwords(text: str) -> str:
    """Takes user and password out of every address (``ftp://user:password@host``)."""
    return _PASSWORD.sub("", text)
