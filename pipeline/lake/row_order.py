"""Finds window functions whose values chance would decide: their order does not tell rows apart.

Spark's optimizer knows which columns tell the rows of a grouped query apart. To know it of the tables that
the query selects from, it is given frames that are grouped by the tables' keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from pipeline.lake.gold_sql import select_rows
from pipeline.lake.jvm import members

# Rows that are equal in the order have the same value.
_OF_EQUALS = {"Rank", "DenseRank", "PercentRank", "CumeDist"}
# Takes one of them, whatever the frame is.
_OF_ONE = {"NthValue"}


def find_loose_orders(query: str, sources: Mapping[str, DataFrame]) -> Iterator[str]:
    """Names the window functions of a query for which rows may be equal in their order, one line each.

    Args:
        query: SQL of a gold table, which the analyzer accepts.
        sources: the frames that it selects from, as :func:`keyed_frame` makes them, by name.
    """
    rows: Any = select_rows(query, sources)._jdf
    for node in _nodes(rows.queryExecution().optimizedPlan()):
        if node.getClass().getSimpleName() == "Window":
            yield from _loose_functions(node)


def keyed_frame(spark: SparkSession, schema: StructType, key: tuple[str, ...]) -> DataFrame:
    """A frame without rows of which the optimizer knows that a key tells its rows apart."""
    # From an RDD: the optimizer would fold a plan over no rows into nothing.
    empty = spark.createDataFrame(spark.sparkContext.emptyRDD(), schema)
    others = [F.max(name).alias(name) for name in schema.names if name not in key]
    return empty.groupBy(*key).agg(F.count(F.lit(1)), *others).select(schema.names)


def _loose_functions(window: Any) -> Iterator[str]:
    order = [sort.child() for sort in members(window.orderSpec())]
    told = {name for name in map(_id_of, (*order, *members(window.partitionSpec()))) if name is not None}
    keys = [{_id_of(column) for column in members(key)} for key in members(window.child().distinctKeys())]
    if any(key <= told for key in keys):
        return
    for alias in members(window.windowExpressions()):
        expression = alias.child()
        name = _function_of(expression)
        if _depends_on_order(name, expression.windowSpec().frameSpecification()):
            by = ", ".join(_described(column) for column in order)
            yield (
                f"{name} over (order by {by}): rows may be equal in this order, and chance would decide; "
                "order by columns that tell all rows apart"
            )


def _function_of(expression: Any) -> str:
    function = expression.windowFunction()
    if function.getClass().getSimpleName() == "AggregateExpression":
        function = function.aggregateFunction()
    return str(function.getClass().getSimpleName())


def _depends_on_order(function: str, frame: Any) -> bool:
    """Whether a function tells rows apart that are equal in the order."""
    if function in _OF_EQUALS:
        return False
    bounds = [str(bound.getClass().getSimpleName()) for bound in (frame.lower(), frame.upper())]
    is_whole = bounds == ["UnboundedPreceding$", "UnboundedFollowing$"]
    return function in _OF_ONE or (str(frame.frameType()) == "RowFrame" and not is_whole)


def _id_of(expression: Any) -> int | None:
    """Number of a column in its plan; None for what is computed."""
    if expression.getClass().getSimpleName() != "AttributeReference":
        return None
    return int(expression.exprId().id())


def _described(expression: Any) -> str:
    return str(expression.sql() if _id_of(expression) is None else expression.name())


def _nodes(plan: Any) -> Iterator[Any]:
    """A plan, all below it, and the plans of its subqueries."""
    yield plan
    for below in (*members(plan.children()), *members(plan.subqueries())):
        yield from _nodes(below)
