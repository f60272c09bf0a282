"""Text as it may be shown to people: without what drives a screen, or lines of the data."""

from __future__ import annotations

import re
import unicodedata

from pipeline.planning.recovery import without_values

# Begins the part of an error that quotes a received line.
EXAMPLE = "; for example "
_ERROR_OF_SPARK = re.compile(r"\[[A-Z][A-Z0-9_.]+\]")
# Joiners of letters and emoji; without them names of several scripts are misspelled.
_KEPT = "\n\t\u200c\u200d"
_SPACES = "Zs"


def without_controls(text: str) -> str:
    """Replaces control characters and those that turn the direction of text, which could hide some of it."""
    return "".join(
        character
        if character.isprintable() or character in _KEPT or unicodedata.category(character) == _SPACES
        else "\ufffd"
        for character in text
    )


def without_lines(text: str) -> str:
    """An error or a reason without the received line that it quotes, and without the values in Spark's."""
    shown, example, _ = text.partition(EXAMPLE)
    if example:
        shown += "; an example is in ledger/runs"
    return without_values(shown) if _ERROR_OF_SPARK.search(shown) else shown
