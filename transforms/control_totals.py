"""Lines and control totals: what reconciliation holds against each other, summed and never rounded."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from transforms.sums import exact_sum


def count_received(chunked: DataFrame) -> DataFrame:
    """Received lines and control totals, one row a (business_date, chunk, currency).

    Args:
        chunked: accepted lines with ``chunk``.

    Returns:
        business_date, chunk, currency, lines bigint, gross and absolute_gross decimal(38,3).
    """
    return chunked.groupBy("business_date", "chunk", "currency").agg(*_control_totals())


def count_published(sales: DataFrame) -> DataFrame:
    """Published lines, the equal copies left out beside them, and their control totals.

    Args:
        sales: ``silver/sales``.

    Returns:
        One row a (business_date, chunk, currency): lines, gross, absolute_gross, and the same of
        duplicates as ``duplicate_lines``, ``duplicate_gross``, ``duplicate_absolute_gross``.
    """
    is_repeated = "duplicates > 0"  # nearly no line is
    return sales.groupBy("business_date", "chunk", "currency").agg(
        *_control_totals(),
        F.sum("duplicates").cast("bigint").alias("duplicate_lines"),
        exact_sum("gross_amount * duplicates", is_repeated).alias("duplicate_gross"),
        exact_sum("abs(gross_amount) * duplicates", is_repeated).alias("duplicate_absolute_gross"),
    )


def count_conflicts(conflicts: DataFrame) -> DataFrame:
    """Unpublished lines and control totals, one row a (business_date, chunk, currency, outcome).

    Args:
        conflicts: ``silver/conflicts``.

    Returns:
        business_date, chunk, currency, outcome, lines bigint, gross and absolute_gross decimal(38,3).
    """
    return conflicts.groupBy("business_date", "chunk", "currency", "outcome").agg(*_control_totals())


def _control_totals() -> list[Column]:
    # Each line is added to one of two sums only, which both totals follow from.
    positive = exact_sum("gross_amount", "gross_amount > 0")
    negative = exact_sum("gross_amount", "gross_amount < 0")
    return [
        F.count(F.lit(1)).alias("lines"),
        (positive + negative).cast("decimal(38,3)").alias("gross"),
        (positive - negative).cast("decimal(38,3)").alias("absolute_gross"),
    ]
