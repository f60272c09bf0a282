"""Trims the fields of a received line, and casts a text only if it has exactly the valid form.

Spark's own casts accept more than the contract (``1e3``, a date as a timestamp) and round decimals silently.
Therefore each cast here first checks the form of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.landing import Kind, ReceivedColumn

# ASCII white space, and the no-break space that spreadsheets often add.
_NO_BREAK_SPACE = "\u00a0"
WHITESPACE = f" \t\r\n\f\v{_NO_BREAK_SPACE}"
FIRST_VISIBLE = "!"

# A decoder replaces bytes that are not UTF-8 with this character.
REPLACEMENT_CHARACTER = "\ufffd"

# Use \z instead of $: a $ would also match before a line end, which must be trimmed first.
_INTEGER_FORM = r"^[0-9]+\z"
# Years 1000 to 2999 only: for these, Python, Parquet and Spark agree on the date.
_TIMESTAMP_FORM = r"^[12]\d{3}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)\z"
_QUANTITY_FORM = r"^[+-]?[0-9]{1,9}(\.[0-9]+)?\z"
_AMOUNT_FORM = r"^[+-]?[0-9]{1,15}(\.[0-9]+)?\z"
_DECIMAL_FORM = r"^[+-]?[0-9]+(\.[0-9]+)?\z"
_BOOLEAN_FORM = r"^(?i:true|false)\z"
_DATE_FORM = r"^[12]\d{3}-\d\d-\d\d\z"
_FORMS = {
    "integer": _INTEGER_FORM,
    "timestamp": _TIMESTAMP_FORM,
    "quantity": _QUANTITY_FORM,
    "amount": _AMOUNT_FORM,
    "boolean": _BOOLEAN_FORM,
    "date": _DATE_FORM,
    "decimal": _DECIMAL_FORM,
}
_UP_TO_MINUTES = len("2026-11-27T09:30")

MAX_AMOUNT_DECIMALS = 3
QUANTITY_DECIMALS = 3


def is_tidy(text: Column, kind: Kind) -> Column:
    """boolean: whether a text needs no trimming and is not empty; null for a null text.

    For a kind with a fixed form, the form decides. A text that starts with a control character also counts as
    not tidy, so that one comparison is enough.
    """
    if kind in _FORMS:
        return text.rlike(_FORMS[kind])
    tidy = (text >= FIRST_VISIBLE) & ~text.startswith(_NO_BREAK_SPACE)
    for character in WHITESPACE:
        tidy = tidy & ~text.endswith(character)
    return tidy


def trimmed(text: Column) -> Column:
    """text: the field without surrounding white space; null if nothing is left."""
    return F.nullif(F.btrim(text, F.lit(WHITESPACE)), F.lit(""))


def as_integer(text: Column) -> Column:
    """int; null if the text is not an integer from 0 to 2147483647."""
    return F.when(text.rlike(_INTEGER_FORM), text.try_cast("int"))


def as_timestamp(text: Column) -> Column:
    """timestamp; null if the text is not ISO 8601 with an offset or Z, or is not a real time."""
    # Spark's cast requires seconds before an offset. ISO 8601 does not.
    seconds_follow = F.substring(text, _UP_TO_MINUTES + 1, 1) == ":"
    minutes, offset = F.left(text, F.lit(_UP_TO_MINUTES)), F.substr(text, F.lit(_UP_TO_MINUTES + 1))
    whole = F.when(seconds_follow, text).otherwise(F.concat(minutes, F.lit(":00"), offset))
    return F.when(text.rlike(_TIMESTAMP_FORM), whole.try_cast("timestamp"))


def as_quantity(text: Column) -> Column:
    """decimal(12,3); null if the text is not a plain decimal with at most 9 digits before the point.

    More than 3 decimals are rounded here. A rule detects them with :func:`decimals` and rejects the line.
    """
    return F.when(text.rlike(_QUANTITY_FORM), text.try_cast("decimal(12,3)"))


def as_amount(text: Column) -> Column:
    """decimal(18,3); null if the text is not a plain decimal with at most 15 digits before the point.

    More than 3 decimals are rounded here. A rule detects them with :func:`decimals` and rejects the line.
    """
    return F.when(text.rlike(_AMOUNT_FORM), text.try_cast("decimal(18,3)"))


def as_boolean(text: Column) -> Column:
    """boolean; null if the text is neither true nor false, in any letter case."""
    return F.when(text.rlike(_BOOLEAN_FORM), text.try_cast("boolean"))


def as_date(text: Column) -> Column:
    """date; null if the text is not YYYY-MM-DD, or is no real day."""
    return F.when(text.rlike(_DATE_FORM), text.try_cast("date"))


def as_decimal(text: Column, column: ReceivedColumn) -> Column:
    """Decimal of the column's digits; null if the text is no plain decimal, or has too many before the point.

    More decimals than the column has are rounded here. A rule detects them with :func:`decimals` and rejects
    the line.
    """
    return F.when(text.rlike(_DECIMAL_FORM), text.try_cast(f"decimal({column.precision},{column.scale})"))


_CASTS: dict[Kind, Callable[[Column], Column]] = {
    "integer": as_integer,
    "timestamp": as_timestamp,
    "quantity": as_quantity,
    "amount": as_amount,
    "boolean": as_boolean,
    "date": as_date,
}


def is_cast(column: ReceivedColumn) -> bool:
    """Whether the typed value of a column is not its text."""
    return column.kind == "decimal" or column.kind in _CASTS


def as_typed(text: Column, column: ReceivedColumn) -> Column:
    """The typed value of a text, for a column that :func:`is_cast`; null if the text is not valid."""
    return as_decimal(text, column) if column.kind == "decimal" else _CASTS[column.kind](text)


def decimals(text: Column) -> Column:
    """int: number of digits after the decimal point of a text, including trailing zeros."""
    point = F.position(F.lit("."), text)
    return F.when(point > 0, F.length(text) - point).otherwise(F.lit(0))


def currency_decimals(currency: Column, scales: Mapping[str, int]) -> Column:
    """int: number of decimals that a currency allows; 3 if the currency is not in ``scales``.

    Args:
        currency: text.
        scales: decimals by ISO 4217 code, for the currencies that the config allows.
    """
    allowed = F.lit(MAX_AMOUNT_DECIMALS)
    for scale in sorted(set(scales.values())):
        codes = [code for code, its_scale in sorted(scales.items()) if its_scale == scale]
        allowed = F.when(currency.isin(codes), F.lit(scale)).otherwise(allowed)
    return allowed
