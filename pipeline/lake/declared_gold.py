"""Resolves the gold tables of a config with Spark's analyzer, before any work: their columns and types."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from pipeline.lake.row_order import find_loose_orders, keyed_frame
from schemas.errors import UsageError
from schemas.gold import GOLD, SALES_VIEW, GoldTable
from schemas.states import Stage
from schemas.tables import SALES, Table
from transforms.fields import MAX_AMOUNT_DECIMALS
from transforms.hashing import KEY_COLUMNS
from transforms.sums import NARROW, summed_exactly

# Expressions that give other values at another time or to another user, or that run code from elsewhere.
_UNSTABLE = re.compile(
    r"Current\w+|Now|LocalTimestamp|UnixTimestampNow|.*UDF|.*UDAF|.*UDTF|HiveGeneric\w+|CallMethodViaReflection"
    r"|InputFile\w+|SparkVersion|Collate"
)
# Aggregates whose value depends on the order of rows, or on chance among equals.
_ORDERED = re.compile(
    r"First|Last|AnyValue|CollectList|ListAgg|MaxBy|MinBy|Mode|ApproximatePercentile|ApproxTopK\w*"
    r"|HistogramNumeric|Hll\w+|Kll\w+|Theta\w+"
)
# What stands for a value of the lines in an expression.
_OF_LINES = {"AttributeReference", "OuterReference", "ScalarSubquery", "NamedLambdaVariable"}
# A name that every engine takes, and none of the checks uses for itself.
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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
    known: dict[str, Table] = {SALES_VIEW: SALES, **BUILT_IN_SOURCES, **resolved}
    frames = {source: local_frame(spark, known[source].schema) for source in {SALES_VIEW, *sources}}
    where = f"gold.{name}: {declared.sql.path}"
    try:
        rows = select_rows(declared.sql.text, frames)
    except (AnalysisException, ParseException) as error:
        raise UsageError(f"{where}: {_describe(error)}") from None
    for problem in _problems_of_plan(rows, declared.sql.text):
        raise UsageError(f"{where}: {problem}")
    if "over" in declared.sql.text.lower():
        keyed = {
            source: keyed_frame(spark, known[source].schema, _key_of(known[source])) for source in frames
        }
        for problem in find_loose_orders(declared.sql.text, keyed):
            raise UsageError(f"{where}: {problem}")
    for problem in _problems_of_columns(rows.schema, declared):
        raise UsageError(f"{where}: {problem}")
    return StructType([StructField(field.name, field.dataType) for field in rows.schema.fields])


def _key_of(table: Table) -> tuple[str, ...]:
    """Columns that tell the rows of a table apart."""
    return (table.period_column, *table.grain) if isinstance(table, GoldTable) else KEY_COLUMNS


def _describe(error: AnalysisException) -> str:
    """The first line of Spark's message, without its code, and the position."""
    text = re.sub(r"\s*SQLSTATE: \w+", "", re.sub(r"^\[[\w.]+\] ", "", cause_of(error)))
    position = re.search(r"line (\d+),? pos(?:ition)? (\d+)", str(error))
    at = f"line {position[1]}, column {int(position[2]) + 1}: " if position else ""
    return at + re.sub(r"\s*[;.]?\s*line \d+,? pos(?:ition)? \d+.*$", "", text)


def _problems_of_plan(rows: DataFrame, query: str) -> Iterator[str]:
    frame: Any = rows._jdf
    plan = frame.queryExecution().analyzed()
    nodes = list(_nodes_in(json.loads(plan.toJSON())))
    names = {node.name for node in nodes}
    for name in sorted(names):
        if _UNSTABLE.fullmatch(name):
            yield f"{name} is not allowed: the same lines must always give the same rows"
        if _ORDERED.fullmatch(name):
            yield (
                f"{name} is not allowed, since it depends on the order of rows: take "
                "max(struct(order, value)).value"
            )
    summed = summed_exactly(query)
    yield from filter(None, (_problem_of_node(node, summed) for node in nodes))
    if not plan.deterministic():
        yield "it uses a function that depends on chance: the same lines must always give the same rows"


@dataclass(frozen=True)
class _Node:
    """An operator or expression of a plan in Spark's JSON, with those around it.

    Attributes:
        fields: what the JSON tells of it.
        parents: classes of those that it stands in, the outermost first.
        below: those that stand in it, in order.
    """

    fields: Mapping[str, Any]
    parents: tuple[str, ...]
    below: tuple[Mapping[str, Any], ...]

    @property
    def name(self) -> str:
        return _name_of(self.fields)


def _name_of(fields: Mapping[str, Any]) -> str:
    return str(fields["class"]).rsplit(".", 1)[-1]


def _nodes_in(value: Any) -> Iterator[_Node]:
    """Every operator and expression of a plan. Spark tells each tree as a list, each node before its own."""
    if isinstance(value, dict):
        for part in value.values():
            yield from _nodes_in(part)
    elif isinstance(value, list):
        if value and all(isinstance(part, dict) and "num-children" in part for part in value):
            yield from _nodes_of_tree(value, 0, ())
        for part in value:
            yield from _nodes_in(part)


def _nodes_of_tree(tree: Sequence[Mapping[str, Any]], start: int, parents: tuple[str, ...]) -> list[_Node]:
    """A node of a tree and all below it."""
    found: list[_Node] = []
    path = (*parents, _name_of(tree[start]))
    for _ in range(tree[start]["num-children"]):
        found += _nodes_of_tree(tree, start + 1 + len(found), path)
    below = tuple(tree[start + 1 : start + 1 + len(found)])
    return [_Node(tree[start], parents, below), *found]


def _problem_of_node(node: _Node, summed: Collection[str]) -> str | None:
    if node.name == "CollectSet" and not set(node.parents[-2:]) & {"SortArray", "Size"}:
        return "CollectSet is not allowed, since its order is chance: sort_array(collect_set(...)) is"
    if node.name == "Cast" and node.fields["dataType"] in _BINARY_FLOATS:
        return "it casts to a binary floating-point number, which rounds: use decimals"
    if _reads_time(node):
        return _problem_of_time(node)
    if node.name == "Sum" and _name_of(node.below[0]) == "Cast" and node.below[0]["dataType"] == NARROW:
        return _problem_of_sum(node.below[1], summed)
    return None


def _reads_time(node: _Node) -> bool:
    is_cast = node.name == "Cast" and str(node.fields["dataType"]).startswith(("date", "time"))
    return is_cast or node.name in ("ParseToDate", "ParseToTimestamp")


def _problem_of_time(reader: _Node) -> str | None:
    """Spark looks for words for the clock in a text without columns."""
    if any(_name_of(fields) in _OF_LINES for fields in reader.below):
        return None
    texts = [fields for fields in reader.below if fields.get("dataType") == "string" and "value" in fields]
    first = reader.below[0]
    if not texts or (_name_of(first) == "Literal" and re.match(r"\s*[+-]?\d", str(first["value"]))):
        return None
    shown = ", ".join(repr(text["value"]) for text in texts)
    return f"{shown} is read from the clock: write a date or a time in digits"


def _problem_of_sum(column: Mapping[str, Any], summed: Collection[str]) -> str | None:
    name = str(column.get("name"))
    if name.lower() not in summed:
        return None
    decimal = re.fullmatch(r"decimal\(\d+,(\d+)\)", str(column["dataType"]))
    if decimal is None or int(decimal[1]) <= MAX_AMOUNT_DECIMALS:
        return None
    return f"exact_sum({name}): it has more than {MAX_AMOUNT_DECIMALS} decimals, which are lost: use sum"


def _problems_of_columns(schema: StructType, declared: DeclaredGold) -> Iterator[str]:
    fields = {field.name: field.dataType for field in schema.fields}
    if len({name.lower() for name in schema.fieldNames()}) < len(schema.fields):
        yield f"two columns have the same name: {', '.join(schema.fieldNames())}"
    for name in schema.fieldNames():
        if not _COLUMN.fullmatch(name):
            yield f"the column {name!r} needs a name of letters, digits and _, as in count(*) as lines"
    if len(schema.fields) == 1:
        yield f"it selects {schema.fieldNames()[0]} alone: a table has a column besides its period"
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
