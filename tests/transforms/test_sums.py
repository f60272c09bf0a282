"""Exact sums: narrow and wide amounts, none at all, conditions; never rounded, never wrapped around."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from chispa import assert_df_equality
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import DecimalType, StringType, StructField, StructType

from pipeline.lake.frames import local_frame
from schemas.tables import AMOUNT, SUM
from transforms.sums import exact_sum

MOST = Decimal("999999999999999.999")
NARROW, WIDE = Decimal("99999.999"), Decimal("100000.000")


def frame(spark: SparkSession, amounts: dict[str, list[Decimal | None]]) -> DataFrame:
    """One row an amount, by group."""
    schema = StructType([StructField("group", StringType()), StructField("amount", AMOUNT)])
    rows = [{"group": group, "amount": amount} for group, listed in amounts.items() for amount in listed]
    return local_frame(spark, schema, rows).coalesce(1)


def sums(spark: SparkSession, expected: dict[str, Any]) -> DataFrame:
    schema = StructType([StructField("group", StringType()), StructField("total", SUM)])
    return local_frame(spark, schema, [{"group": group, "total": total} for group, total in expected.items()])


GROUPS: dict[str, list[Decimal | None]] = {
    "edge": [NARROW, WIDE, -NARROW, -WIDE, Decimal("0.001")],
    "mixed": [Decimal("1.5"), None, MOST, Decimal("-0.001")],
    "none": [None, None],
    "wide alone": [MOST] * 2000,
    "narrow alone": [NARROW] * 3,
    "zero": [Decimal(0)],
}


def test_sums_are_exact_whatever_the_size_of_the_amounts(spark: SparkSession) -> None:
    totals = frame(spark, GROUPS).groupBy("group").agg(exact_sum("amount").alias("total"))
    expected = {
        "edge": Decimal("0.001"),
        "mixed": MOST + Decimal("1.499"),
        "none": Decimal(0),
        "wide alone": MOST * 2000,
        "narrow alone": Decimal("299999.997"),
        "zero": Decimal(0),
    }
    assert_df_equality(totals, sums(spark, expected), ignore_row_order=True, ignore_nullable=True)


def test_only_rows_that_count_are_summed(spark: SparkSession) -> None:
    totals = frame(spark, GROUPS).groupBy("group").agg(exact_sum("amount", "amount < 0").alias("total"))
    expected = dict.fromkeys(GROUPS, Decimal(0))
    expected |= {"edge": Decimal("-199999.999"), "mixed": Decimal("-0.001")}
    assert_df_equality(totals, sums(spark, expected), ignore_row_order=True, ignore_nullable=True)


def test_a_condition_of_alternatives_counts_no_row_twice(spark: SparkSession) -> None:
    rows = frame(spark, GROUPS)
    totals = rows.groupBy("group").agg(exact_sum("amount", "amount < 0 or amount < 5").alias("total"))
    wanted = rows.filter("amount < 5").groupBy("group").sum("amount").collect()
    assert {row["group"]: row.total for row in totals.collect() if row.total} == {
        row["group"]: row[1] for row in wanted if row[1]
    }


@pytest.mark.parametrize("digits", [18, 12])
def test_a_sum_has_the_type_of_a_sum(spark: SparkSession, digits: int) -> None:
    narrow = frame(spark, GROUPS).selectExpr(f"try_cast(amount as decimal({digits},3)) as amount")
    assert narrow.agg(exact_sum("amount").alias("total")).schema["total"].dataType == DecimalType(38, 3)


@settings(max_examples=3, phases=[Phase.generate])
@given(st.lists(st.one_of(st.none(), st.decimals(-MOST, MOST, places=3)), min_size=20, max_size=60))
def test_it_is_the_sum_of_plain_python(spark: SparkSession, amounts: list[Decimal | None]) -> None:
    (row,) = frame(spark, {"": amounts}).agg(exact_sum("amount").alias("total")).collect()
    assert row.total == sum((amount for amount in amounts if amount is not None), Decimal(0))
