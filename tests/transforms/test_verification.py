"""What is to become of each line, and every way in which silver and gold can be something else."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from pipeline.lake.frames import local_frame
from schemas.landing import RECEIVED_NAMES
from schemas.tables import CONFLICTS, SALES
from tests.support.lines import accepted_line, bronze_frame
from tests.support.publication import publish_lines
from tests.support.tables import dicts, values
from transforms.verification import digest_by_date, expected_lines, line_differences, row_differences


def day(number: int) -> dt.date:
    return dt.date(2026, 11, number)


DAY, NEXT = day(27), day(28)


# --- expected_lines


_LINE = st.builds(
    lambda drop, sold, late, file, name, customer: accepted_line(
        drop_date=day(drop),
        sale_date=day(min(drop, sold)),
        is_adjustment=late,
        source_file=file,
        product_name=name,
        customer_id=customer,
    ),
    st.integers(10, 13),
    st.integers(10, 11),
    st.booleans(),
    st.sampled_from(["a.csv", "b.csv"]),
    st.sampled_from(["Apple", "Apple", "Onion"]),
    st.sampled_from(["C-1", None]),
)


def fates(lines: list[Row]) -> Counter[Any]:
    """The contract's words, line by line: of each key the first stays, and the others are held against it."""
    by_key: dict[Any, list[Row]] = {}
    for line in lines:
        by_key.setdefault((line.store_id, line.transaction_id, line.line_number, line.sale_date), []).append(
            line
        )
    found: Counter[Any] = Counter()
    for copies in by_key.values():
        ordered = sorted(copies, key=lambda c: (c.drop_date, c.source_file, c.payload_hash, c.business_date))
        first, *others = ordered
        equal = [other for other in others if payload(other) == payload(first)]
        here = [other for other in equal if other.business_date == first.business_date]
        found[described(first), "published", len(here), first.drop_date] += 1
        for other in others:
            if other.business_date == first.business_date:
                fate = "duplicate" if other in equal else "conflict"
            else:
                fate = "late_duplicate" if other in equal else "late_conflict"
            found[described(other), fate, len(here), first.drop_date] += 1
    return found


def payload(line: Row) -> tuple[Any, ...]:
    return tuple(line[name] for name in RECEIVED_NAMES)


def described(line: Row) -> tuple[Any, ...]:
    return (line.business_date, line.sale_date, line.is_adjustment, line.drop_date, line.source_file,
            *payload(line))  # fmt: skip


def chunked(bronze: DataFrame) -> DataFrame:
    return bronze.withColumn("chunk", F.lit("A-G"))


@settings(max_examples=4, phases=[Phase.generate])
@given(st.lists(_LINE, min_size=10, max_size=60))
def test_what_is_to_become_of_any_lines(spark: SparkSession, lines: list[dict[str, Any]]) -> None:
    bronze = chunked(bronze_frame(spark, lines)).localCheckpoint()
    rows = expected_lines(bronze).collect()
    found = Counter((described(row), row.fate, row.copies, row.kept_drop_date) for row in rows)
    assert found == fates(bronze.collect())


# --- line_differences


@dataclass(frozen=True)
class Silver:
    """What lines are to become, and what became of them, as plain rows to be spoilt."""

    expected: DataFrame
    sales: list[dict[str, Any]]
    conflicts: list[dict[str, Any]]


LINES = [
    accepted_line(transaction_id="alone"),
    *[accepted_line(transaction_id="thrice", source_file=f"{n}.csv") for n in range(3)],
    accepted_line(transaction_id="conflict", source_file="1.csv"),
    accepted_line(transaction_id="conflict", source_file="2.csv", channel="web"),
    accepted_line(transaction_id="late", drop_date=day(10), sale_date=day(10)),
    accepted_line(transaction_id="late", sale_date=day(10), is_adjustment=True),
    accepted_line(transaction_id="late", sale_date=day(10), is_adjustment=True, customer_id=None),
    accepted_line(transaction_id="null", customer_id=None, product_name=None, category=None),
]


@pytest.fixture(scope="module")
def silver(spark: SparkSession) -> Silver:
    bronze = bronze_frame(spark, LINES)
    made = publish_lines(bronze)
    return Silver(expected_lines(made.chunked).localCheckpoint(), dicts(made.sales), dicts(made.conflicts))


def changed(
    rows: list[dict[str, Any]], transaction: str, change: Callable[[dict[str, Any]], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    first = next(row for row in rows if row["transaction_id"] == transaction)
    return [other for row in rows for other in (change(row) if row is first else [row])]


def differences(
    spark: SparkSession,
    silver: Silver,
    sales: list[dict[str, Any]] | None = None,
    conflicts: list[dict[str, Any]] | None = None,
) -> list[tuple[Any, ...]]:
    found = line_differences(
        silver.expected,
        local_frame(spark, SALES.schema, silver.sales if sales is None else sales),
        local_frame(spark, CONFLICTS.schema, silver.conflicts if conflicts is None else conflicts),
    )
    return values(found, "transaction_id", "outcome", "wanted", "found")


def test_what_a_publish_makes_is_what_is_to_be(spark: SparkSession, silver: Silver) -> None:
    assert (len(silver.sales), len(silver.conflicts)) == (5, 3)
    assert differences(spark, silver) == []


def test_a_lost_and_a_doubled_line_are_found(spark: SparkSession, silver: Silver) -> None:
    lost = changed(silver.sales, "alone", lambda row: [])
    assert differences(spark, silver, lost) == [("alone", "published", 1, 0)]
    doubled = changed(silver.sales, "alone", lambda row: [row, row])
    assert differences(spark, silver, doubled) == [("alone", "published", 1, 2)]
    lost = changed(silver.conflicts, "conflict", lambda row: [])
    assert differences(spark, silver, conflicts=lost) == [("conflict", "conflict", 1, 0)]
    doubled = changed(silver.conflicts, "conflict", lambda row: [row, row])
    assert differences(spark, silver, conflicts=doubled) == [("conflict", "conflict", 1, 2)]
    everything = {name for name, *_ in differences(spark, silver, [], [])}
    assert everything == {"alone", "thrice", "conflict", "late", "null"}


@pytest.mark.parametrize(
    "spoilt",
    [
        {"gross_amount": Decimal("10.001")},
        {"customer_id": None},
        {"channel": "web"},
        {"sold_at": dt.datetime(2026, 11, 27, 14, 30, 0, 1, tzinfo=dt.UTC)},
        {"chunk": "H-N"},
        {"drop_date": NEXT},
        {"source_file": "other.csv"},
        {"business_date": NEXT},
        {"is_adjustment": True},
        {"duplicates": 1},
    ],
    ids=str,
)
def test_a_published_line_that_is_other_than_received_is_found(
    spark: SparkSession, silver: Silver, spoilt: dict[str, Any]
) -> None:
    sales = changed(silver.sales, "alone", lambda row: [row | spoilt])
    assert differences(spark, silver, sales) == [("alone", "published", 0, 1), ("alone", "published", 1, 0)]


def test_a_wrong_outcome_and_a_wrong_number_of_duplicates_are_found(
    spark: SparkSession, silver: Silver
) -> None:
    other = changed(silver.conflicts, "conflict", lambda row: [row | {"outcome": "late_conflict"}])
    assert differences(spark, silver, conflicts=other) == [
        ("conflict", "conflict", 1, 0),
        ("conflict", "late_conflict", 0, 1),
    ]
    uncounted = changed(silver.sales, "thrice", lambda row: [row | {"duplicates": 1}])
    assert differences(spark, silver, uncounted) == [
        ("thrice", "published", 0, 1),
        ("thrice", "published", 1, 0),
    ]


def test_the_other_copy_published_in_place_of_the_first_is_found(spark: SparkSession, silver: Silver) -> None:
    # As many lines, as much money, the same outcomes: only which copy stands where is wrong.
    sales = changed(silver.sales, "conflict", lambda row: [row | {"channel": "web", "source_file": "2.csv"}])
    conflicts = changed(
        silver.conflicts, "conflict", lambda row: [row | {"channel": "store", "source_file": "1.csv"}]
    )
    assert len(differences(spark, silver, sales, conflicts)) == 4


# --- row_differences


_GOLD = "business_date date, store_id string, currency string, lines bigint, net_amount decimal(38,3)"
Gold = tuple[dt.date, str | None, str, int, Decimal]


def gold(*rows: Gold) -> list[Gold]:
    return list(rows)


def test_gold_rows_that_differ_are_summed_by_date_and_currency(spark: SparkSession) -> None:
    same: Gold = (DAY, "1042", "USD", 2, Decimal("3.000"))
    nameless: Gold = (DAY, None, "USD", 1, Decimal("9.000"))
    wanted = gold(
        same,
        nameless,
        (DAY, "1043", "USD", 1, Decimal(1)),
        (DAY, "1042", "JPY", 1, Decimal(5)),
        (NEXT, "1042", "USD", 1, Decimal(3)),
        (NEXT, "1043", "USD", 4, Decimal(4)),
    )
    found = gold(
        same,
        nameless,
        # A row there twice, one that is not there, one of another sum, one that nobody wants.
        (DAY, "1043", "USD", 1, Decimal(1)),
        (DAY, "1043", "USD", 1, Decimal(1)),
        (NEXT, "1042", "USD", 1, Decimal("3.001")),
        (NEXT, "1043", "USD", 4, Decimal(4)),
        (NEXT, "1042", "KWD", 1, Decimal("0.005")),
    )
    sides = [spark.createDataFrame(rows, _GOLD) for rows in (wanted, found)]
    columns = ("period", "currency", "wanted", "wanted_lines", "wanted_net", "found", "found_lines",
               "found_net")  # fmt: skip
    nothing = Decimal(0)
    assert values(row_differences(*sides), *columns) == [
        (DAY, "JPY", 1, 1, Decimal(5), 0, 0, nothing),
        (DAY, "USD", 0, 0, nothing, 1, 1, Decimal(1)),
        (NEXT, "KWD", 0, 0, nothing, 1, 1, Decimal("0.005")),
        (NEXT, "USD", 1, 1, Decimal(3), 1, 1, Decimal("3.001")),
    ]
    # The order of rows and of columns is none of its business.
    turned = sides[0].select("net_amount", *[name for name in sides[0].columns if name != "net_amount"])
    assert values(row_differences(sides[0], turned.orderBy(F.desc("net_amount")))) == []
    # Rows of which lines and money are equal still differ where another column does.
    moved = sides[0].withColumn("store_id", F.lit("1099"))
    assert values(row_differences(sides[0], moved), "wanted", "found") == [(1, 1), (2, 2), (3, 3)]


# --- digest_by_date


def digests(spark: SparkSession, rows: list[dict[str, Any]], conflicts: bool = False) -> dict[Any, str]:
    frame = local_frame(spark, (CONFLICTS if conflicts else SALES).schema, rows)
    return {row.business_date: row.digest for row in digest_by_date(frame.repartition(3)).collect()}


def test_a_digest_depends_on_each_line_and_on_no_order(spark: SparkSession, silver: Silver) -> None:
    before = digests(spark, silver.sales)
    assert set(before) == {DAY, day(10)}
    assert digests(spark, silver.sales[::-1]) == before
    spoilt: list[dict[str, Any]] = [
        {"gross_amount": Decimal("10.001")},
        {"customer_id": None},
        {"duplicates": 1},
        {"chunk": "H-N"},
        {"drop_date": NEXT},
        {"source_file": "other.csv"},
        {"is_adjustment": True},
        {"line_number": 2},
        {"sale_date": NEXT},
    ]
    seen = {before[DAY]}
    for change in spoilt:
        after = digests(spark, changed(silver.sales, "alone", lambda row, change=change: [row | change]))
        assert after[day(10)] == before[day(10)]
        seen.add(after[DAY])
    for rows in (
        changed(silver.sales, "alone", lambda row: []),
        changed(silver.sales, "alone", lambda row: [row, row]),
        # A pair of equal lines is not nothing.
        changed(silver.sales, "alone", lambda row: [row, row, row]),
    ):
        seen.add(digests(spark, rows)[DAY])
    assert len(seen) == 1 + len(spoilt) + 3
    # The price follows from the payload: it is no part of its own.
    assert digests(spark, [row | {"net_amount": Decimal(0)} for row in silver.sales]) == before


def test_a_digest_of_conflicts_depends_on_the_outcome_and_on_the_copy_that_stays(
    spark: SparkSession, silver: Silver
) -> None:
    before = digests(spark, silver.conflicts, conflicts=True)
    seen = {before[DAY]}
    for change in ({"outcome": "late_conflict"}, {"kept_drop_date": day(1)}, {"channel": "app"}):
        rows = changed(silver.conflicts, "conflict", lambda row, change=change: [row | change])
        seen.add(digests(spark, rows, conflicts=True)[DAY])
    assert len(seen) == 4


def test_a_digest_tells_the_sale_dates_of_its_date(spark: SparkSession, silver: Silver) -> None:
    sales, conflicts = (
        {
            row.business_date: set(row.sale_dates)
            for row in digest_by_date(local_frame(spark, table.schema, rows)).collect()
        }
        for table, rows in ((SALES, silver.sales), (CONFLICTS, silver.conflicts))
    )
    assert sales == {DAY: {DAY}, day(10): {day(10)}}
    assert conflicts == {DAY: {DAY, day(10)}}
    assert digests(spark, []) == {}
