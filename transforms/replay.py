"""Restores bronze lines to the text that was received, so that they can be validated again."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.landing import ReceivedColumn, received_columns, received_names
from schemas.states import ValidationStatus

_WHOLE_LINE = "line"
_MOMENT_FORM = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"


def received_again(lines: DataFrame) -> DataFrame:
    """Restores the text of lines: rejected lines from ``raw``, accepted lines from their typed values.

    Args:
        lines: lines of ``bronze/received_sales``.

    Returns:
        The input of ``validate_received``, one row per line: the received columns as text,
        ``malformed_text`` (a line that could not be split into fields), ``drop_date`` and ``source_file``.
    """
    names = [*received_names(), _WHOLE_LINE]
    schema = ", ".join(f"`{name}` string" for name in names)
    is_accepted = F.col("validation_status") == ValidationStatus.ACCEPTED.value
    fields = lines.withColumns({"fields": F.from_json("raw", schema), "is_accepted": is_accepted})
    return fields.select(
        *[
            F.when(F.col("is_accepted"), _as_text(column))
            .otherwise(F.col(f"fields.{column.name}"))
            .alias(column.name)
            for column in received_columns()
        ],
        F.when(~F.col("is_accepted"), F.col(f"fields.{_WHOLE_LINE}")).alias("malformed_text"),
        "drop_date",
        "source_file",
    )


def _as_text(column: ReceivedColumn) -> Column:
    """text: a typed value in a form that the contract accepts; a decimal without trailing zeros."""
    value = F.col(column.name)
    if column.kind == "timestamp":
        return _moment_as_text(value)
    if column.kind in ("quantity", "amount") or column.scale:
        return F.regexp_replace(value.cast("string"), r"\.?0+$", "")
    return value.cast("string")


def _moment_as_text(value: Column) -> Column:
    """text: a moment in UTC, or with another offset if its UTC year is outside the contract's years."""
    texts = {
        hours: F.concat(F.date_format(value + F.expr(f"interval {hours} hours"), _MOMENT_FORM), F.lit(offset))
        for hours, offset in ((14, "+14:00"), (0, "Z"), (-14, "-14:00"))
    }
    # Use SQL: Spark would convert a Python datetime of such a year with the Julian calendar.
    too_early = value < F.expr("timestamp'1000-01-01 00:00:00Z'")
    too_late = value >= F.expr("timestamp'3000-01-01 00:00:00Z'")
    return F.when(too_early, texts[14]).when(too_late, texts[-14]).otherwise(texts[0])


def count_quarantine(received: DataFrame, reason: str) -> DataFrame:
    """Counts the accepted lines of each drop, and the lines rejected for a reason.

    Args:
        received: ``bronze/received_sales``.
        reason: reject reason.

    Returns:
        One row per drop_date: accepted bigint; rejected bigint, lines with this reason, also if they have
        other reasons.
    """
    accepted = F.col("validation_status") == ValidationStatus.ACCEPTED.value
    return received.groupBy("drop_date").agg(
        F.count_if(accepted).alias("accepted"),
        F.count_if(F.array_contains("reject_reasons", reason)).alias("rejected"),
    )
