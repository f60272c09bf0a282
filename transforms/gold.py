"""Completes the rows of gold tables, and checks them before they are committed."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.gold import REVISION, GoldTable, Period

# No column of a gold table has this name: it has a blank.
COPIES = "number of copies"


def with_sales_revision(totals: DataFrame, revisions: Mapping[dt.date, int]) -> DataFrame:
    """Adds ``sales_revision`` int: the revision of the row's business date; null if there is none."""
    by_revision: dict[int, list[dt.date]] = defaultdict(list)
    for date, revision in revisions.items():
        by_revision[revision].append(date)
    column = F.lit(None).cast("int")
    for revision, dates in sorted(by_revision.items()):
        column = F.when(F.col("business_date").isin(dates), F.lit(revision)).otherwise(column)
    return totals.withColumn(REVISION, column)


def find_repeated_rows(table: GoldTable, rows: DataFrame) -> DataFrame:
    """Finds keys of a gold table that several rows have.

    Args:
        table: the gold table.
        rows: its rows.

    Returns:
        One row per key: the period column and the grain; :data:`COPIES` bigint, more than 1.
    """
    key = [table.period_column, *table.grain]
    return rows.groupBy(*key).agg(F.count(F.lit(1)).alias(COPIES)).filter(F.col(COPIES) > 1)


def find_unreconciled(table: GoldTable, rows: DataFrame, sales: DataFrame) -> DataFrame:
    """Finds periods whose reconciled sums differ from those of the published lines.

    Args:
        table: the gold table.
        rows: its rows, of whole periods.
        sales: ``silver/sales`` of the same periods.

    Returns:
        One row per (period, currency) that differs: period date, currency text (null if the table has no such
        column), ``<column>_found`` and ``<column>_wanted`` decimal for each column of ``table.reconcile``.
    """
    has_currency = "currency" in table.columns
    found = _sums_by_period(table, rows, F.col(table.period_column), has_currency, "found")
    wanted = _sums_by_period(table, sales, period_of(table.period), has_currency, "wanted")
    # A side without rows counts as 0: a period may have no sales and no rows.
    sums = [f"{column}_{side}" for column in table.reconcile for side in ("found", "wanted")]
    both = found.unionByName(wanted, allowMissingColumns=True).groupBy("period", "currency")
    totals = both.agg(*[F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in sums])
    differs = F.lit(False)
    for column in table.reconcile:
        differs = differs | (F.col(f"{column}_found") != F.col(f"{column}_wanted"))
    return totals.filter(differs)


def period_of(period: Period) -> Column:
    """date: first date of the period that holds a line's business date."""
    if period is Period.DAY:
        return F.col("business_date")
    return F.date_trunc(period.value, "business_date").cast("date")


def count_currencies(sales: DataFrame) -> DataFrame:
    """One row: ``currencies`` bigint, how many currencies the lines have."""
    return sales.agg(F.count_distinct("currency").alias("currencies"))


def _sums_by_period(
    table: GoldTable, rows: DataFrame, period: Column, has_currency: bool, side: str
) -> DataFrame:
    currency = F.col("currency") if has_currency else F.lit(None).cast("string")
    sums: Sequence[Column] = [F.sum(column).alias(f"{column}_{side}") for column in table.reconcile]
    return rows.groupBy(period.alias("period"), currency.alias("currency")).agg(*sums)
