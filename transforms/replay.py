"""Lines of bronze as they were received, to be validated again."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.landing import RECEIVED_COLUMNS, RECEIVED_NAMES, ReceivedColumn
from schemas.states import ValidationStatus

_WHOLE_LINE = "line"
_MOMENT_FORM = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"


def received_again(lines: DataFrame) -> DataFrame:
    """The text of lines: of rejected ones from ``raw``, of accepted ones from their typed values.

    Args:
        lines: lines of ``bronze/received_sales``.

    Returns:
        The received columns as text, ``malformed_text`` (a line that could not be split into fields),
        ``drop_date``, ``source_file``; one row a line: what ``validate_received`` takes.
    """
    names = [*RECEIVED_NAMES, _WHOLE_LINE]
    schema = ", ".join(f"`{name}` string" for name in names)
    is_accepted = F.col("validation_status") == ValidationStatus.ACCEPTED.value
    fields = lines.withColumns({"fields": F.from_json("raw", schema), "is_accepted": is_accepted})
    return fields.select(
        *[
            F.when(F.col("is_accepted"), _as_text(column))
            .otherwise(F.col(f"fields.{column.name}"))
            .alias(column.name)
            for column in RECEIVED_COLUMNS
        ],
        F.when(~F.col("is_accepted"), F.col(f"fields.{_WHOLE_LINE}")).alias("malformed_text"),
        "drop_date",
        "source_file",
    )


def _as_text(column: ReceivedColumn) -> Column:
    """text: a typed value in a form that the contract accepts; a decimal without the zeros behind it."""
    value = F.col(column.name)
    if column.kind == "timestamp":
        return _moment_as_text(value)
    if column.kind in ("quantity", "amount"):
        return F.regexp_replace(value.cast("string"), r"\.?0+$", "")
    return value.cast("string")


def _moment_as_text(value: Column) -> Column:
    """text: a moment in UTC; at another offset where UTC puts it outside the years of the contract."""
    texts = {
        hours: F.concat(F.date_format(value + F.expr(f"interval {hours} hours"), _MOMENT_FORM), F.lit(offset))
        for hours, offset in ((14, "+14:00"), (0, "Z"), (-14, "-14:00"))
    }
    # As SQL: a Python datetime would come to Spark by the Julian calendar of its year.
    too_early = value < F.expr("timestamp'1000-01-01 00:00:00Z'")
    too_late = value >= F.expr("timestamp'3000-01-01 00:00:00Z'")
    return F.when(too_early, texts[14]).when(too_late, texts[-14]).otherwise(texts[0])


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
