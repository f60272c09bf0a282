"""Resolves the gold tables of a config with Spark's analyzer, before any work: their columns and types."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    IntegralType,
    NumericType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from pipeline.gold_config import BUILT_IN_SOURCES, DeclaredGold, DeclaredTables
from pipeline.lake.causes import cause_of
from pipeline.lake.frames import local_frame
from pipeline.lake.gold_sql import select_rows
from schemas.errors import UsageError
from schemas.gold import GOLD, SALES_VIEW, GoldTable
from schemas.states import Stage
from schemas.tables import SALES

# Expressions that give other values at another time or to another user, or that run code from elsewhere.
_UNSTABLE = re.compile(
    r"Current\w+|Now|LocalTimestamp|UnixTimestampNow|.*UDF|.*UDAF|.*UDTF|HiveGeneric\w+|CallMethodViaReflection"
    r"|InputFile\w+|SparkVersion"
)
# Aggregates whose value depends on the order of rows, or on chance among equals.
_ORDERED = re.compile(
    r"First|Last|AnyValue|CollectList|ListAgg|MaxBy|MinBy|Mode|ApproximatePercentile|ApproxTopK\w*"
)
_BINARY_FLOATS = ("float", "double")
# Types that every reader of Delta knows, and whose rows can be compared.
_KEPT = (StringType, NumericType, BooleanType, DateType, TimestampType)


def resolve_declared(spark: SparkSession, tables: DeclaredTables) -> tuple[GoldTable, ...]:
    """Resolves the declared gold tables.

    Args:
        spark: session.
        tables: declarations that :func:`pipeline.gold_config.check_declared` accepts, by name.

    Returns:
        The tables, each after those that it selects from.

    Raises:
        UsageError: the SQL does not fit the columns, or gives columns that a gold table must not have.
    """
    declared = {name: table for name, table in tables.items() if table is not None}
    if not declared:
        return ()
    from pipeline.planning.gold_queries import in_order, read_query

    queries = {name: read_query(table.sql.text, table.period_column) for name, table in declared.items()}
    resolved: dict[str, GoldTable] = {}
    for name in in_order({name: query.sources for name, query in queries.items()}):
        sources = queries[name].sources
        schema = _analyse(spark, name, declared[name], sources, resolved)
        digests = [resolved[source].digest for source in sources if source in resolved]
        resolved[name] = GoldTable(
            name=f"{GOLD}{name}",
            base=schema,
            partition_by=(declared[name].period_column,),
            application=Stage.DAILY_SALES.value,
            period=declared[name].period,
            grain=declared[name].keys[1:],
            identifier=declared[name].keys,
            query=declared[name].sql.text,
            sources=sources,
            is_separable=queries[name].is_separable,
            reconcile=declared[name].reconcile,
            digest=declared[name].digest(schema.simpleString(), digests),
            stage=Stage.DAILY_SALES,
        )
    return tuple(resolved.values())


def _analyse(
    spark: SparkSession,
    name: str,
    declared: DeclaredGold,
    sources: tuple[str, ...],
    resolved: Mapping[str, GoldTable],
) -> StructType:
    known = {SALES_VIEW: SALES, **BUILT_IN_SOURCES, **resolved}
    frames = {source: local_frame(spark, known[source].schema) for source in {SALES_VIEW, *sources}}
    where = f"gold.{name}: {declared.sql.path}"
    try:
        rows = select_rows(declared.sql.text, frames)
    except (AnalysisException, ParseException) as error:
        raise UsageError(f"{where}: {_describe(error)}") from None
    for problem in _problems_of_plan(rows):
        raise UsageError(f"{where}: {problem}")
    for problem in _problems_of_columns(rows.schema, declared):
        raise UsageError(f"{where}: {problem}")
    return StructType([StructField(field.name, field.dataType) for field in rows.schema.fields])


def _describe(error: AnalysisException) -> str:
    """The first line of Spark's message, without its code, and the position."""
    text = re.sub(r"\s*SQLSTATE: \w+", "", re.sub(r"^\[[\w.]+\] ", "", cause_of(error)))
    position = re.search(r"line (\d+),? pos(?:ition)? (\d+)", str(error))
    at = f"line {position[1]}, column {int(position[2]) + 1}: " if position else ""
    return at + re.sub(r"\s*[;.]?\s*line \d+,? pos(?:ition)? \d+.*$", "", text)


def _problems_of_plan(rows: DataFrame) -> Iterator[str]:
    frame: Any = rows._jdf
    plan = frame.queryExecution().analyzed()
    nodes = json.loads(plan.toJSON())
    names = {str(node["class"]).rsplit(".", 1)[-1] for node in _nodes_in(nodes)}
    for name in sorted(names):
        if _UNSTABLE.fullmatch(name):
            yield f"{name} is not allowed: the same lines must always give the same rows"
        if _ORDERED.fullmatch(name):
            yield (
                f"{name} is not allowed, since it depends on the order of rows: take "
                "max(struct(order, value)).value"
            )
    if any(_is_cast_to_float(node) for node in _nodes_in(nodes)):
        yield "it casts to a binary floating-point number, which rounds: use decimals"
    if not plan.deterministic():
        yield "it uses a function that depends on chance: the same lines must always give the same rows"


def _nodes_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every operator and expression of a plan in Spark's JSON."""
    if isinstance(value, dict):
        if "class" in value:
            yield value
        for part in value.values():
            yield from _nodes_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from _nodes_in(part)


def _is_cast_to_float(node: Mapping[str, Any]) -> bool:
    return str(node["class"]).endswith("Cast") and node.get("dataType") in _BINARY_FLOATS


def _problems_of_columns(schema: StructType, declared: DeclaredGold) -> Iterator[str]:
    fields = {field.name: field.dataType for field in schema.fields}
    if len({name.lower() for name in schema.fieldNames()}) < len(schema.fields):
        yield f"two columns have the same name: {', '.join(schema.fieldNames())}"
    for name in (*declared.keys, *declared.reconcile):
        if name not in fields:
            yield f"it does not select the column {name!r}; it selects {', '.join(fields)}"
            return
    yield from _problems_of_types(fields, declared)
    yield from _problems_of_sums(fields, declared.reconcile)


def _problems_of_types(fields: Mapping[str, DataType], declared: DeclaredGold) -> Iterator[str]:
    period = fields[declared.period_column]
    if not isinstance(period, DateType):
        yield (
            f"{declared.period_column} is {period.simpleString()}, must be the first date of the period: "
            f"cast(date_trunc('{declared.period}', business_date) as date)"
        )
    for name, data_type in fields.items():
        if data_type.typeName() in _BINARY_FLOATS:
            yield f"{name} is {data_type.simpleString()}, which rounds: cast it to a decimal"
        if not isinstance(data_type, _KEPT):
            yield f"{name} is {data_type.simpleString()}: a gold table holds text, numbers, dates and times"


def _problems_of_sums(fields: Mapping[str, DataType], reconcile: Iterable[str]) -> Iterator[str]:
    for name in reconcile:
        if name not in SALES.columns or not isinstance(SALES.schema[name].dataType, NumericType):
            yield f"reconcile: {name!r} is not a number of silver/sales"
        elif not isinstance(fields[name], DecimalType | IntegralType):
            yield f"reconcile: {name} is {fields[name].simpleString()}, must be a sum of decimals"
