"""Registers the lake's tables by name in a catalog that Spark knows: Hive's metastore or Unity Catalog.

A name only points to the table's folder. The Delta log in that folder stays the source of truth. The batch
reads and writes by path. If a name is lost, the next run registers it again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Row, SparkSession

from pipeline.lake.causes import cause_of
from pipeline.lake.tables import Lake
from schemas.errors import UsageError
from schemas.tables import Table

_Result = TypeVar("_Result")


class Catalog:
    """A schema of a catalog, for example ``sales`` or ``spark_catalog.sales``."""

    def __init__(self, spark: SparkSession, schema: str) -> None:
        """Takes the session that knows the catalog, and the schema's name."""
        self._spark = spark
        self._schema = ".".join(f"`{part}`" for part in schema.split("."))
        self._name = schema

    def prepare(self) -> None:
        """Creates the schema if it does not exist.

        Raises:
            UsageError: the catalog does not exist, or it refuses.
        """
        # Check first: a user who may register tables may lack the right to create a schema. Unity Catalog
        # requires that right even if the schema exists.
        if not self._call(lambda: self._spark.catalog.databaseExists(self._schema)):
            self._run(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")

    def register(self, lake: Lake) -> list[str]:
        """Registers each existing table of the lake that has no name yet, for example as ``silver_sales``.

        Returns:
            The new names.

        Raises:
            UsageError: the catalog refuses.
        """
        registered = set(self._names())
        missing = [
            table for table in lake.tables.every if name_of(table) not in registered and lake.exists(table)
        ]
        for table in missing:
            name = f"{self._schema}.`{name_of(table)}`"
            location = lake.path(table).replace("\\", "\\\\").replace("'", "\\'")
            self._run(f"CREATE TABLE IF NOT EXISTS {name} USING delta LOCATION '{location}'")
        return [f"{self._name}.{name_of(table)}" for table in missing]

    def _names(self) -> list[str]:
        return [row.tableName for row in self._run(f"SHOW TABLES IN {self._schema}")]

    def _run(self, statement: str) -> list[Row]:
        return self._call(lambda: self._spark.sql(statement).collect())

    def _call(self, action: Callable[[], _Result]) -> _Result:
        try:
            return action()
        except PySparkException as error:
            raise UsageError(f"storage.catalog {self._name}: {cause_of(error)}") from None
        except Py4JJavaError as error:
            # PySpark does not convert a connector's exceptions. The outermost message holds the server's
            # answer; its first cause may be only a closed channel.
            message = str(error.java_exception.toString()).splitlines()[0]
            raise UsageError(f"storage.catalog {self._name}: {message}") from None


def name_of(table: Table) -> str:
    """Returns the name of a table in a catalog: ``silver_sales`` for ``silver/sales``."""
    return table.name.replace("/", "_")
