"""Validates, types and dates received lines, with projections only and no shuffle."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import and_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.landing import DISCOUNT_AMOUNT, ReceivedColumn, received_columns, received_names
from schemas.own_rules import OwnRule
from schemas.states import ValidationStatus
from schemas.tables import AMOUNT, RECEIVED_SALES
from transforms import business_day, fields
from transforms.hashing import key_hash, payload_hash
from transforms.rules import breaks, broken_own_rules, broken_rules, reject_reasons

_ORIGIN = ("drop_date", "source_file", "malformed_text")


@dataclass(frozen=True)
class ValidationConfig:
    """The settings that decide how an ingest validates and dates a line.

    Attributes:
        scales: number of decimals of each allowed currency, by ISO 4217 code.
        time_zone: IANA zone of every store without its own zone.
        store_time_zones: IANA zone by store_id.
        day_starts_at: local time at which a business day starts.
        late_days: number of days after its sale date in which a line still restates that date.
        history_before: lines with an earlier sale date are history and never late; None for no history.
        valid_until: last sale date of each currency that has one, by ISO 4217 code.
        own_rules: the team's own rules that reject a line, in the order of their names.
    """

    scales: Mapping[str, int]
    time_zone: str = "America/New_York"
    store_time_zones: Mapping[str, str] = field(default_factory=dict)
    day_starts_at: dt.time = dt.time(0, 0)
    late_days: int = 7
    history_before: dt.date | None = None
    valid_until: Mapping[str, dt.date] = field(default_factory=dict)
    own_rules: tuple[OwnRule, ...] = ()


def validate_received(received: DataFrame, terms: ValidationConfig) -> DataFrame:
    """Validates, types and dates received lines. Returns every line, accepted or rejected.

    Each of the three projections keeps only the columns that the next one needs. Over millions of lines,
    copying columns between projections costs as much as the rules.

    Args:
        received: one row per line of a drop: the received columns as text; ``malformed_text`` text, the whole
            line if it could not be split into fields, else null; ``drop_date`` date; ``source_file`` text.
        terms: settings of the validation.

    Returns:
        The columns of ``bronze/received_sales``, one row per received line. Typed columns are null if the
        field is missing, bad or has too many decimals. ``business_date``, ``is_adjustment`` and the hashes
        are null for rejected lines.
    """
    typed = with_typed_fields(received, terms)
    if terms.own_rules:
        typed = with_broken_own_rules(typed, terms.own_rules)
    return _as_bronze(with_broken_rules(typed, terms), terms)


def with_typed_fields(received: DataFrame, terms: ValidationConfig) -> DataFrame:
    """Trims each field, and adds ``typed_<name>``, ``sale_date`` and ``untidy_raw``.

    Returns:
        The columns of ``received`` with trimmed fields; ``typed_<name>`` for each column that is cast;
        ``sale_date`` date; ``untidy_raw`` text: JSON of the line as received if a field is not tidy, else
        null.
    """
    # Check first whether a line needs trimming: nearly no line does, and the check is far cheaper.
    columns = received_columns()
    tidy = {c.name: F.coalesce(fields.is_tidy(F.col(c.name), c.kind), F.lit(True)) for c in columns}
    is_tidy = reduce(and_, tidy.values())
    texts = {
        name: F.when(is_tidy, F.col(name))
        .when(tidy[name], F.col(name))
        .otherwise(fields.trimmed(F.col(name)))
        for name in tidy
    }
    typed = {column.name: _typed(column) for column in columns if fields.is_cast(column)}
    zone = business_day.store_time_zone(texts["store_id"], terms.time_zone, terms.store_time_zones)
    return received.select(
        *_ORIGIN,
        *[text.alias(name) for name, text in texts.items()],
        *[value.alias(f"typed_{name}") for name, value in typed.items()],
        business_day.sale_date(typed["sold_at"], zone, terms.day_starts_at).alias("sale_date"),
        F.when(is_tidy, F.lit(None)).otherwise(_as_received()).alias("untidy_raw"),
    )


def _typed(column: ReceivedColumn) -> Column:
    text = F.col(column.name)
    trimmed_value = fields.as_typed(fields.trimmed(text), column)
    if column.name == DISCOUNT_AMOUNT:
        trimmed_value = F.when(fields.trimmed(text).isNull(), F.lit(0).cast(AMOUNT)).otherwise(trimmed_value)
    return F.coalesce(fields.as_typed(text, column), trimmed_value)


def _cast_names() -> list[str]:
    return [column.name for column in received_columns() if fields.is_cast(column)]


def with_broken_own_rules(typed: DataFrame, rules: Sequence[OwnRule]) -> DataFrame:
    """Adds ``broken_own_rules`` (see ``transforms.rules``): a rule of the config reads typed values.

    So each typed value takes the name of its column while the rules are evaluated. These changes of names
    cost nothing: Spark merges them with the projections around them.

    Args:
        typed: columns as :func:`with_typed_fields` returns them.
        rules: the team's own rules that reject a line, in the order of their names.
    """
    cast = _cast_names()
    texts = [name for name in received_names() if name not in cast]
    kept = [*_ORIGIN, *texts, "sale_date", "untidy_raw"]
    values = typed.select(
        *kept,
        *[F.col(name).alias(f"text_{name}") for name in cast],
        *[F.col(f"typed_{n}").alias(n) for n in cast],
    )
    return values.withColumn("broken_own_rules", broken_own_rules(rules)).select(
        *kept,
        *[F.col(f"text_{name}").alias(name) for name in cast],
        *[F.col(name).alias(f"typed_{name}") for name in cast],
        "broken_own_rules",
    )


def with_broken_rules(typed: DataFrame, terms: ValidationConfig) -> DataFrame:
    """Adds ``broken_rules`` (see ``transforms.rules``) and ``raw``; drops the texts of cast columns."""
    own = F.col("broken_own_rules") if terms.own_rules else None
    broken = broken_rules(terms.scales, terms.valid_until, own)
    raw = F.coalesce("untidy_raw", _as_received())
    return typed.select(
        *_ORIGIN,
        *[_typed_name(column) for column in received_columns()],
        "sale_date",
        broken.alias("broken_rules"),
        F.when(broken != 0, raw).alias("raw"),
    )


def _as_bronze(validated: DataFrame, terms: ValidationConfig) -> DataFrame:
    accepted = F.col("broken_rules") == 0
    # Build the list only for rejected lines: it costs more than all the conditions together.
    reasons = F.when(accepted, F.array().cast("array<string>")).otherwise(reject_reasons(terms.own_rules))
    adjustment = business_day.is_adjustment(
        F.col("sale_date"), F.col("drop_date"), terms.late_days, terms.history_before
    )
    dated = business_day.business_date(F.col("sale_date"), F.col("drop_date"), adjustment)
    names = {column.name: _typed_name(column) for column in received_columns()}

    def typed_value(name: str) -> Column:
        return F.col(names.get(name, name))

    columns = {
        "drop_date": F.col("drop_date"),
        "source_file": F.col("source_file"),
        "validation_status": F.when(accepted, F.lit(ValidationStatus.ACCEPTED.value)).otherwise(
            F.lit(ValidationStatus.REJECTED.value)
        ),
        "reject_reasons": reasons,
        "raw": F.col("raw"),
        "sale_date": _null_if_malformed(F.col("sale_date")),
        "business_date": F.when(accepted, dated),
        "is_adjustment": F.when(accepted, adjustment),
        **{column.name: _final_value(column) for column in received_columns()},
        "key_hash": F.when(accepted, key_hash(typed_value)),
        "payload_hash": F.when(accepted, payload_hash(typed_value)),
    }
    return validated.select(*[columns[name].alias(name) for name in RECEIVED_SALES.columns])


def _typed_name(column: ReceivedColumn) -> str:
    return f"typed_{column.name}" if fields.is_cast(column) else column.name


def _final_value(column: ReceivedColumn) -> Column:
    """Returns the typed value of a field; null if a rule on its form rejects the field."""
    value = F.col(_typed_name(column))
    if column.kind in ("quantity", "amount", "decimal"):
        value = F.when(~breaks(f"excess_scale_{column.name}"), value)
    if column.kind in ("line_type", "currency"):
        value = F.when(~breaks(f"bad_{column.name}"), value)
    return _null_if_malformed(value)


def _null_if_malformed(value: Column) -> Column:
    return F.when(F.col("malformed_text").isNull(), value)


def _as_received() -> Column:
    """text: JSON of the fields as received, or of the whole line if it could not be split."""
    whole_line = F.to_json(F.struct(F.col("malformed_text").alias("line")))
    as_received = F.to_json(F.struct(*received_names()))
    return F.when(F.col("malformed_text").isNull(), as_received).otherwise(whole_line)
