"""Counts the lines that an ingest wrote: a few rows per drop."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.own_rules import OwnRule
from schemas.states import ValidationStatus
from transforms.rules import holds
from transforms.sums import exact_sum

# Grain of the counts of an ingest, without the store.
COUNTED_BY = (
    "drop_date",
    "source_file",
    "validation_status",
    "business_date",
    "sale_date",
    "is_adjustment",
    "currency",
)
_LOW_BITS = 0xFFFFFFFF
# What databases and spreadsheets write for nothing. As a customer_id each is billed as a customer.
NULL_WORDS = (
    "NULL",
    "null",
    "Null",
    "\\N",
    "None",
    "N/A",
    "n/a",
    "#N/A",
    "NaN",
    "nan",
    "nil",
    "(null)",
    "<null>",
)


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


def count_ingested(
    received: DataFrame, *, by_store: bool = False, warnings: Sequence[OwnRule] = ()
) -> DataFrame:
    """Counts received lines and sums their control totals.

    Args:
        received: ``bronze/received_sales``.
        by_store: whether to count the accepted lines of each store apart.
        warnings: the team's own rules that only warn.

    Returns:
        One row per (drop_date, source_file, validation_status, business_date, sale_date, is_adjustment,
        currency), and per store_id if asked, which is null for rejected lines: lines bigint; gross
        decimal(38,3) over the lines whose amount and currency parse; digest_low and digest_high bigint: sums
        of the two halves of a hash over source file, key and payload of each accepted line, independent of
        the order of lines; null_words bigint: accepted lines whose customer_id is a word for nothing. By
        store also first_sold_at and last_sold_at, timestamps. For each warning ``warned_<position>`` bigint:
        accepted lines for which it holds. The dates and is_adjustment are null for rejected lines.
    """
    accepted = F.col("validation_status") == ValidationStatus.ACCEPTED.value
    # Remove the dates of rejected lines: they can be arbitrary and could make as many groups as lines.
    dated = received.withColumns(
        {
            "sale_date": F.when(accepted, F.col("sale_date")),
            "currency": F.when(F.col("gross_amount").isNotNull(), F.col("currency")),
            "line_hash": F.when(accepted, F.xxhash64("source_file", "key_hash", "payload_hash")),
            **({"store_id": F.when(accepted, F.col("store_id"))} if by_store else {}),
        }
    )
    of_store = [F.min("sold_at").alias("first_sold_at"), F.max("sold_at").alias("last_sold_at")]
    return dated.groupBy(*COUNTED_BY, *(["store_id"] if by_store else [])).agg(
        F.count(F.lit(1)).alias("lines"),
        exact_sum("gross_amount").alias("gross"),
        # Sum 32 bits at a time, so that not even two billion lines overflow.
        F.sum(F.col("line_hash").bitwiseAND(_LOW_BITS)).alias("digest_low"),
        F.sum(F.shiftrightunsigned("line_hash", 32)).alias("digest_high"),
        F.count_if(accepted & F.col("customer_id").isin(*NULL_WORDS)).alias("null_words"),
        *(of_store if by_store else []),
        *[F.count_if(accepted & holds(rule)).alias(f"warned_{n}") for n, rule in enumerate(warnings)],
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
