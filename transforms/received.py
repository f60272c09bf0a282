"""From the text of received lines to judged, typed lines: one narrow projection, no shuffle."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.landing import RECEIVED_COLUMNS, RECEIVED_NAMES
from schemas.states import ValidationStatus
from schemas.tables import RECEIVED_SALES
from transforms import business_day, fields
from transforms.hashing import key_hash, payload_hash
from transforms.rules import is_currency_code, is_line_type, reject_rules

_TYPED_BY_KIND = {
    "integer": fields.as_integer,
    "timestamp": fields.as_timestamp,
    "quantity": fields.as_quantity,
    "amount": fields.as_amount,
}


@dataclass(frozen=True)
class JudgingTerms:
    """What of the config decides how a line is judged and dated, fixed at ingest.

    Attributes:
        scales: decimals by ISO 4217 code, for the currencies that are allowed.
        time_zone: IANA zone of every store that has none of its own.
        store_time_zones: IANA zone by store_id.
        day_starts_at: local time at which a business day starts.
        late_days: days after its sale date up to which a line restates it.
        history_before: sale dates before it are history, never late.
    """

    scales: Mapping[str, int]
    time_zone: str = "America/New_York"
    store_time_zones: Mapping[str, str] = field(default_factory=dict)
    day_starts_at: dt.time = dt.time(0, 0)
    late_days: int = 7
    history_before: dt.date | None = None


def judge_received(received: DataFrame, terms: JudgingTerms) -> DataFrame:
    """Judges, types and dates received lines; every line comes out, accepted or rejected.

    Args:
        received: one row a line of a drop: the received columns as text, ``malformed_text`` (the whole
            line where it could not be split into fields, else null), ``drop_date`` date, ``source_file``.
        terms: what of the config decides.

    Returns:
        The columns of ``bronze/received_sales``, one row a received line. Typed columns are null where
        the field is missing, bad or too fine; ``business_date`` and the hashes only where accepted.
    """
    judged = with_reject_reasons(with_typed_fields(received, terms), terms.scales)
    accepted = F.col("is_accepted")
    dated = judged.withColumns(
        {
            "validation_status": F.when(accepted, F.lit(ValidationStatus.ACCEPTED.value)).otherwise(
                F.lit(ValidationStatus.REJECTED.value)
            ),
            "raw": F.when(~accepted, _raw_fields()),
            "is_adjustment": F.when(accepted, _is_adjustment(terms)),
        }
    )
    typed = dated.select(
        *[name for name in dated.columns if name not in RECEIVED_NAMES],
        *[_final_value(column.name, column.kind, terms.scales) for column in RECEIVED_COLUMNS],
    ).withColumn(
        "business_date",
        F.when(
            accepted,
            business_day.business_date(F.col("sale_date"), F.col("drop_date"), F.col("is_adjustment")),
        ),
    )
    hashed = typed.withColumns(
        {"key_hash": F.when(accepted, key_hash()), "payload_hash": F.when(accepted, payload_hash())}
    )
    return hashed.select(RECEIVED_SALES.columns)


def with_typed_fields(received: DataFrame, terms: JudgingTerms) -> DataFrame:
    """Adds ``typed_<name>`` and ``sale_date``; trims each field, keeping what came as ``received_<name>``."""
    kept = received.withColumnsRenamed({name: f"received_{name}" for name in RECEIVED_NAMES})
    # Of a line that could not be split, the fields that were found may stand under the wrong names.
    was_split = F.col("malformed_text").isNull()
    trimmed = kept.withColumns(
        {name: F.when(was_split, fields.trimmed(f"received_{name}")) for name in RECEIVED_NAMES}
    )
    typed = trimmed.withColumns(
        {
            f"typed_{column.name}": _TYPED_BY_KIND[column.kind](F.col(column.name))
            for column in RECEIVED_COLUMNS
            if column.kind in _TYPED_BY_KIND
        }
    )
    zone = business_day.store_time_zone(F.col("store_id"), terms.time_zone, terms.store_time_zones)
    return typed.withColumn(
        "sale_date", business_day.sale_date(F.col("typed_sold_at"), zone, terms.day_starts_at)
    )


def with_reject_reasons(typed: DataFrame, scales: Mapping[str, int]) -> DataFrame:
    """Adds ``reject_reasons`` (all that apply, sorted; empty where accepted) and ``is_accepted``."""
    rules = reject_rules(scales)
    is_rejected = F.lit(False)
    for condition in rules.values():
        is_rejected = is_rejected | F.coalesce(condition, F.lit(False))
    reasons = F.array_compact(
        F.array(*[F.when(condition, F.lit(reason)) for reason, condition in rules.items()])
    )
    flagged = typed.withColumn("is_accepted", ~is_rejected)
    # The list is built for rejected lines alone: it costs more than all the conditions together.
    return flagged.withColumn(
        "reject_reasons", F.when(F.col("is_accepted"), F.array().cast("array<string>")).otherwise(reasons)
    )


def _is_adjustment(terms: JudgingTerms) -> Column:
    return business_day.is_adjustment(
        F.col("sale_date"), F.col("drop_date"), terms.late_days, terms.history_before
    )


def _raw_fields() -> Column:
    """text: JSON of the fields as received; of a line that could not be split, the line itself."""
    as_received = F.to_json(F.struct(*[F.col(f"received_{name}").alias(name) for name in RECEIVED_NAMES]))
    whole_line = F.to_json(F.struct(F.col("malformed_text").alias("line")))
    return F.when(F.col("malformed_text").isNull(), as_received).otherwise(whole_line)


def _final_value(name: str, kind: str, scales: Mapping[str, int]) -> Column:
    if kind in ("integer", "timestamp"):
        return F.col(f"typed_{name}").alias(name)
    if kind == "quantity":
        exact = fields.decimals(F.col(name)) <= fields.QUANTITY_DECIMALS
        return F.when(exact, F.col(f"typed_{name}")).alias(name)
    if kind == "amount":
        return _final_amount(name, scales).alias(name)
    if kind == "line_type":
        return F.when(is_line_type(), F.col(name)).alias(name)
    if kind == "currency":
        return F.when(is_currency_code(), F.col(name)).alias(name)
    return F.col(name)


def _final_amount(name: str, scales: Mapping[str, int]) -> Column:
    exact = fields.decimals(F.col(name)) <= fields.currency_decimals(F.col("currency"), scales)
    amount = F.when(exact, F.col(f"typed_{name}"))
    if name != "discount_amount":
        return amount
    return F.when(
        F.col(name).isNull() & F.col("malformed_text").isNull(), F.lit(0).cast("decimal(18,3)")
    ).otherwise(amount)
