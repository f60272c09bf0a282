"""Key ranges split a bounded data set into independent chunks by the first letters of a key."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

_FORM = re.compile(r"([A-Z]+)-([A-Z]+)")


@dataclass(frozen=True)
class KeyRange:
    """An inclusive range of prefixes: ``A-G`` holds every key that starts with A to G.

    Attributes:
        name: the range as written; also the name of its chunk.
        low: lowest prefix.
        high: highest prefix; every key that starts with it is in the range.
    """

    name: str
    low: str
    high: str

    @classmethod
    def parse(cls, text: str) -> KeyRange:
        """Parses a range, for example ``A-G``.

        Raises:
            ValueError: the text is not two prefixes of capital letters in order.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(f"range {text!r} is not of the form A-G (two prefixes of letters A to Z)")
        low, high = match.groups()
        if low[: len(high)] > high:
            raise ValueError(f"range {text!r} is out of order: {low} comes after {high}")
        return cls(text, low, high)


def parse_ranges(texts: Sequence[str]) -> tuple[KeyRange, ...]:
    """Parses ranges, which must be in order.

    Raises:
        ValueError: a range is malformed, or two ranges overlap or are out of order; the message names them.
    """
    ranges = tuple(KeyRange.parse(text) for text in texts)
    if not ranges:
        raise ValueError("at least one range is needed, such as A-Z")
    for before, after in itertools.pairwise(ranges):
        if after.low[: len(before.high)] <= before.high:
            raise ValueError(f"ranges {before.name!r} and {after.name!r} overlap or are out of order")
    return ranges
