"""What an ingest found, counted from what it wrote: few rows a drop."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.states import ValidationStatus
from transforms.sums import exact_sum


def filter_accepted(received: DataFrame) -> DataFrame:
    """Keeps accepted lines.

    Args:
        received: ``bronze/received_sales``.
    """
    return received.filter(F.col("validation_status") == ValidationStatus.ACCEPTED.value)


def filter_rejected(received: DataFrame) -> DataFrame:
    """Keeps rejected lines.

    Args:
        received: ``bronze/received_sales``.
    """
    return received.filter(F.col("validation_status") == ValidationStatus.REJECTED.value)


def count_receipts(received: DataFrame) -> DataFrame:
    """Lines and control totals of received lines.

    Args:
        received: ``bronze/received_sales``.

    Returns:
        One row a (drop_date, source_file, validation_status, business_date, sale_date, is_adjustment,
        currency): lines bigint, gross decimal(38,3) over the lines whose amount and currency parse. The
        dates and is_adjustment are those of accepted lines, else null.
    """
    accepted = F.col("validation_status") == ValidationStatus.ACCEPTED.value
    # A rejected line's dates may be any; kept, they would make as many groups as lines.
    dated = received.withColumns(
        {
            "sale_date": F.when(accepted, F.col("sale_date")),
            "currency": F.when(F.col("gross_amount").isNotNull(), F.col("currency")),
        }
    )
    grain = ("drop_date", "source_file", "validation_status", "business_date", "sale_date", "is_adjustment")
    return dated.groupBy(*grain, "currency").agg(
        F.count(F.lit(1)).alias("lines"), exact_sum("gross_amount").alias("gross")
    )


def count_reject_reasons(received: DataFrame) -> DataFrame:
    """Rejected lines by reason; a line with two reasons counts in both.

    Args:
        received: ``bronze/received_sales``.

    Returns:
        One row a (drop_date, reason): lines bigint.
    """
    reasons = filter_rejected(received).select("drop_date", F.explode("reject_reasons").alias("reason"))
    return reasons.groupBy("drop_date", "reason").agg(F.count(F.lit(1)).alias("lines"))
