"""Gold, receipts and verification on hand-made lines."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.lake.frames import local_frame
from pipeline.lake.gold_sql import gold_rows_of
from schemas.gold import DAILY_SALES, INVOICES, WEEKLY_PRODUCT_SALES, GoldTable
from schemas.tables import RECEIVED_SALES, SALES
from tests.support.lines import accepted_line, bronze_frame
from tests.support.tables import values
from transforms.ingest_counts import count_ingested, count_reject_reasons
from transforms.verification import find_repeated_keys, find_reused_numbers, row_differences

DAY, NEXT = dt.date(2026, 11, 27), dt.date(2026, 11, 28)
REVISIONS = {DAY: 1, NEXT: 3}


def sale(gross: str, discount: str = "0", **extra: Any) -> dict[str, Any]:
    line = accepted_line(gross_amount=Decimal(gross), discount_amount=Decimal(discount), **extra)
    net = line["gross_amount"] - line["discount_amount"]
    return {**line, "net_amount": net, "chunk": "A-G", "duplicates": 0}


def refund(gross: str, discount: str = "0", **extra: Any) -> dict[str, Any]:
    return sale(gross, discount, line_type="RETURN", quantity=Decimal("-1"), **extra)


def sales_frame(spark: SparkSession, lines: list[dict[str, Any]]) -> DataFrame:
    return local_frame(spark, SALES.schema, lines)


def rows_of(table: GoldTable, sales: DataFrame, revisions: Mapping[dt.date, int]) -> DataFrame:
    return gold_rows_of(table, {"sales": sales}, revisions)


def numbers(text: str) -> tuple[Any, ...]:
    lines, *amounts = text.split()
    return (int(lines), *map(Decimal, amounts))


def test_weekly_sales_by_product_and_currency(spark: SparkSession) -> None:
    sunday, monday = dt.date(2026, 11, 29), dt.date(2026, 11, 30)
    lines = [
        sale("10.00", "1.00"),  # a Friday
        sale("0.10", business_date=sunday),
        refund("-4.00", "-0.50", business_date=sunday),
        sale("5.00", business_date=monday),
        sale("7.00", product_name=None),
        sale("7.00", product_id="P-2", store_id="1043"),
        sale("500", currency="JPY"),
    ]
    week, after = dt.date(2026, 11, 23), monday
    found = values(rows_of(WEEKLY_PRODUCT_SALES, sales_frame(spark, lines), {}))
    assert found == sorted(
        [
            (week, "P-1", "Apple", "USD", *numbers("3 3 6.100 0.500 5.600 -3.500")),
            (week, "P-1", None, "USD", *numbers("1 2 7 0 7 0")),
            (week, "P-2", "Apple", "USD", *numbers("1 2 7 0 7 0")),
            (week, "P-1", "Apple", "JPY", *numbers("1 2 500 0 500 0")),
            (after, "P-1", "Apple", "USD", *numbers("1 2 5 0 5 0")),
        ],
        key=lambda row: [(value is None, str(value)) for value in row],
    )


def test_daily_sales_by_store_category_and_currency(spark: SparkSession) -> None:
    lines = [
        sale("10.00", "1.00"),
        sale("0.10"),
        sale("0.20"),
        refund("-4.00", "-0.50"),
        # Copies that were left out count once.
        {**sale("1.00"), "duplicates": 3},
        sale("5.00", store_id="1043"),
        sale("7.00", category=None),
        sale("7.00", category=None, store_id="1043"),
        sale("500", currency="JPY"),
        refund("-20", currency="JPY"),
        sale("0.005", "0.001", currency="KWD"),
        sale("3.00", drop_date=NEXT),
    ]
    frame = rows_of(DAILY_SALES, sales_frame(spark, lines), REVISIONS)
    assert frame.schema.simpleString() == DAILY_SALES.schema.simpleString()
    expected = {
        # lines, units, gross, discount, net, returns
        (DAY, "1042", "Fruit", "USD"): ("5 7 7.30 0.50 6.80 -3.50", 1),
        (DAY, "1043", "Fruit", "USD"): ("1 2 5 0 5 0", 1),
        (DAY, "1042", None, "USD"): ("1 2 7 0 7 0", 1),
        (DAY, "1043", None, "USD"): ("1 2 7 0 7 0", 1),
        (DAY, "1042", "Fruit", "JPY"): ("2 1 480 0 480 -20", 1),
        (DAY, "1042", "Fruit", "KWD"): ("1 2 0.005 0.001 0.004 0", 1),
        (NEXT, "1042", "Fruit", "USD"): ("1 2 3 0 3 0", 3),
    }
    found = {tuple(row[:4]): (row[4:-1], row[-1]) for row in values(frame)}
    assert found == {key: (numbers(text), revision) for key, (text, revision) in expected.items()}


def test_one_invoice_a_customer_day_and_currency_and_none_for_walk_ins(spark: SparkSession) -> None:
    lines = [
        sale("10.00", "1.00"),
        sale("2.00", store_id="1043", category=None),
        refund("-4.00"),
        sale("500", currency="JPY"),
        sale("1.00", customer_id="C-8"),
        sale("99.00", customer_id=None),
        refund("-99.00", drop_date=NEXT),
    ]
    frame = rows_of(INVOICES, sales_frame(spark, lines), REVISIONS)
    assert frame.schema.simpleString() == INVOICES.schema.simpleString()
    expected = {
        ("2026-11-27", "C-7", "USD"): ("3 3 8 1 7 -4", 1),
        ("2026-11-27", "C-7", "JPY"): ("1 2 500 0 500 0", 1),
        ("2026-11-27", "C-8", "USD"): ("1 2 1 0 1 0", 1),
        # All that came back: a bill below zero.
        ("2026-11-28", "C-7", "USD"): ("1 -1 -99 0 -99 -99", 3),
    }
    found = {row[0]: ((str(row[1]), *row[2:4]), row[4:-1], row[-1]) for row in values(frame)}
    assert found == {
        hashlib.sha256("|".join(key).encode()).hexdigest(): (key, numbers(text), revision)
        for key, (text, revision) in expected.items()
    }


def test_sums_are_never_rounded(spark: SparkSession) -> None:
    most = "999999999999999.999"
    frame = rows_of(DAILY_SALES, sales_frame(spark, [sale(most)] * 2000), REVISIONS)
    assert values(frame, "gross_amount", "net_amount") == [(Decimal(most) * 2000, Decimal(most) * 2000)]


def test_receipts_count_every_line_once_and_reasons_apart(spark: SparkSession) -> None:
    rejected = {"validation_status": "rejected", "business_date": None, "is_adjustment": None}
    lines = [
        accepted_line(),
        accepted_line(gross_amount=Decimal("2.50")),
        accepted_line(source_file="b.csv"),
        accepted_line(sale_date=dt.date(2026, 11, 10), is_adjustment=True),
        accepted_line(currency="JPY", gross_amount=Decimal(500)),
        # Rejected, its amount known: it still counts in the control total, whatever its sale date is.
        {**accepted_line(reject_reasons=["bad_sold_at"]), **rejected, "sale_date": None},
        {
            **accepted_line(reject_reasons=["future_sale", "zero_quantity"]),
            **rejected,
            "sale_date": dt.date(2030, 1, 1),
        },
        # No amount, or no currency: in no control total.
        {**accepted_line(reject_reasons=["bad_gross_amount"], gross_amount=None), **rejected},
        {**accepted_line(reject_reasons=["bad_gross_amount"], gross_amount=None, currency="EUR"), **rejected},
        {**accepted_line(reject_reasons=["malformed_line"], gross_amount=None, currency=None), **rejected},
    ]
    received = local_frame(spark, RECEIVED_SALES.schema, lines)
    columns = ("source_file", "validation_status", "business_date", "sale_date", "is_adjustment", "currency")
    assert values(count_ingested(received).drop("drop_date").select(*columns, "lines", "gross")) == [
        ("b.csv", "accepted", DAY, DAY, False, "USD", 1, Decimal(10)),
        ("sales.csv", "accepted", DAY, dt.date(2026, 11, 10), True, "USD", 1, Decimal(10)),
        ("sales.csv", "accepted", DAY, DAY, False, "JPY", 1, Decimal(500)),
        ("sales.csv", "accepted", DAY, DAY, False, "USD", 2, Decimal("12.5")),
        ("sales.csv", "rejected", None, None, None, "USD", 2, Decimal(20)),
        ("sales.csv", "rejected", None, None, None, None, 3, Decimal(0)),
    ]
    assert values(count_reject_reasons(received)) == [
        (DAY, "bad_gross_amount", 2),
        (DAY, "bad_sold_at", 1),
        (DAY, "future_sale", 1),
        (DAY, "malformed_line", 1),
        (DAY, "zero_quantity", 1),
    ]


def test_verification_finds_what_should_not_be_there(spark: SparkSession) -> None:
    before = dt.date(2026, 11, 26)
    lines = [
        sale("1", transaction_id="once"),
        sale("1", transaction_id="twice"),
        # The same key under another business date is the same line, published again.
        sale("1", transaction_id="twice", sale_date=DAY, drop_date=NEXT, business_date=NEXT),
        # The same numbers of two days are two lines; of two stores nothing at all.
        sale("1", transaction_id="reused"),
        sale("1", transaction_id="reused", sale_date=before),
        sale("1", transaction_id="stores"),
        sale("1", transaction_id="stores", store_id="1043", sale_date=before),
    ]
    sales = sales_frame(spark, lines)
    (repeated,) = find_repeated_keys(sales).collect()
    assert tuple(repeated)[:5] == ("1042", "twice", 1, DAY, 2)
    assert sorted(repeated.business_dates) == [DAY, NEXT]
    reused = [("1042", "reused", 1, [before, DAY])]
    assert values(find_reused_numbers(sales, sales)) == reused
    # Looking at one day still finds its fellows on others.
    assert values(find_reused_numbers(sales, sales.filter(F.col("sale_date") == F.lit(before)))) == reused
    assert values(find_reused_numbers(sales, sales.filter("transaction_id = 'once'"))) == []


def test_gold_that_is_not_what_the_sales_give_is_found(spark: SparkSession) -> None:
    sales = sales_frame(
        spark,
        [
            sale("1"),
            sale("2"),
            sale("5", currency="JPY"),
            sale("3", drop_date=NEXT),
            sale("9", customer_id=None),
        ],
    )
    for table in (DAILY_SALES, INVOICES):
        build = partial(rows_of, table)
        wanted = build(sales, REVISIONS)
        assert values(row_differences(wanted, build(sales.repartition(3), REVISIONS))) == []
        # A line less; the same lines for another customer and store; the revision of another time.
        less = build(sales.filter("gross_amount <> 2"), REVISIONS)
        columns = ("period", "currency", "wanted", "found")
        assert values(row_differences(wanted, less), *columns) == [(DAY, "USD", 1, 1)]
        elsewhere = sales.withColumns(
            {"store_id": F.lit("1"), "customer_id": F.concat("customer_id", F.lit("x"))}
        )
        assert len(values(row_differences(wanted, build(elsewhere, REVISIONS)))) == 3
        earlier = build(sales, {**REVISIONS, NEXT: 2})
        assert values(row_differences(wanted, earlier), *columns) == [(NEXT, "USD", 1, 1)]


# --- digests of what an ingest wrote


def content(spark: SparkSession, lines: list[dict[str, Any]], tasks: int = 1) -> set[tuple[Any, ...]]:
    """Digests of a delivery, by what they are told for."""
    counted = count_ingested(bronze_frame(spark, lines).repartition(tasks)).collect()
    return {
        (row.source_file, row.business_date, row.sale_date, row.is_adjustment, row.lines,
         row.digest_high, row.digest_low)
        for row in counted
    }  # fmt: skip


DELIVERED = [
    accepted_line(transaction_id="T-1"),
    accepted_line(transaction_id="T-2", customer_id=None),
    accepted_line(transaction_id="T-3", source_file="b.csv"),
    accepted_line(transaction_id="T-4", sale_date=dt.date(2026, 11, 10), is_adjustment=True),
]


def test_a_digest_is_of_the_lines_in_no_order(spark: SparkSession) -> None:
    before = content(spark, DELIVERED)
    assert len(before) == 3
    assert content(spark, DELIVERED[::-1], tasks=3) == before
    assert all(0 <= half < 1 << 34 for *_, high, low in before for half in (high, low))


def test_each_part_of_a_line_is_in_its_digest(spark: SparkSession) -> None:
    columns: dict[str, Any] = {
        "source_file": "c.csv",
        "store_id": "1043",
        "transaction_id": "T-9",
        "line_number": 2,
        "sold_at": dt.datetime(2026, 11, 27, 14, 30, 0, 1, tzinfo=dt.UTC),
        "customer_id": None,
        "product_id": "P-2",
        "product_name": "apple",
        "category": None,
        "line_type": "RETURN",
        "quantity": Decimal("2.001"),
        "gross_amount": Decimal("10.001"),
        "discount_amount": Decimal("0"),
        "currency": "KWD",
        "payment_method": None,
        "channel": None,
    }
    deliveries = [[accepted_line()], *[[accepted_line(**{name: value})] for name, value in columns.items()]]
    # The same delivery, with a line twice, or three times.
    deliveries += [[accepted_line()] * times for times in (2, 3)]
    # Each as a drop of its own, which is no part of a digest, so that one query tells them all.
    lines = [
        {**line, "drop_date": DAY + dt.timedelta(days=number)}
        for number, delivery in enumerate([*deliveries, [accepted_line()]])
        for line in delivery
    ]
    rows = sorted(count_ingested(bronze_frame(spark, lines)).collect(), key=lambda row: row.drop_date)
    digests = [(row.digest_high, row.digest_low) for row in rows]
    assert len(rows) == len(deliveries) + 1
    assert digests[-1] == digests[0]
    assert len(set(digests)) == len(deliveries)


def digest(spark: SparkSession, lines: list[dict[str, Any]]) -> tuple[int, int]:
    (row,) = count_ingested(bronze_frame(spark, lines)).collect()
    return row.digest_high, row.digest_low


def test_values_that_two_lines_exchange_change_their_digest(spark: SparkSession) -> None:
    pair = [accepted_line(transaction_id="T-1", channel="web"), accepted_line(transaction_id="T-2")]
    turned = [accepted_line(transaction_id="T-1"), accepted_line(transaction_id="T-2", channel="web")]
    assert digest(spark, pair) != digest(spark, turned)
    # Two lines that change files: each file's digest is its own.
    files, other = (
        [accepted_line(transaction_id=name, source_file=file) for name, file in zip("TU", names, strict=True)]
        for names in ("ab", "ba")
    )
    assert not content(spark, files) & content(spark, other)


def test_rejected_lines_are_in_no_digest(spark: SparkSession) -> None:
    rejected = {"validation_status": "rejected", "business_date": None, "is_adjustment": None}
    lines = local_frame(
        spark, RECEIVED_SALES.schema, [{**accepted_line(), **rejected, "key_hash": 5, "payload_hash": 7}]
    )
    assert values(count_ingested(lines), "lines", "digest_low", "digest_high") == [(1, None, None)]
