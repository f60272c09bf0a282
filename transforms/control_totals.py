"""Computes line counts and control totals for reconciliation, summed without rounding."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.landing import own_amounts
from transforms.sums import exact_sum


def count_received(chunked: DataFrame) -> DataFrame:
    """Counts received lines and sums their control totals.

    Args:
        chunked: accepted lines with ``chunk``.

    Returns:
        One row per (business_date, chunk, currency): lines bigint; gross and absolute_gross
        decimal(38,3); ``own_<name>`` decimal(38,3), the sum of each of the team's own amounts.
    """
    return chunked.groupBy("business_date", "chunk", "currency").agg(*_control_totals())


def count_published(sales: DataFrame) -> DataFrame:
    """Counts published lines and their duplicates, and sums the control totals of both.

    Args:
        sales: ``silver/sales``.

    Returns:
        One row per (business_date, chunk, currency): lines bigint, gross and absolute_gross decimal(38,3);
        ``own_<name>`` decimal(38,3), the sum of each of the team's own amounts; ``duplicate_lines``,
        ``duplicate_gross``, ``duplicate_absolute_gross`` and ``duplicate_own_<name>``, the same for
        duplicates.
    """
    is_repeated = "duplicates > 0"  # true for very few lines
    return sales.groupBy("business_date", "chunk", "currency").agg(
        *_control_totals(),
        F.sum("duplicates").cast("bigint").alias("duplicate_lines"),
        exact_sum("gross_amount * duplicates", is_repeated).alias("duplicate_gross"),
        exact_sum("abs(gross_amount) * duplicates", is_repeated).alias("duplicate_absolute_gross"),
        *[exact_sum(f"`{n}` * duplicates", is_repeated).alias(f"duplicate_own_{n}") for n in own_amounts()],
    )


def count_conflicts(conflicts: DataFrame) -> DataFrame:
    """Counts unpublished lines and sums their control totals.

    Args:
        conflicts: ``silver/conflicts``.

    Returns:
        One row per (business_date, chunk, currency, outcome): lines bigint, gross and absolute_gross
        decimal(38,3), and ``own_<name>`` decimal(38,3), the sum of each of the team's own amounts.
    """
    return conflicts.groupBy("business_date", "chunk", "currency", "outcome").agg(*_control_totals())


def _control_totals() -> list[Column]:
    # Each line is added to only one of two sums. Both totals follow from these sums.
    positive = exact_sum("gross_amount", "gross_amount > 0")
    negative = exact_sum("gross_amount", "gross_amount < 0")
    return [
        F.count(F.lit(1)).alias("lines"),
        (positive + negative).cast("decimal(38,3)").alias("gross"),
        (positive - negative).cast("decimal(38,3)").alias("absolute_gross"),
        *[exact_sum(f"`{name}`").alias(f"own_{name}") for name in own_amounts()],
    ]
