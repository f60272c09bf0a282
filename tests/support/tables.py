"""Tables and DataFrames as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from schemas.tables import Table


def values(frame: DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """Rows as tuples of some columns (all unless told), in an order that depends on the values alone."""
    rows = [tuple(row) for row in (frame.select(*columns) if columns else frame).collect()]
    return sorted(rows, key=_order)


def dicts(frame: DataFrame, *columns: str) -> list[dict[str, Any]]:
    """Rows as dicts of some columns (all unless told), in an order that depends on the values alone."""
    names = columns or tuple(frame.columns)
    return [dict(zip(names, row, strict=True)) for row in values(frame, *names)]


def table_path(lake: Path, table: Table) -> Path:
    """Where a table of a lake is."""
    return lake / table.name


def read_table(spark: SparkSession, lake: Path, table: Table, version: int | None = None) -> DataFrame:
    """A table of a lake, read by its path alone."""
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return reader.load(str(table_path(lake, table)))


def table_rows(spark: SparkSession, lake: Path, table: Table, *columns: str) -> list[dict[str, Any]]:
    """A table's rows as dicts; none where it is not there."""
    if not (table_path(lake, table) / "_delta_log").exists():
        return []
    return dicts(read_table(spark, lake, table), *columns)


def table_versions(lake: Path, tables: Iterable[Table]) -> dict[str, int]:
    """Latest version of each table that is there, counted from its log's files: no Spark."""
    logs = {table.name: table_path(lake, table) / "_delta_log" for table in tables}
    return {
        name: max(int(path.stem) for path in log.glob("*.json") if path.stem.isdigit())
        for name, log in logs.items()
        if log.exists()
    }


def shorten_log(spark: SparkSession, lake: Path, table: Table) -> None:
    """Leaves a table's log with one commit of another writer and a checkpoint that stands for all before it.

    As a changed property does, and 30 days after it.
    """
    path = table_path(lake, table)
    spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('x' = 'y')")
    jvm: Any = spark._jvm
    log, none = jvm.org.apache.spark.sql.delta.DeltaLog, jvm.scala.Option.empty()
    opened = log.forTable(spark._jsparkSession, str(path))
    snapshot = opened.update(False, none, none)
    opened.checkpoint(snapshot, none)
    for commit in (path / "_delta_log").glob("*.json"):
        if int(commit.name[:20]) < snapshot.version():
            commit.unlink()
    log.clearCache()


def _order(row: tuple[Any, ...]) -> list[tuple[bool, str]]:
    return [(value is None, str(value)) for value in row]
