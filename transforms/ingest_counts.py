"""Counts the lines that an ingest wrote: a few rows per drop."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.states import ValidationStatus
from transforms.sums import exact_sum

_LOW_BITS = 0xFFFFFFFF


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


def count_ingested(received: DataFrame) -> DataFrame:
    """Counts received lines and sums their control totals.

    Args:
        received: ``bronze/received_sales``.

    Returns:
        One row per (drop_date, source_file, validation_status, business_date, sale_date, is_adjustment,
        currency): lines bigint; gross decimal(38,3) over the lines whose amount and currency parse;
        digest_low and digest_high bigint: sums of the two halves of a hash over source file, key and payload
        of each accepted line, independent of the order of lines. The dates and is_adjustment are null for
        rejected lines.
    """
    accepted = F.col("validation_status") == ValidationStatus.ACCEPTED.value
    # Remove the dates of rejected lines: they can be arbitrary and could make as many groups as lines.
    dated = received.withColumns(
        {
            "sale_date": F.when(accepted, F.col("sale_date")),
            "currency": F.when(F.col("gross_amount").isNotNull(), F.col("currency")),
            "line_hash": F.when(accepted, F.xxhash64("source_file", "key_hash", "payload_hash")),
        }
    )
    grain = ("drop_date", "source_file", "validation_status", "business_date", "sale_date", "is_adjustment")
    return dated.groupBy(*grain, "currency").agg(
        F.count(F.lit(1)).alias("lines"),
        exact_sum("gross_amount").alias("gross"),
        # Sum 32 bits at a time, so that not even two billion lines overflow.
        F.sum(F.col("line_hash").bitwiseAND(_LOW_BITS)).alias("digest_low"),
        F.sum(F.shiftrightunsigned("line_hash", 32)).alias("digest_high"),
    )


def count_reject_reasons(received: DataFrame) -> DataFrame:
    """Counts rejected lines by reason; a line with two reasons counts for both.

    Args:
        received: ``bronze/received_sales``.

    Returns:
        One row per (drop_date, reason): lines bigint.
    """
    reasons = filter_rejected(received).select("drop_date", F.explode("reject_reasons").alias("reason"))
    return reasons.groupBy("drop_date", "reason").agg(F.count(F.lit(1)).alias("lines"))
