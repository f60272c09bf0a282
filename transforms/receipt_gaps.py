"""Finds receipt numbers that jump: receipts that a store may not have sent."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from transforms.ingest_counts import filter_accepted

_INTEGER = r"^[0-9]{1,18}$"


def count_gaps(received: DataFrame) -> DataFrame:
    """Counts the receipts that lack between the first and the last of a store in a delivery.

    Args:
        received: ``bronze/received_sales``. A transaction_id that is no integer of at most 18 digits
            is passed over.

    Returns:
        One row per (drop_date, store_id) with a jump: jumps bigint; missing bigint, receipts that lack;
        after and before bigint, the numbers around the first jump.
    """
    number = F.when(F.col("transaction_id").rlike(_INTEGER), F.col("transaction_id").cast("bigint"))
    receipts = filter_accepted(received).select("drop_date", "store_id", number.alias("before")).distinct()
    in_order = Window.partitionBy("drop_date", "store_id").orderBy("before")
    steps = receipts.filter(F.col("before").isNotNull()).withColumns(
        {"after": F.lag("before").over(in_order)}
    )
    return (
        steps.filter(F.col("before") - F.col("after") > 1)
        .groupBy("drop_date", "store_id")
        .agg(
            F.count(F.lit(1)).alias("jumps"),
            F.sum(F.col("before") - F.col("after") - 1).alias("missing"),
            F.min("after").alias("after"),
            F.min("before").alias("before"),
        )
    )
