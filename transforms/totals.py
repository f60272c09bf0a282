"""Builds the gold tables: totals and invoices, summed from published sales without rounding."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.gold import DAILY_SALES, INVOICES
from schemas.landing import RETURN
from schemas.tables import SUM
from transforms.sums import exact_sum


def daily_sales(sales: DataFrame, revisions: Mapping[dt.date, int]) -> DataFrame:
    """Computes totals by (business_date, store_id, category, currency).

    Args:
        sales: ``silver/sales``.
        revisions: revision of each business date in ``sales``.

    Returns:
        The columns of ``gold/daily_sales``. Amounts of different currencies are never added.
    """
    totals = sales.groupBy("business_date", "store_id", "category", "currency").agg(*_sums())
    return with_sales_revision(totals, revisions).select(DAILY_SALES.columns)


def invoices(sales: DataFrame, revisions: Mapping[dt.date, int]) -> DataFrame:
    """Builds one invoice per (business_date, customer_id, currency); sales without a customer have none.

    Args:
        sales: ``silver/sales``.
        revisions: revision of each business date in ``sales``.

    Returns:
        The columns of ``gold/invoices``.
    """
    with_customer = sales.filter(F.col("customer_id").isNotNull())
    totals = with_customer.groupBy("business_date", "customer_id", "currency").agg(*_sums())
    return with_sales_revision(totals.withColumn("invoice_id", invoice_id()), revisions).select(
        INVOICES.columns
    )


def weekly_product_sales(sales: DataFrame, _: Mapping[dt.date, int]) -> DataFrame:
    """Computes totals by (week, product_id, product_name, currency); weeks start on Monday.

    Args:
        sales: ``silver/sales`` of whole weeks.

    Returns:
        The columns of ``gold/weekly_product_sales``. Amounts of different currencies are never added.
    """
    week = F.date_trunc("week", "business_date").cast("date")
    return sales.groupBy(week.alias("week"), "product_id", "product_name", "currency").agg(*_sums())


def with_sales_revision(totals: DataFrame, revisions: Mapping[dt.date, int]) -> DataFrame:
    """Adds ``sales_revision`` int: the revision of the row's business date; null if there is none."""
    by_revision: dict[int, list[dt.date]] = defaultdict(list)
    for date, revision in revisions.items():
        by_revision[revision].append(date)
    column = F.lit(None).cast("int")
    for revision, dates in sorted(by_revision.items()):
        column = F.when(F.col("business_date").isin(dates), F.lit(revision)).otherwise(column)
    return totals.withColumn("sales_revision", column)


def invoice_id() -> Column:
    """text: sha256 in hex of business_date|customer_id|currency, so a rebuilt invoice keeps its id."""
    return F.sha2(F.concat_ws("|", "business_date", "customer_id", "currency"), 256)


def _sums() -> list[Column]:
    gross, discount = exact_sum("gross_amount"), exact_sum("discount_amount")
    return [
        F.count(F.lit(1)).alias("lines"),
        exact_sum("quantity").alias("units"),
        gross.alias("gross_amount"),
        discount.alias("discount_amount"),
        # The net amount of each line is exactly gross minus discount, so the same is true for the sums.
        (gross - discount).cast(SUM).alias("net_amount"),
        exact_sum("net_amount", f"line_type = '{RETURN}'").alias("returns_amount"),
    ]
