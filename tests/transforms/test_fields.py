"""Fields of a received line: what is trimmed, what is cast, what is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from tests.support.lines import texts_frame
from transforms import fields


def cast_all(spark: SparkSession, cast: Callable[[Column], Column], cases: dict[str, Any]) -> None:
    """Checks every case of a cast in one query."""
    frame = texts_frame(spark, "text", rows=[(text,) for text in cases])
    rows = frame.select("text", cast(F.col("text")).alias("value")).collect()
    assert {row.text: row.value for row in rows} == cases


def test_trimmed_takes_off_ascii_white_space_and_no_break_spaces_only(spark: SparkSession) -> None:
    cases = {
        "a": "a",
        " a b ": "a b",
        "\t\r\n\f\va\v\f\n\r\t": "a",
        "\u00a0a\u00a0b\u00a0": "a\u00a0b",
        " \u00a0\t": None,
        "": None,
        "''": "''",
        # These stand in no spreadsheet's padding: they stay, and are part of the text.
        "\u2003a": "\u2003a",
        "\u200ba": "\u200ba",
    }
    cast_all(spark, fields.trimmed, cases)


def test_integer_is_digits_alone_up_to_two_to_the_31(spark: SparkSession) -> None:
    cases = {
        "0": 0,
        "7": 7,
        "007": 7,
        "2147483647": 2147483647,
        "0000000000002147483647": 2147483647,
        "2147483648": None,
        "99999999999999999999999999": None,
        "-1": None,
        "-0": None,
        "+1": None,
        "1.0": None,
        "1e3": None,
        "0x10": None,
        "1 000": None,
        "1_000": None,
        "1,000": None,
        "": None,
        # Digits of other scripts, and the line ends that a pattern's $ lets through.
        "\u0661": None,
        "\uff11": None,
        "1\u0085": None,
        "1\u2028": None,
        "1\nx": None,
    }
    cast_all(spark, fields.as_integer, cases)


def test_timestamp_is_iso_8601_with_an_offset(spark: SparkSession) -> None:
    at_noon = dt.datetime(2026, 11, 27, 12, 0)
    cases = {
        "2026-11-27T12:00:00Z": at_noon,
        "2026-11-27 12:00:00Z": at_noon,
        "2026-11-27T12:00Z": at_noon,
        "2026-11-27 07:00-05:00": at_noon,
        "2026-11-27T07:00:00.0-05": at_noon,
        "2026-11-27 12:00:00+00": at_noon,
        "2026-11-27T07:00:00-05:00": at_noon,
        "2026-11-27T07:00:00-0500": at_noon,
        "2026-11-27T17:30:00+05:30": at_noon,
        "2026-11-27T12:00:00+00:00": at_noon,
        "2026-11-27T12:00:00-00:00": at_noon,
        "2026-11-28T02:00:00+14:00": at_noon,
        "2026-11-27T12:00:00.5Z": at_noon.replace(microsecond=500_000),
        "2026-11-27T12:00:00.123456789Z": at_noon.replace(microsecond=123_456),
        "2028-02-29T12:00:00Z": dt.datetime(2028, 2, 29, 12, 0),
        # No offset: which instant it is cannot be known.
        "2026-11-27T12:00:00": None,
        "2026-11-27": None,
        "2026-11-27T12:00:00 America/New_York": None,
        "2026-11-27T12:00:00EST": None,
        "2026-11-27T12:00:00z": None,
        "2026-11-27T12:00:00+5": None,
        "2026-11-27T12:0Z": None,
        "2026-11-27T12:00:Z": None,
        # No such time.
        "2026-02-29T12:00:00Z": None,
        "2026-13-01T12:00:00Z": None,
        "2026-11-31T12:00:00Z": None,
        "2026-11-27T24:00:00Z": None,
        "2026-11-27T12:60:00Z": None,
        "2026-11-27T12:00:60Z": None,
        "2026-11-27T12:00:00+25:00": None,
        "2026-11-27T12:00:00+05:75": None,
        # Another form.
        "1795780800": None,
        "27/11/2026 12:00Z": None,
        "2026-11-27T12Z": None,
        "2026-1-7T12:00:00Z": None,
        "0026-11-27T12:00:00Z": None,
        "12026-11-27T12:00:00Z": None,
        "3026-11-27T12:00:00Z": None,
        "2026-11-27T12:00:00.1234567890Z": None,
        "2026-11-27T12:00:00,5Z": None,
        "now": None,
        "": None,
        "2026-11-27T12:00:00Z\u2028": None,
        "2026-11-27T12:00Z\u0085": None,
    }
    cast_all(spark, fields.as_timestamp, cases)


def test_quantity_is_a_plain_decimal_of_nine_integer_digits(spark: SparkSession) -> None:
    cases = {
        "1": Decimal("1.000"),
        "-1.5": Decimal("-1.500"),
        "+2": Decimal("2.000"),
        "0.001": Decimal("0.001"),
        "00012.500": Decimal("12.500"),
        "999999999.999": Decimal("999999999.999"),
        "-0": Decimal("0.000"),
        "1000000000": None,
        "1e3": None,
        "1E3": None,
        ".5": None,
        "5.": None,
        "1,5": None,
        "1,000.00": None,
        "1 000": None,
        "NaN": None,
        "Infinity": None,
        "--1": None,
        "- 1": None,
        "0x1": None,
        "1d": None,
        "1f": None,
        "\u0661": None,
        "\uff11": None,
        "": None,
        "1\u2028": None,
    }
    cast_all(spark, fields.as_quantity, cases)


def test_amount_is_a_plain_decimal_of_fifteen_integer_digits(spark: SparkSession) -> None:
    cases = {
        "10": Decimal("10.000"),
        "10.00": Decimal("10.000"),
        "010.10": Decimal("10.100"),
        "-10.005": Decimal("-10.005"),
        "+10": Decimal("10.000"),
        "0.30": Decimal("0.300"),
        "999999999999999.999": Decimal("999999999999999.999"),
        "-999999999999999.999": Decimal("-999999999999999.999"),
        "1000000000000000": None,
        # Rounded to more digits than the type holds: no value rather than a wrong one.
        "999999999999999.9999": None,
        "1e3": None,
        "$10.00": None,
        "10.00 USD": None,
        "(10.00)": None,
        "10.00-": None,
        "1.2.3": None,
        "10,00": None,
        "": None,
    }
    cast_all(spark, fields.as_amount, cases)


def test_decimals_counts_trailing_zeros(spark: SparkSession) -> None:
    cases = {"10": 0, "10.5": 1, "10.50": 2, "10.5000": 4, "-0.001": 3, "+7": 0}
    cast_all(spark, fields.decimals, cases)


def test_currency_decimals_are_three_where_the_currency_is_unknown(spark: SparkSession) -> None:
    scales = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}
    cases = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3, "GBP": 3, "usd": 3, "": 3, None: 3}
    cast_all(spark, lambda currency: fields.currency_decimals(currency, scales), cases)
