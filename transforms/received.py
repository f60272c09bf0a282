"""From the text of received lines to judged, typed lines: projections only, no shuffle."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import and_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.landing import DISCOUNT_AMOUNT, RECEIVED_COLUMNS, RECEIVED_NAMES, ReceivedColumn
from schemas.states import ValidationStatus
from schemas.tables import AMOUNT, RECEIVED_SALES
from transforms import business_day, fields
from transforms.hashing import key_hash, payload_hash
from transforms.rules import breaks, broken_rules, reject_reasons

_TYPED_BY_KIND = {
    "integer": fields.as_integer,
    "timestamp": fields.as_timestamp,
    "quantity": fields.as_quantity,
    "amount": fields.as_amount,
}
_CASTS = {
    column.name: _TYPED_BY_KIND[column.kind] for column in RECEIVED_COLUMNS if column.kind in _TYPED_BY_KIND
}
_TEXT_NAMES = [name for name in RECEIVED_NAMES if name not in _CASTS]
_ORIGIN = ("drop_date", "source_file", "malformed_text")


@dataclass(frozen=True)
class ValidationConfig:
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


def validate_received(received: DataFrame, terms: ValidationConfig) -> DataFrame:
    """Judges, types and dates received lines; every line comes out, accepted or rejected.

    Three projections, each of no more columns than the next one needs: over millions of lines, what is
    copied from one to the next costs as much as the rules.

    Args:
        received: one row a line of a drop: the received columns as text, ``malformed_text`` (the whole
            line where it could not be split into fields, else null), ``drop_date`` date, ``source_file``.
        terms: what of the config decides.

    Returns:
        The columns of ``bronze/received_sales``, one row a received line. Typed columns are null where
        the field is missing, bad or too fine; ``business_date`` and the hashes only where accepted.
    """
    return _as_bronze(with_broken_rules(with_typed_fields(received, terms), terms.scales), terms)


def with_typed_fields(received: DataFrame, terms: ValidationConfig) -> DataFrame:
    """Trims each field, and adds ``typed_<name>``, ``sale_date`` and ``untidy_raw``.

    Returns:
        The columns of ``received``, the fields trimmed; of the kinds that are cast, the value beside the
        text; ``untidy_raw`` text: JSON of the line as received where that is not what the fields now say.
    """
    # Trimming costs many times what it takes to see that there is nothing to trim, as on nearly every line.
    tidy = {c.name: F.coalesce(fields.is_tidy(F.col(c.name), c.kind), F.lit(True)) for c in RECEIVED_COLUMNS}
    is_tidy = reduce(and_, tidy.values())
    texts = {
        name: F.when(is_tidy, F.col(name))
        .when(tidy[name], F.col(name))
        .otherwise(fields.trimmed(F.col(name)))
        for name in RECEIVED_NAMES
    }
    typed = {name: _typed(name) for name in _CASTS}
    zone = business_day.store_time_zone(texts["store_id"], terms.time_zone, terms.store_time_zones)
    return received.select(
        *_ORIGIN,
        *[text.alias(name) for name, text in texts.items()],
        *[value.alias(f"typed_{name}") for name, value in typed.items()],
        business_day.sale_date(typed["sold_at"], zone, terms.day_starts_at).alias("sale_date"),
        F.when(is_tidy, F.lit(None)).otherwise(_as_received()).alias("untidy_raw"),
    )


def _typed(name: str) -> Column:
    cast, text = _CASTS[name], F.col(name)
    by_text = cast(fields.trimmed(text))
    if name == DISCOUNT_AMOUNT:
        by_text = F.when(fields.trimmed(text).isNull(), F.lit(0).cast(AMOUNT)).otherwise(by_text)
    return F.coalesce(cast(text), by_text)


def with_broken_rules(typed: DataFrame, scales: Mapping[str, int]) -> DataFrame:
    """Adds ``broken_rules`` (as ``transforms.rules`` has them) and ``raw``; drops texts that were cast."""
    broken = broken_rules(scales)
    raw = F.coalesce("untidy_raw", _as_received())
    return typed.select(
        *_ORIGIN,
        *_TEXT_NAMES,
        *[f"typed_{name}" for name in _CASTS],
        "sale_date",
        broken.alias("broken_rules"),
        F.when(broken != 0, raw).alias("raw"),
    )


def _as_bronze(judged: DataFrame, terms: ValidationConfig) -> DataFrame:
    accepted = F.col("broken_rules") == 0
    # The list is built for rejected lines alone: it costs more than all the conditions together.
    reasons = F.when(accepted, F.array().cast("array<string>")).otherwise(reject_reasons())
    adjustment = business_day.is_adjustment(
        F.col("sale_date"), F.col("drop_date"), terms.late_days, terms.history_before
    )
    dated = business_day.business_date(F.col("sale_date"), F.col("drop_date"), adjustment)
    columns = {
        "drop_date": F.col("drop_date"),
        "source_file": F.col("source_file"),
        "validation_status": F.when(accepted, F.lit(ValidationStatus.ACCEPTED.value)).otherwise(
            F.lit(ValidationStatus.REJECTED.value)
        ),
        "reject_reasons": reasons,
        "raw": F.col("raw"),
        "sale_date": _of_split_line(F.col("sale_date")),
        "business_date": F.when(accepted, dated),
        "is_adjustment": F.when(accepted, adjustment),
        **{column.name: _final_value(column) for column in RECEIVED_COLUMNS},
        "key_hash": F.when(accepted, key_hash(_judged_value)),
        "payload_hash": F.when(accepted, payload_hash(_judged_value)),
    }
    return judged.select(*[columns[name].alias(name) for name in RECEIVED_SALES.columns])


def _judged_value(name: str) -> Column:
    return F.col(f"typed_{name}" if name in _CASTS else name)


def _final_value(column: ReceivedColumn) -> Column:
    """The value of a field, null where one of the rules on its form says that it is none."""
    value = _judged_value(column.name)
    if column.kind in ("quantity", "amount"):
        value = F.when(~breaks(f"excess_scale_{column.name}"), value)
    if column.kind in ("line_type", "currency"):
        value = F.when(~breaks(f"bad_{column.name}"), value)
    return _of_split_line(value)


def _of_split_line(value: Column) -> Column:
    return F.when(F.col("malformed_text").isNull(), value)


def _as_received() -> Column:
    """text: JSON of the fields as received; of a line that could not be split, the line itself."""
    whole_line = F.to_json(F.struct(F.col("malformed_text").alias("line")))
    as_received = F.to_json(F.struct(*RECEIVED_NAMES))
    return F.when(F.col("malformed_text").isNull(), as_received).otherwise(whole_line)
