"""Fields of a received line: trimmed text, and text cast to its type only where its form is exact.

Spark's own casts accept more than the contract does (``1e3``, a date for a timestamp) and round a decimal
silently; each cast here is therefore behind a check of the text's form.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.landing import Kind

# ASCII white space and the no-break space that spreadsheets leave behind.
_NO_BREAK_SPACE = "\u00a0"
WHITESPACE = f" \t\r\n\f\v{_NO_BREAK_SPACE}"
FIRST_VISIBLE = "!"

# What a decoder puts where bytes were not UTF-8.
REPLACEMENT_CHARACTER = "\ufffd"

# Each to the very end: a $ lets a line end through, which is to be trimmed.
_INTEGER_FORM = r"^[0-9]+\z"
# Years 1000 to 2999: every such time is a date that Python, Parquet and Spark agree on.
_TIMESTAMP_FORM = r"^[12]\d{3}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)\z"
_QUANTITY_FORM = r"^[+-]?[0-9]{1,9}(\.[0-9]+)?\z"
_AMOUNT_FORM = r"^[+-]?[0-9]{1,15}(\.[0-9]+)?\z"
_FORMS = {
    "integer": _INTEGER_FORM,
    "timestamp": _TIMESTAMP_FORM,
    "quantity": _QUANTITY_FORM,
    "amount": _AMOUNT_FORM,
}
_UP_TO_MINUTES = len("2026-11-27T09:30")

MAX_AMOUNT_DECIMALS = 3
QUANTITY_DECIMALS = 3


def is_tidy(text: Column, kind: Kind) -> Column:
    """boolean: nothing is to be trimmed, and something is there; null where the text is.

    Of a kind that has a form, the form tells. A text with a control character in front is not called tidy
    either: that takes one comparison.
    """
    if kind in _FORMS:
        return text.rlike(_FORMS[kind])
    tidy = (text >= FIRST_VISIBLE) & ~text.startswith(_NO_BREAK_SPACE)
    for character in WHITESPACE:
        tidy = tidy & ~text.endswith(character)
    return tidy


def trimmed(text: Column) -> Column:
    """Text of a field without surrounding white space; null where nothing is left."""
    return F.nullif(F.btrim(text, F.lit(WHITESPACE)), F.lit(""))


def as_integer(text: Column) -> Column:
    """int, or null where the text is not an integer from 0 to 2147483647."""
    return F.when(text.rlike(_INTEGER_FORM), text.try_cast("int"))


def as_timestamp(text: Column) -> Column:
    """timestamp, or null where the text is not ISO 8601 with an offset or Z, or is no real time."""
    # Spark's cast asks for seconds before an offset; ISO 8601 does not.
    seconds_follow = F.substring(text, _UP_TO_MINUTES + 1, 1) == ":"
    minutes, offset = F.left(text, F.lit(_UP_TO_MINUTES)), F.substr(text, F.lit(_UP_TO_MINUTES + 1))
    whole = F.when(seconds_follow, text).otherwise(F.concat(minutes, F.lit(":00"), offset))
    return F.when(text.rlike(_TIMESTAMP_FORM), whole.try_cast("timestamp"))


def as_quantity(text: Column) -> Column:
    """decimal(12,3), or null where the text is no plain decimal of at most 9 integer digits.

    More than 3 decimals are rounded here; :func:`decimals` tells, and the rule rejects.
    """
    return F.when(text.rlike(_QUANTITY_FORM), text.try_cast("decimal(12,3)"))


def as_amount(text: Column) -> Column:
    """decimal(18,3), or null where the text is no plain decimal of at most 15 integer digits.

    More than 3 decimals are rounded here; :func:`decimals` tells, and the rule rejects.
    """
    return F.when(text.rlike(_AMOUNT_FORM), text.try_cast("decimal(18,3)"))


def decimals(text: Column) -> Column:
    """int: how many digits the text has behind its decimal point, trailing zeros included."""
    point = F.position(F.lit("."), text)
    return F.when(point > 0, F.length(text) - point).otherwise(F.lit(0))


def currency_decimals(currency: Column, scales: Mapping[str, int]) -> Column:
    """int: decimals that amounts of a currency may have; 3 where the currency is not one of ``scales``.

    Args:
        currency: text.
        scales: decimals by ISO 4217 code, for the currencies that the config allows.
    """
    allowed = F.lit(MAX_AMOUNT_DECIMALS)
    for scale in sorted(set(scales.values())):
        codes = [code for code, its_scale in sorted(scales.items()) if its_scale == scale]
        allowed = F.when(currency.isin(codes), F.lit(scale)).otherwise(allowed)
    return allowed
