"""What changed between two versions of a table."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession

from pipeline.lake.frames import local_frame
from schemas.gold import INVOICES
from schemas.tables import SALES
from transforms.comparison import compare, count_changes
from transforms.hashing import KEY_COLUMNS

DAY = dt.date(2026, 11, 27)


def sold(transaction: str, **values: Any) -> dict[str, Any]:
    defaults = {
        "business_date": DAY,
        "sale_date": DAY,
        "chunk": "A-G",
        "store_id": "1",
        "transaction_id": transaction,
        "line_number": 1,
        "customer_id": None,
        "product_name": "Äpple",
        "currency": "USD",
        "gross_amount": Decimal("10.000"),
        "net_amount": Decimal("9.000"),
        "duplicates": 0,
        "drop_date": DAY,
        "source_file": "a.csv",
    }
    return {**defaults, **values}


def differences(spark: SparkSession, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> DataFrame:
    old, new = (local_frame(spark, SALES.schema, rows) for rows in (before, after))
    return compare(old, new, KEY_COLUMNS)


def test_lines_that_came_went_and_changed(spark: SparkSession) -> None:
    before = [
        sold("same"),
        sold("elsewhere"),
        sold("gone", gross_amount=Decimal("-3.000"), net_amount=Decimal("-3.000")),
        sold("dearer"),
        sold("named", product_name=None),
    ]
    after = [
        sold("same"),
        # Another file, another drop, one copy more, another chunk: the same line.
        sold("elsewhere", source_file="b.csv", drop_date=DAY + dt.timedelta(1), duplicates=2, chunk="H-N"),
        sold("dearer", gross_amount=Decimal("11.000"), net_amount=Decimal("10.000"), customer_id="C-1"),
        sold("named", product_name="Zebra"),
        sold("new", line_number=2),
    ]
    found = differences(spark, before, after)
    columns = ["transaction_id", "change", "changed_columns", "net_before", "net_after"]
    expected = spark.createDataFrame(
        [
            ("dearer", "changed", ["customer_id", "gross_amount", "net_amount"], Decimal(9), Decimal(10)),
            ("gone", "removed", None, Decimal(-3), None),
            ("named", "changed", ["product_name"], Decimal(9), Decimal(9)),
            ("new", "added", None, None, Decimal(9)),
        ],
        "transaction_id string, change string, changed_columns array<string>, net_before decimal(18,3), "
        "net_after decimal(18,3)",
    )
    assert_df_equality(found.select(columns).orderBy("transaction_id"), expected, ignore_nullable=True)
    counted = {(row.change, row.lines, row.net) for row in count_changes(found).collect()}
    assert counted == {("added", 1, Decimal(9)), ("removed", 1, Decimal(3)), ("changed", 2, Decimal(1))}


def test_nothing_differs(spark: SparkSession) -> None:
    assert differences(spark, [sold("a"), sold("b")], [sold("b"), sold("a")]).isEmpty()
    assert differences(spark, [], []).isEmpty()


def test_an_invoice_of_a_later_revision_is_the_same_while_its_sums_are(spark: SparkSession) -> None:
    def invoice(revision: int, lines: int) -> DataFrame:
        row = {
            "invoice_id": "i",
            "business_date": DAY,
            "customer_id": "C",
            "currency": "USD",
            "lines": lines,
            "gross_amount": Decimal(lines),
            "net_amount": Decimal(lines),
            "sales_revision": revision,
        }
        return local_frame(spark, INVOICES.schema, [row])

    assert compare(invoice(1, 2), invoice(2, 2), INVOICES.identifier).isEmpty()
    changed = compare(invoice(1, 2), invoice(2, 3), INVOICES.identifier).collect()
    assert [row.changed_columns for row in changed] == [["gross_amount", "lines", "net_amount"]]


def test_a_table_without_currency_and_amounts_is_compared_by_its_period(spark: SparkSession) -> None:
    def customers(count: int) -> DataFrame:
        return spark.sql(f"select date'2026-11-27' as day, {count} as customers")

    assert compare(customers(1), customers(1), ["day"], "day").isEmpty()
    changed = compare(customers(1), customers(2), ["day"], "day")
    assert [(row.day, row.changed_columns) for row in changed.collect()] == [(DAY, ["customers"])]
    counted = [tuple(row) for row in count_changes(changed).collect()]
    assert counted == [("changed", None, 1, Decimal(0))]
