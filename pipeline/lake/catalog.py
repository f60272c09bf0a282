"""The lake's tables by name, in a catalog that Spark knows: Hive's metastore, Unity Catalog.

A name is a pointer to the table's folder, whose Delta log stays the truth: the batch itself reads and writes
by path, and a name that was lost is made again by the next run.
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
from schemas.lake import TABLES
from schemas.tables import Table

_Answer = TypeVar("_Answer")


class Catalog:
    """A schema of a catalog, as ``sales`` or ``spark_catalog.sales``."""

    def __init__(self, spark: SparkSession, schema: str) -> None:
        """Takes the session that knows the catalog, and the schema's name."""
        self._spark = spark
        self._schema = ".".join(f"`{part}`" for part in schema.split("."))
        self._asked = schema

    def prepare(self) -> None:
        """Makes the schema where it is not there.

        Raises:
            UsageError: there is no such catalog, or it refuses.
        """
        # Asked first: whoever may name tables in a schema need not have the right to make one, and Unity
        # Catalog wants that right even where the schema is there.
        if not self._ask(lambda: self._spark.catalog.databaseExists(self._schema)):
            self._run(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")

    def register(self, lake: Lake) -> list[str]:
        """Names every table of the lake that is there and has no name yet, as ``silver_sales``.

        Returns:
            The names that are new.

        Raises:
            UsageError: the catalog refuses.
        """
        named = set(self._names())
        missing = [table for table in TABLES if name_of(table) not in named and lake.exists(table)]
        for table in missing:
            name = f"{self._schema}.`{name_of(table)}`"
            location = lake.path(table).replace("'", "\\'")
            self._run(f"CREATE TABLE IF NOT EXISTS {name} USING delta LOCATION '{location}'")
        return [f"{self._asked}.{name_of(table)}" for table in missing]

    def _names(self) -> list[str]:
        return [row.tableName for row in self._run(f"SHOW TABLES IN {self._schema}")]

    def _run(self, statement: str) -> list[Row]:
        return self._ask(lambda: self._spark.sql(statement).collect())

    def _ask(self, question: Callable[[], _Answer]) -> _Answer:
        try:
            return question()
        except PySparkException as error:
            raise UsageError(f"storage.catalog {self._asked}: {cause_of(error)}") from None
        except Py4JJavaError as error:
            # What a connector throws is none of PySpark's errors. Its own message tells the server's answer;
            # the first cause below it may be no more than a closed channel.
            said = str(error.java_exception.toString()).splitlines()[0]
            raise UsageError(f"storage.catalog {self._asked}: {said}") from None


def name_of(table: Table) -> str:
    """Name of a table in a catalog, which knows no folders: ``silver/sales`` is ``silver_sales``."""
    return table.name.replace("/", "_")
