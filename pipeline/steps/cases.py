"""Runs cases through the rules and the gold tables of the config, in memory: no landing, no lake."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    NumericType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from pipeline.cases import FiledCase
from pipeline.lake.conditions import check_rules
from pipeline.lake.frames import local_frame
from pipeline.settings import Settings
from pipeline.steps.context import Batch
from pipeline.steps.gold_rows import rows_of_lines
from schemas.landing import received_names
from schemas.own_rules import OwnRule
from schemas.tables import SALES
from transforms.copies import filter_first_copies, resolve_copies
from transforms.delivered import FieldForms, in_contract_form
from transforms.ingest_counts import filter_accepted
from transforms.publication import with_chunk, with_prices
from transforms.received import validate_received
from transforms.rules import holds
from transforms.unicode import normalized_field

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """What a case expects of one thing, and what came out.

    Attributes:
        title: file and name of the case.
        what: the line by its number, or the gold table.
        expected: rows that must come out, as text, in order.
        found: rows that came out, as text, in order.
    """

    title: str
    what: str
    expected: tuple[str, ...]
    found: tuple[str, ...]


def run_cases(batch: Batch, cases: Sequence[FiledCase]) -> list[Difference]:
    """Returns what came out otherwise than expected; nothing if every case holds.

    Raises:
        UsageError: the condition of a rule is not valid.
    """
    check_rules(batch.spark, batch.settings.own_rules)
    judged = _judged(batch, cases).persist()
    try:
        differences = _line_differences(cases, _outcomes(judged, batch.settings.own_rules))
        for number, filed in enumerate(cases):
            if filed.case.expect.gold:
                differences += _gold_differences(batch, filed, _of_case(judged, number))
        return differences
    finally:
        judged.unpersist()


def _judged(batch: Batch, cases: Sequence[FiledCase]) -> DataFrame:
    """All given lines, as an ingest writes them. ``source_file`` holds the numbers of case and line."""
    texts = [StructField(name, StringType()) for name in (*received_names(), "malformed_text", "source_file")]
    currency = min(batch.settings.currency_scales)
    rows = [
        {**line, "drop_date": filed.case.drop_date, "source_file": f"{case}/{number}"}
        for case, filed in enumerate(cases)
        for number, line in enumerate(filed.case.received(currency))
    ]
    schema = StructType([*texts, StructField("drop_date", DateType())])
    return validate_received(_as_landed(batch, local_frame(batch.spark, schema, rows)), batch.terms)


def _as_landed(batch: Batch, lines: DataFrame) -> DataFrame:
    """The lines as they are read from a file without a delivery profile."""
    if batch.settings.text.normalize != "none":
        texts = {name: normalized_field(F.col(name), F.lit(False)) for name in received_names()}
        lines = lines.withColumns(texts)
    return in_contract_form(lines, FieldForms(nulls=tuple(word for word in batch.settings.nulls if word)))


def _of_case(judged: DataFrame, number: int) -> DataFrame:
    return judged.filter(F.col("source_file").startswith(f"{number}/"))


def _outcomes(judged: DataFrame, rules: Iterable[OwnRule]) -> dict[str, str]:
    """What became of each line, in words, by its numbers."""
    warnings = [rule for rule in rules if rule.warns]
    warned = F.array_compact(F.array(*[F.when(holds(rule), F.lit(rule.name)) for rule in warnings]))
    rows = judged.select("source_file", "reject_reasons", warned.alias("warned")).collect()
    return {row.source_file: _in_words(row.reject_reasons, row.warned) for row in rows}


def _in_words(rejected: Sequence[str], warned: Sequence[str]) -> str:
    if rejected:
        return f"rejected: {', '.join(sorted(rejected))}"
    return f"warned: {', '.join(sorted(warned))}" if warned else "accepted"


def _line_differences(cases: Sequence[FiledCase], outcomes: Mapping[str, str]) -> list[Difference]:
    differences = []
    for case, filed in enumerate(cases):
        for number, expected in enumerate(filed.case.expect.lines):
            wanted, found = _in_words(expected.rejected, expected.warned), outcomes[f"{case}/{number}"]
            if wanted != found:
                differences.append(Difference(filed.title, f"line {number + 1}", (wanted,), (found,)))
    return differences


def _gold_differences(batch: Batch, filed: FiledCase, judged: DataFrame) -> list[Difference]:
    tables = {table.view: table for table in batch.lake.tables.gold}
    sales = _published(batch.settings, judged)
    dates = [row.business_date for row in sales.select("business_date").distinct().collect()]
    differences = []
    for name, expected in filed.case.expect.gold.items():
        frame = rows_of_lines(tables.values(), tables[name], sales, dict.fromkeys(dates, 1))
        rows = [_with_zones(row.asDict()) for row in frame.collect()]
        wanted, found = _compared(expected, rows, tables[name].schema)
        if Counter(wanted) != Counter(found):
            differences.append(Difference(filed.title, tables[name].name, wanted, found))
    return differences


def _published(settings: Settings, judged: DataFrame) -> DataFrame:
    """The accepted lines as ``silver/sales`` would hold them."""
    chunks = settings.chunks
    lines = with_chunk(filter_accepted(judged), chunks.key, chunks.key_ranges)
    return with_prices(filter_first_copies(resolve_copies(lines))).select(SALES.columns)


def _compared(
    expected: Sequence[Row], found: Iterable[Row], schema: StructType
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Both sides as text, over the columns that the expected rows name."""
    types = {name: schema[name].dataType for name in (expected[0] if expected else schema.names)}
    wanted, came = (tuple(sorted(_line_of(row, types) for row in rows)) for rows in (expected, found))
    return wanted, came


def _line_of(row: Row, types: Mapping[str, DataType]) -> str:
    return ", ".join(f"{name}: {_plain(row[name], data_type)}" for name, data_type in types.items())


def _plain(value: Any, data_type: DataType) -> str:
    """Text of a value: the same for a number, a date or a time, and for the text of it."""
    if value is None:
        return "null"
    try:
        if isinstance(data_type, NumericType):
            return f"{Decimal(str(value)).normalize():f}"
        if isinstance(data_type, TimestampType):
            return _moment(value)
    except (ArithmeticError, ValueError):  # what is expected is none: it differs
        return repr(value)
    text = str(value)
    if isinstance(data_type, BooleanType):
        return text.lower()
    return repr(text) if text == "null" else text


def _moment(value: Any) -> str:
    """The time in UTC; one without a zone is in UTC."""
    moment = value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(str(value))
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC).isoformat()


def _with_zones(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose times carry their zone: Spark hands them over in that of this process."""
    is_time = {name: isinstance(value, dt.datetime) for name, value in row.items()}
    return {name: value.astimezone(dt.UTC) if is_time[name] else value for name, value in row.items()}
