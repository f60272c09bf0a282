"""Sale date and business date, at the edges of the store's day."""

from __future__ import annotations

import datetime as dt

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tests.support.lines import texts_frame
from transforms import business_day
from transforms.fields import as_timestamp

MIDNIGHT = dt.time(0, 0)
ZONES = {"2001": "America/Los_Angeles", "2002": "Asia/Tokyo", "2003": "America/Los_Angeles", "2004": "UTC"}


def sale_dates(
    spark: SparkSession, times: list[tuple[str, str]], starts_at: dt.time = MIDNIGHT
) -> list[tuple[str, str, str]]:
    """Sale date of each (store, sold_at), as text."""
    frame = texts_frame(spark, "store", "at", rows=times)
    zone = business_day.store_time_zone(F.col("store"), "America/New_York", ZONES)
    date = business_day.sale_date(as_timestamp(F.col("at")), zone, starts_at)
    rows = frame.select("n", date.cast("string").alias("date")).collect()
    return [(*times[row.n], row.date) for row in sorted(rows)]


def check(spark: SparkSession, expected: list[tuple[str, str, str]], starts_at: dt.time = MIDNIGHT) -> None:
    assert sale_dates(spark, [(store, at) for store, at, _ in expected], starts_at) == expected


def test_sale_date_is_the_local_date(spark: SparkSession) -> None:
    expected = [
        ("1", "2026-11-27T23:59:59.999999-05:00", "2026-11-27"),
        ("1", "2026-11-28T00:00:00-05:00", "2026-11-28"),
        ("1", "2026-11-28T00:01:00-05:00", "2026-11-28"),
        # The same instants told in UTC, and in an offset that is not the store's.
        ("1", "2026-11-28T04:59:59Z", "2026-11-27"),
        ("1", "2026-11-28T05:00:00Z", "2026-11-28"),
        ("1", "2026-11-28T13:59:00+09:00", "2026-11-27"),
        ("1", "2026-11-28T14:01:00+0900", "2026-11-28"),
        # In summer midnight is four hours behind.
        ("1", "2026-07-02T03:59:00Z", "2026-07-01"),
        ("1", "2026-07-02T04:01:00Z", "2026-07-02"),
        ("1", "2027-01-01T04:59:00Z", "2026-12-31"),
    ]
    check(spark, expected)


def test_sale_date_on_both_days_of_a_clock_change(spark: SparkSession) -> None:
    expected = [
        # 8 March 2026 has 23 hours: its midnight is UTC-5, its end UTC-4.
        ("1", "2026-03-08T04:59:00Z", "2026-03-07"),
        ("1", "2026-03-08T05:01:00Z", "2026-03-08"),
        ("1", "2026-03-09T03:59:00Z", "2026-03-08"),
        ("1", "2026-03-09T04:01:00Z", "2026-03-09"),
        # 1 November 2026 has 25 hours: its midnight is UTC-4, its end UTC-5.
        ("1", "2026-11-01T03:59:00Z", "2026-10-31"),
        ("1", "2026-11-01T04:01:00Z", "2026-11-01"),
        ("1", "2026-11-01T05:30:00Z", "2026-11-01"),
        ("1", "2026-11-01T06:30:00Z", "2026-11-01"),
        ("1", "2026-11-02T04:59:00Z", "2026-11-01"),
        ("1", "2026-11-02T05:01:00Z", "2026-11-02"),
    ]
    check(spark, expected)


def test_sale_date_where_the_day_starts_in_the_small_hours(spark: SparkSession) -> None:
    expected = [
        ("1", "2026-11-28T03:59:59-05:00", "2026-11-27"),
        ("1", "2026-11-28T04:00:00-05:00", "2026-11-28"),
        ("1", "2026-11-28T00:01:00-05:00", "2026-11-27"),
        ("1", "2026-11-27T23:59:00-05:00", "2026-11-27"),
        # The start is on the store's clock, so a night of 23 or 25 hours does not shift it.
        ("1", "2026-03-08T03:59:00-04:00", "2026-03-07"),
        ("1", "2026-03-08T04:01:00-04:00", "2026-03-08"),
        ("1", "2026-11-01T03:59:00-05:00", "2026-10-31"),
        ("1", "2026-11-01T04:01:00-05:00", "2026-11-01"),
        # 00:30 twice in no night, 01:30 twice in this one: both belong to the evening before.
        ("1", "2026-11-01T01:30:00-04:00", "2026-10-31"),
        ("1", "2026-11-01T01:30:00-05:00", "2026-10-31"),
        ("2001", "2026-11-28T03:59:00-08:00", "2026-11-27"),
        ("2001", "2026-11-28T04:01:00-08:00", "2026-11-28"),
    ]
    check(spark, expected, dt.time(4, 0))
    half_hours = [
        ("1", "2026-11-28T05:29:00-05:00", "2026-11-27"),
        ("1", "2026-11-28T05:30:00-05:00", "2026-11-28"),
    ]
    check(spark, half_hours, dt.time(5, 30))


def test_each_store_has_its_own_clock(spark: SparkSession) -> None:
    instant = "2026-11-28T05:30:00Z"
    expected = [
        ("1", instant, "2026-11-28"),
        ("2001", instant, "2026-11-27"),
        ("2003", instant, "2026-11-27"),
        ("2002", instant, "2026-11-28"),
        ("2002", "2026-11-27T15:01:00Z", "2026-11-28"),
        ("2002", "2026-11-27T14:59:00Z", "2026-11-27"),
        ("2004", "2026-11-27T23:59:00Z", "2026-11-27"),
        # A store of no entry, alike but for a digit.
        ("20010", instant, "2026-11-28"),
    ]
    check(spark, expected)


def test_business_date_is_the_drop_date_of_what_comes_too_late(spark: SparkSession) -> None:
    cases = [
        # sale date, drop date, business date, is_adjustment
        ("2026-11-20", "2026-11-20", "2026-11-20", False),
        ("2026-11-20", "2026-11-27", "2026-11-20", False),
        ("2026-11-20", "2026-11-28", "2026-11-28", True),
        ("2026-02-25", "2026-03-04", "2026-02-25", False),
        ("2026-02-25", "2026-03-05", "2026-03-05", True),
    ]
    assert dated(spark, cases, 7, None) == cases


def test_with_no_day_of_grace_the_day_after_is_late(spark: SparkSession) -> None:
    cases = [
        ("2026-11-20", "2026-11-20", "2026-11-20", False),
        ("2026-11-20", "2026-11-21", "2026-11-21", True),
    ]
    assert dated(spark, cases, 0, None) == cases


def test_history_is_never_late(spark: SparkSession) -> None:
    cases = [
        ("2026-10-31", "2026-11-28", "2026-10-31", False),
        ("2025-01-01", "2026-11-28", "2025-01-01", False),
        ("2026-11-01", "2026-11-28", "2026-11-28", True),
        ("2026-11-21", "2026-11-28", "2026-11-21", False),
    ]
    assert dated(spark, cases, 7, dt.date(2026, 11, 1)) == cases


def dated(
    spark: SparkSession,
    cases: list[tuple[str, str, str, bool]],
    late_days: int,
    history_before: dt.date | None,
) -> list[tuple[str, str, str, bool]]:
    frame = texts_frame(spark, "sale", "drop", rows=[case[:2] for case in cases])
    sale, drop = F.col("sale").cast("date"), F.col("drop").cast("date")
    late = business_day.is_adjustment(sale, drop, late_days, history_before)
    date = business_day.business_date(sale, drop, late).cast("string")
    rows = frame.select("n", "sale", "drop", date.alias("date"), late.alias("late")).collect()
    return [(row.sale, row.drop, row.date, row.late) for row in sorted(rows)]
