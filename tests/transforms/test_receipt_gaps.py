"""Receipt numbers that jump."""

from __future__ import annotations

import datetime as dt

from pyspark.sql import SparkSession

from transforms.receipt_gaps import count_gaps

FIRST, SECOND = dt.date(2026, 3, 2), dt.date(2026, 3, 3)
RECEIPTS = [
    (FIRST, "7", "0009", "accepted"),
    (FIRST, "7", "10", "accepted"),
    (FIRST, "7", "10", "accepted"),  # two lines of a receipt
    (FIRST, "7", "13", "accepted"),  # 11 and 12 lack
    (FIRST, "7", "15", "accepted"),  # 14 lacks
    (FIRST, "7", "14", "rejected"),
    (FIRST, "7", "A-90", "accepted"),
    (FIRST, "8", "1", "accepted"),
    (FIRST, "8", "2", "accepted"),
    (SECOND, "7", "100", "accepted"),  # another delivery
    (SECOND, "8", None, "rejected"),
]


def test_jumps_within_a_store_and_delivery_are_counted(spark: SparkSession) -> None:
    schema = "drop_date date, store_id string, transaction_id string, validation_status string"
    rows = count_gaps(spark.createDataFrame(RECEIPTS, schema)).collect()
    assert [row.asDict() for row in rows] == [
        {"drop_date": FIRST, "store_id": "7", "jumps": 2, "missing": 3, "after": 10, "before": 13}
    ]
