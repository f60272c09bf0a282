"""Suggests the known name nearest to a mistyped one: ``nearest.py KIND GIVEN KNOWN...``."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence


def unknown_name_line(kind: str, given: str, known: Sequence[str]) -> str:
    """Returns the one line that refuses ``given`` and shows the nearest known name and all known names."""
    nearest = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    hint = f": did you mean {nearest[0]}?" if nearest else "."
    return f"error: unknown {kind} {given}{hint} There are: {', '.join(known) or 'none'}"


if __name__ == "__main__":
    print(unknown_name_line(sys.argv[1], sys.argv[2], sys.argv[3:]), file=sys.stderr)
