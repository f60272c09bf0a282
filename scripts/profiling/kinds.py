"""What the values of a column are: numbers with a comma, times, words for nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from transforms.delivered import decimal_form
from transforms.ingest_counts import NULL_WORDS

_MONTH_FIRST, _DAY_FIRST = "MM/dd/yyyy HH:mm:ss", "dd/MM/yyyy HH:mm:ss"
_DAY_OR_MONTH = r"(0\d|1[0-2])/(0\d|1[0-2])/.*"
# Pattern of the text, pattern for the profile (None: the contract's form), whether it is a local time.
_TIMES: tuple[tuple[str, str | None, bool], ...] = (
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)", None, False),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?", None, True),
    (r"\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d", "dd.MM.yyyy HH:mm:ss", True),
    (r"\d\d\.\d\d\.\d{4} \d\d:\d\d", "dd.MM.yyyy HH:mm", True),
    (r"(19|20)\d{6}[0-2]\d[0-5]\d[0-5]\d", "yyyyMMddHHmmss", True),
    (r"(19|20)\d{6} \d{6}", "yyyyMMdd HHmmss", True),
    (r"(0\d|1[0-2])/\d\d/\d{4} \d\d:\d\d:\d\d", _MONTH_FIRST, True),
    (r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d", _DAY_FIRST, True),
)
_MOST = 0.95
CONTRACT_NUMBER = r"[+-]?\d+(\.\d+)?"


@dataclass(frozen=True)
class TimeForm:
    """How a column writes times.

    Attributes:
        pattern: for the profile; None if it is the contract's form.
        is_local: whether there is no offset.
        seen: an example.
        also: another pattern that every value fits; None if there is none.
    """

    pattern: str | None
    is_local: bool
    seen: str
    also: str | None = None


@dataclass(frozen=True)
class NumberForm:
    """How columns write decimals."""

    decimal: str
    thousands: str
    seen: str


def share_of(values: Sequence[str], pattern: str) -> float:
    """Share of the values that a pattern matches; empty values do not count."""
    given = [value.strip() for value in values if value.strip()]
    return sum(re.fullmatch(pattern, value) is not None for value in given) / len(given) if given else 0.0


def time_form(values: Sequence[str]) -> TimeForm | None:
    """The form of a column of times; None for another column."""
    for pattern, name, is_local in _TIMES:
        if share_of(values, pattern) >= _MOST:
            seen = next(value for value in values if re.fullmatch(pattern, value.strip()))
            is_either = name == _MONTH_FIRST and share_of(values, _DAY_OR_MONTH) == 1
            return TimeForm(name, is_local, seen, _DAY_FIRST if is_either else None)
    return None


def number_form(values: Sequence[str]) -> NumberForm | None:
    """The form of decimals, if it is not the contract's; None if the values are no such numbers."""
    if share_of(values, CONTRACT_NUMBER) >= _MOST:
        return None
    for decimal, thousands in ((",", "."), (",", " "), (",", ""), (".", ","), (".", "'")):
        if share_of(values, decimal_form(decimal, thousands)) < _MOST:
            continue
        marks = [value for value in values if decimal in value or (thousands and thousands in value)]
        if marks and (decimal == "," or any(thousands in value for value in marks)):
            uses = thousands if any(thousands and thousands in value for value in values) else ""
            return NumberForm(decimal, uses, max(marks, key=len))
    return None


def words_for_nothing(values: Sequence[str]) -> list[str]:
    """Words such as NULL among values."""
    return sorted({value.strip() for value in values} & set(NULL_WORDS))
