"""Rejected lines as they were received, to be judged again."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.landing import RECEIVED_NAMES
from schemas.states import ValidationStatus

_WHOLE_LINE = "line"


def received_again(quarantine: DataFrame) -> DataFrame:
    """The text of rejected lines, from ``raw``.

    Args:
        quarantine: rejected lines of ``bronze/received_sales``.

    Returns:
        The received columns as text, ``malformed_text`` (a line that could not be split into fields),
        ``drop_date``, ``source_file``; one row a rejected line: what ``judge_received`` takes.
    """
    names = [*RECEIVED_NAMES, _WHOLE_LINE]
    schema = ", ".join(f"`{name}` string" for name in names)
    fields = quarantine.select("drop_date", "source_file", F.from_json("raw", schema).alias("fields"))
    return fields.select(
        *[F.col(f"fields.{name}").alias(name) for name in RECEIVED_NAMES],
        F.col(f"fields.{_WHOLE_LINE}").alias("malformed_text"),
        "drop_date",
        "source_file",
    )


def count_quarantine(received: DataFrame, reason: str) -> DataFrame:
    """How many lines of each drop were accepted, and how many rejected for a reason.

    Args:
        received: ``bronze/received_sales``.
        reason: reject reason.

    Returns:
        One row a drop_date: accepted bigint, rejected bigint (lines with that reason, whatever others
        they have).
    """
    accepted = F.col("validation_status") == ValidationStatus.ACCEPTED.value
    return received.groupBy("drop_date").agg(
        F.count_if(accepted).alias("accepted"),
        F.count_if(F.array_contains("reject_reasons", reason)).alias("rejected"),
    )
