"""Copies of a key over all lines of its sale date, whatever business date each has: who stays, who loses."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from schemas.landing import RECEIVED_NAMES
from schemas.tables import CONFLICTS
from tests.support.lines import accepted_line, bronze_frame
from tests.support.publication import publish_lines
from tests.support.tables import values
from transforms.copies import (
    filter_first_copies,
    filter_hashes,
    find_conflicts,
    find_suspect_hashes,
    resolve_copies,
    without_hashes,
)
from transforms.publication import line_columns

KEY = ("store_id", "transaction_id", "line_number", "sale_date")


def day(number: int) -> dt.date:
    return dt.date(2026, 11, number)


SOLD = day(10)


def copy(transaction: str, business: int, drop: int, channel: str = "store", **extra: Any) -> dict[str, Any]:
    """A copy of a line sold on the 10th."""
    return accepted_line(
        transaction_id=transaction,
        sale_date=SOLD,
        business_date=day(business),
        is_adjustment=business != 10,
        drop_date=day(drop),
        channel=channel,
        **extra,
    )


HAND_MADE = [
    # The winner is published under another date; one loser is equal, one is not.
    copy("elsewhere", 10, 10),
    copy("elsewhere", 20, 20),
    copy("elsewhere", 20, 20, "web"),
    copy("elsewhere", 25, 25, "web"),
    # A line of the sale date itself loses against an adjustment of an earlier drop.
    copy("adjusted first", 20, 20),
    copy("adjusted first", 10, 26),
    copy("adjusted first", 10, 27, "web"),
    # So does one that stands alone under its date: nothing there tells that it has a copy.
    copy("adjusted once", 20, 20),
    copy("adjusted once", 10, 26),
    # Equal copies of the winner count under its own date only, however many there are elsewhere.
    copy("counted", 10, 10),
    copy("counted", 10, 11),
    copy("counted", 10, 12),
    copy("counted", 20, 20),
    copy("counted", 20, 20, source_file="z.csv"),
    # Equal among themselves, not equal to the winner: both lose, none is a duplicate.
    copy("losers", 10, 10),
    copy("losers", 10, 11, "web"),
    copy("losers", 10, 11, "web"),
    copy("losers", 20, 20, "web"),
    # A later line equals an earlier loser: the winner decides alone.
    copy("between", 10, 10, "first"),
    copy("between", 10, 11, "second"),
    copy("between", 10, 12, "first"),
    # Of one drop: the first file decides, even between two business dates.
    copy("by file", 20, 20, "b", source_file="b.csv"),
    copy("by file", 10, 20, "a", source_file="a.csv"),
    copy("by file too", 20, 20, "a", source_file="a.csv"),
    copy("by file too", 10, 20, "a", source_file="b.csv"),
    # A null is a value of its own.
    copy("null", 10, 10, customer_id=None),
    copy("null", 10, 11, customer_id=None),
    copy("null", 10, 11),
    copy("null", 20, 20, customer_id=None),
    copy("null", 20, 20, customer_id="C-8"),
    # Nothing to resolve.
    copy("alone", 20, 20),
    accepted_line(transaction_id="elsewhere", sale_date=day(11), drop_date=day(11)),
    copy("elsewhere", 20, 20, store_id="1043"),
]


@pytest.fixture(scope="module")
def resolved(spark: SparkSession) -> DataFrame:
    # Backwards and in several tasks: no order of rows helps.
    lines = bronze_frame(spark, HAND_MADE[::-1]).select(*line_columns()).repartition(5)
    return resolve_copies(lines.withColumn("chunk", F.lit("A-G"))).localCheckpoint()


def winners(resolved: DataFrame, transaction: str) -> list[tuple[Any, ...]]:
    is_own = (F.col("transaction_id") == transaction) & (F.col("store_id") == "1042")
    found = filter_first_copies(resolved).filter(is_own & (F.col("sale_date") == F.lit(SOLD)))
    return values(found, "business_date", "drop_date", "duplicates")


def losers(resolved: DataFrame, transaction: str) -> list[tuple[int, str, str, dt.date]]:
    found = find_conflicts(resolved).filter(F.col("transaction_id") == transaction)
    rows = values(found, "business_date", "channel", "outcome", "kept_drop_date")
    return [(business.day, channel, outcome, kept) for business, channel, outcome, kept in rows]


def test_a_copy_that_is_published_elsewhere_is_a_late_one(resolved: DataFrame) -> None:
    assert winners(resolved, "elsewhere") == [(SOLD, SOLD, 0)]
    assert losers(resolved, "elsewhere") == [
        (20, "store", "late_duplicate", SOLD),
        (20, "web", "late_conflict", SOLD),
        (25, "web", "late_conflict", SOLD),
    ]


def test_a_line_of_the_sale_date_loses_against_an_adjustment_of_an_earlier_drop(resolved: DataFrame) -> None:
    assert winners(resolved, "adjusted first") == [(day(20), day(20), 0)]
    assert losers(resolved, "adjusted first") == [
        (10, "store", "late_duplicate", day(20)),
        (10, "web", "late_conflict", day(20)),
    ]


def test_duplicates_are_counted_under_the_date_of_the_winner_only(resolved: DataFrame) -> None:
    assert winners(resolved, "counted") == [(SOLD, SOLD, 2)]
    assert losers(resolved, "counted") == [(20, "store", "late_duplicate", SOLD)] * 2
    assert winners(resolved, "losers") == [(SOLD, SOLD, 0)]
    assert losers(resolved, "losers") == [
        (10, "web", "conflict", SOLD),
        (10, "web", "conflict", SOLD),
        (20, "web", "late_conflict", SOLD),
    ]
    assert winners(resolved, "between") == [(SOLD, SOLD, 1)]
    assert losers(resolved, "between") == [(10, "second", "conflict", SOLD)]


def test_of_one_drop_the_first_file_decides(resolved: DataFrame) -> None:
    assert winners(resolved, "by file") == [(SOLD, day(20), 0)]
    assert losers(resolved, "by file") == [(20, "b", "late_conflict", day(20))]
    assert winners(resolved, "by file too") == [(day(20), day(20), 0)]
    assert losers(resolved, "by file too") == [(10, "a", "late_duplicate", day(20))]


def test_a_null_equals_a_null_and_nothing_else(resolved: DataFrame) -> None:
    assert winners(resolved, "null") == [(SOLD, SOLD, 1)]
    assert losers(resolved, "null") == [
        (10, "store", "conflict", SOLD),
        (20, "store", "late_conflict", SOLD),
        (20, "store", "late_duplicate", SOLD),
    ]


def test_what_is_no_copy_stays_and_every_line_is_accounted_for(resolved: DataFrame) -> None:
    kept, lost = filter_first_copies(resolved), find_conflicts(resolved)
    assert lost.columns == CONFLICTS.columns
    assert values(lost.filter("transaction_id = 'alone'")) == []
    assert kept.filter("transaction_id = 'elsewhere'").count() == 3  # of another day, and of another store
    duplicates = sum(row.duplicates for row in kept.collect())
    assert kept.count() + duplicates + lost.count() == len(HAND_MADE)


def test_published_date_by_date_the_lines_are_the_same_as_at_once(spark: SparkSession) -> None:
    bronze = bronze_frame(spark, HAND_MADE).localCheckpoint()
    published, left_out = fates(bronze.collect())
    assert published_in([[SOLD], [day(20)], [day(11), day(25)]], bronze) == (published, left_out)


def test_equal_ties_keep_one_line(spark: SparkSession) -> None:
    # The same line twice in one file: which of them stays makes no difference.
    lines = bronze_frame(spark, [copy("T", 20, 20), copy("T", 20, 20), copy("T", 20, 20)])
    resolved = resolve_copies(lines.select(*line_columns()).withColumn("chunk", F.lit("A-G")))
    assert values(filter_first_copies(resolved), "copy", "duplicates") == [(1, 2)]
    assert values(find_conflicts(resolved)) == []


def test_suspects_are_copies_adjustments_and_lines_of_resent_sale_dates(spark: SparkSession) -> None:
    lines = bronze_frame(
        spark,
        [
            copy("twice", 10, 10),
            copy("twice", 10, 11),
            copy("once", 10, 10),
            copy("adjusted", 20, 20),
            accepted_line(transaction_id="other day", sale_date=day(11), drop_date=day(11)),
        ],
    )

    def suspects(*resent: dt.date) -> set[str]:
        hashes = find_suspect_hashes(lines, resent).localCheckpoint()
        assert hashes.distinct().count() == hashes.count()
        found = {row.transaction_id for row in filter_hashes(lines, hashes).collect()}
        others = {row.transaction_id for row in without_hashes(lines, hashes).collect()}
        assert found | others == {"twice", "once", "adjusted", "other day"}
        assert not found & others
        return found

    assert suspects() == {"twice", "adjusted"}
    assert suspects(SOLD) == {"twice", "adjusted", "once"}
    assert suspects(day(11), day(12)) == {"twice", "adjusted", "other day"}


# --- any deliveries, against the contract's words in plain Python


LATE_DAYS = 3


def _dated(drop: int, sold: int, is_history: bool, **extra: Any) -> dict[str, Any]:
    is_late = drop - sold > LATE_DAYS and not is_history
    return accepted_line(
        drop_date=day(drop),
        sale_date=day(sold),
        is_adjustment=is_late,
        business_date=day(drop) if is_late else day(sold),
        **extra,
    )


_LINE = st.builds(
    lambda days, transaction, number, file, payload, history: _dated(
        days[0],
        min(days),
        history,
        transaction_id=transaction,
        line_number=number,
        source_file=file,
        customer_id=payload[0],
        product_name=payload[1],
        gross_amount=Decimal(payload[2]),
    ),
    st.tuples(st.integers(1, 9), st.integers(1, 3)),
    st.sampled_from("TU"),
    st.integers(1, 2),
    st.sampled_from(["a.csv", "b.csv"]),
    st.sampled_from([("C-1", "Apple", 5), ("C-1", "Apple", 5), (None, "Apple", 5), ("C-1", None, 5),
                     ("C-1", "Onion", 5), ("C-1", "Apple", 7)]),
    st.sampled_from([False, False, False, True]),
)  # fmt: skip


def fates(lines: list[Row]) -> tuple[Counter[Any], Counter[Any]]:
    """Published lines with their duplicates, and lines left out with their outcome, of all lines at once."""
    by_key: dict[tuple[Any, ...], list[Row]] = {}
    for line in lines:
        by_key.setdefault(tuple(line[name] for name in KEY), []).append(line)
    published: Counter[Any] = Counter()
    left_out: Counter[Any] = Counter()
    for copies in by_key.values():
        first = min(copies, key=lambda line: (line.drop_date, line.source_file, line.payload_hash))
        others = list(copies)
        others.remove(first)
        duplicates = 0
        for other in others:
            is_equal = payload(other) == payload(first)
            if other.business_date == first.business_date and is_equal:
                duplicates += 1
            elif other.business_date == first.business_date:
                left_out[described(other), "conflict", first.drop_date] += 1
            else:
                outcome = "late_duplicate" if is_equal else "late_conflict"
                left_out[described(other), outcome, first.drop_date] += 1
        published[described(first), duplicates] += 1
    return published, left_out


def payload(line: Row) -> tuple[Any, ...]:
    return tuple(line[name] for name in RECEIVED_NAMES)


def described(line: Row) -> tuple[Any, ...]:
    origin = (line.business_date, line.sale_date, line.is_adjustment, line.drop_date, line.source_file)
    return (*origin, *payload(line))


def _are_of_several_dates(lines: list[dict[str, Any]]) -> bool:
    return len({line["business_date"] for line in lines}) > 2


# Few examples of many lines, and no shrinking: each try is several publications.
@settings(max_examples=2, phases=[Phase.generate])
@given(st.lists(_LINE, min_size=60, max_size=120).filter(_are_of_several_dates))
def test_any_lines_published_date_by_date_or_at_once_are_as_in_plain_python(
    spark: SparkSession, lines: list[dict[str, Any]]
) -> None:
    bronze = bronze_frame(spark, lines).localCheckpoint()
    published, left_out = fates(bronze.collect())
    dates = sorted({line["business_date"] for line in lines})
    for windows in ([dates], [dates[::2], dates[1::2]]):
        assert published_in(windows, bronze) == (published, left_out)


def published_in(windows: list[list[dt.date]], bronze: DataFrame) -> tuple[Counter[Any], Counter[Any]]:
    """What becomes of lines whose business dates are published window by window."""
    sales: Counter[Any] = Counter()
    conflicts: Counter[Any] = Counter()
    for window in windows:
        own = bronze.filter(F.col("business_date").isin(window))
        made = publish_lines(own, earlier=bronze)
        sales.update((described(row), row.duplicates) for row in made.sales.collect())
        conflicts.update(
            (described(row), row.outcome, row.kept_drop_date) for row in made.conflicts.collect()
        )
    return sales, conflicts
