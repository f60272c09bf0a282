"""Checks of published tables against each other: each finds rows that should not be there."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from transforms.hashing import KEY_COLUMNS

_NUMBERS = ("store_id", "transaction_id", "line_number")


def find_repeated_keys(sales: DataFrame) -> DataFrame:
    """Keys that are published more than once, under whatever business dates.

    Args:
        sales: ``silver/sales``.

    Returns:
        store_id, transaction_id, line_number, sale_date, copies bigint.
    """
    keys = sales.groupBy(*KEY_COLUMNS).agg(F.count(F.lit(1)).alias("copies"))
    return keys.filter(F.col("copies") > 1)


def find_reused_numbers(sales: DataFrame, wanted: DataFrame) -> DataFrame:
    """Numbers of a receipt line that stand on several sale dates: two lines, worth a look.

    Args:
        sales: ``silver/sales``.
        wanted: the lines of it that are being looked at.

    Returns:
        store_id, transaction_id, line_number, sale_dates array<date>, in order.
    """
    looked_up = wanted.select(*_NUMBERS).distinct()
    dates = (
        sales.join(looked_up, list(_NUMBERS), "left_semi")
        .groupBy(*_NUMBERS)
        .agg(F.array_sort(F.collect_set("sale_date")).alias("sale_dates"))
    )
    return dates.filter(F.size("sale_dates") > 1).orderBy(*_NUMBERS)


def gold_differences(sales: DataFrame, gold: DataFrame) -> DataFrame:
    """Dates and currencies whose totals in gold are not those of the sales.

    Args:
        sales: ``silver/sales``, the lines that the gold table sums.
        gold: a gold table, with lines and net_amount.

    Returns:
        business_date, currency, lines and net of the sales, gold_lines and gold_net.
    """
    grain = ["business_date", "currency"]
    wanted = sales.groupBy(*grain).agg(
        F.count(F.lit(1)).alias("lines"), F.sum("net_amount").cast("decimal(38,3)").alias("net")
    )
    found = gold.groupBy(*grain).agg(
        F.sum("lines").alias("gold_lines"), F.sum("net_amount").cast("decimal(38,3)").alias("gold_net")
    )
    both = wanted.join(found, grain, "full_outer")
    equal = F.col("lines").eqNullSafe(F.col("gold_lines")) & F.col("net").eqNullSafe(F.col("gold_net"))
    return both.filter(~equal).orderBy(*grain)
