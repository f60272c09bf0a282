"""The lake's Delta tables: read at a version, replaced date by date in one commit, never half."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import delta.exceptions as delta_errors  # converts Delta's Java errors: must be imported before they occur
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lake.delta_log import DeltaLog
from lake.files import FileStore
from lake.frames import local_frame, local_table
from schemas.errors import TryAgainError, UsageError
from schemas.tables import TABLES, Table

_CONCURRENT = (
    delta_errors.ConcurrentAppendException,
    delta_errors.ConcurrentDeleteDeleteException,
    delta_errors.ConcurrentDeleteReadException,
    delta_errors.ConcurrentTransactionException,
    delta_errors.ConcurrentWriteException,
    delta_errors.MetadataChangedException,
    delta_errors.ProtocolChangedException,
)


@dataclass(frozen=True)
class Commit:
    """One commit of a table's history.

    Attributes:
        version: table version that it made.
        metadata: what the writer said of it, empty where nothing of ours.
    """

    version: int
    metadata: Mapping[str, Any]


class Lake:
    """All tables below one root."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        """Opens a lake.

        Args:
            spark: session.
            root: path or URI; made where it is not there.
        """
        self._spark = spark
        self._files = FileStore(spark, root)
        self._existing: set[str] = set()

    @property
    def root(self) -> str:
        """Full URI."""
        return self._files.root

    def prepare(self) -> None:
        """Makes the root where it is not there, and proves that it can be written to.

        Raises:
            UsageError: it cannot.
        """
        try:
            self._files.make_folder()
            self._files.check_writable()
        except OSError as error:
            raise UsageError(f"lake {self.root}: cannot be written to: {error}") from None

    def check_schemas(self) -> None:
        """Compares each table that is there with its contract.

        Raises:
            UsageError: a table is another's: the text names the table, the column, both types.
        """
        for table in TABLES:
            if self.exists(table):
                self._check_schema(table)

    @property
    def files(self) -> FileStore:
        """Files below the root."""
        return self._files

    def path(self, table: Table) -> str:
        """Full URI of a table."""
        return f"{self.root.rstrip('/')}/{table.name}"

    def exists(self, table: Table) -> bool:
        """Whether a table is there."""
        if table.name not in self._existing and self._files.exists(f"{table.name}/_delta_log"):
            self._existing.add(table.name)
        return table.name in self._existing

    def version(self, table: Table) -> int | None:
        """Latest version of a table, None where it is not there."""
        return int(self._snapshot(table).version()) if self.exists(table) else None

    def transaction(self, table: Table, application: str) -> int:
        """Last transaction number that an application committed to a table; 0 where none."""
        if not self.exists(table):
            return 0
        return self._log(table).transaction(application)

    def read(self, table: Table, version: int | None = None) -> DataFrame:
        """A table's rows, none where it is not there.

        Args:
            table: contract.
            version: version to read, the latest where None.
        """
        if not self.exists(table):
            return local_frame(self._spark, table.schema)
        reader = self._spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        return reader.load(self.path(table))

    def rows(self, table: Table, run_id: str | None = None) -> list[dict[str, Any]]:
        """Rows of a small table, by column name; times carry their zone.

        Args:
            table: contract.
            run_id: only rows of this run; None for all.
        """
        if not self.exists(table):
            return []
        found = self._log(table).rows(local_table(table.schema).schema)
        if found is None:
            rows = self.read(table)
            found = (rows if run_id is None else rows.filter(F.col("run_id") == run_id)).toArrow()
        elif run_id is not None:
            found = found.filter(pc.field("run_id") == run_id)
        listed: list[dict[str, Any]] = found.to_pylist()
        return listed

    def ensure(self, table: Table) -> None:
        """Makes a table, empty, where it is not there."""
        if self.exists(table):
            return
        self._guarded(lambda: self._log(table).create(_properties(table)), table)
        self._existing.add(table.name)

    def append(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends a few rows in one commit; nothing for none."""
        if not rows:
            return
        self.ensure(table)
        self._guarded(lambda: self._log(table).append(local_table(table.schema, rows)), table)

    def replace(
        self,
        table: Table,
        rows: DataFrame,
        dates: Iterable[dt.date],
        metadata: Mapping[str, Any],
        transaction: tuple[str, int] | None = None,
    ) -> int | None:
        """Replaces whole partitions of a table by date, in one commit.

        Args:
            table: contract, partitioned by a date.
            rows: new content of these dates; a date with no row is emptied.
            dates: the dates replaced; a row of any other fails the write.
            metadata: kept with the commit; holds ``run_id``, by which the commit is found again.
            transaction: application and number; a number that another run reached first commits nothing.

        Returns:
            The version that this write made; None where another run's transaction outran it.

        Raises:
            TryAgainError: another run wrote to the same dates at the same time.
        """
        self.ensure(table)
        before = self.version(table) or 0
        writer = (
            rows.write.format("delta")
            .mode("overwrite")
            .option("replaceWhere", date_condition(table.partition_by[0], dates))
            .option("userMetadata", json.dumps(metadata, sort_keys=True))
        )
        if transaction is not None:
            application, number = transaction
            writer = writer.option("txnAppId", application).option("txnVersion", number)
        self._guarded(lambda: writer.save(self.path(table)), table)
        # Delta passes over an outrun transaction in silence: only our own commit proves the write.
        own = [commit for commit in self.commits(table, before) if commit.metadata == metadata]
        return own[-1].version if own else None

    def vacuum(self, table: Table, retain_hours: float, *, dry_run: bool) -> int:
        """Deletes files that no version of the last hours refers to: replaced ones, and what crashes left.

        Args:
            table: contract.
            retain_hours: how old such a file must be; below 168 only where no run is at work.
            dry_run: whether only to count.

        Returns:
            How many.
        """
        if not self.exists(table):
            return 0
        self._spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
        command = f"VACUUM delta.`{self.path(table)}` RETAIN {retain_hours:f} HOURS"
        found = self._spark.sql(f"{command} DRY RUN").count()
        if found and not dry_run:
            self._spark.sql(command)
        return found

    def commits(self, table: Table, after: int) -> list[Commit]:
        """Commits of a table after a version, oldest first."""
        latest = self.version(table)
        if latest is None or latest <= after:
            return []
        log = self._log(table)
        return [
            Commit(version, _own_metadata(log.commit_metadata(version)))
            for version in range(after + 1, latest + 1)
        ]

    def _check_schema(self, table: Table) -> None:
        schema = StructType.fromJson(json.loads(self._snapshot(table).schema().json()))
        found = {field.name: field.dataType for field in schema.fields}
        for column in table.schema.fields:
            expected = column.dataType.simpleString()
            if column.name not in found:
                raise UsageError(
                    f"table {self.path(table)} is another's: no column {column.name} ({expected})"
                )
            actual = found[column.name].simpleString()
            if actual != expected:
                raise UsageError(
                    f"table {self.path(table)} is another's: column {column.name} is {actual}, "
                    f"must be {expected}"
                )

    def _snapshot(self, table: Table) -> Any:
        return self._log(table).snapshot()

    def _log(self, table: Table) -> DeltaLog:
        return DeltaLog(self._spark, self._files, table)

    def _guarded(self, action: Any, table: Table) -> None:
        try:
            action()
        except _CONCURRENT:
            raise TryAgainError(
                f"table {table.name}: another run wrote to it at the same time; run again"
            ) from None


def _properties(table: Table) -> dict[str, str]:
    """Delta's settings of a table."""
    properties = (
        {"delta.dataSkippingStatsColumns": ",".join(table.statistics)}
        if table.statistics
        else {"delta.dataSkippingNumIndexedCols": "0"}
    )
    if not table.partition_by:
        # A checkpoint is a Spark query; each ten commits, as Delta has it, some run of three waits for one.
        properties["delta.checkpointInterval"] = "100"
    return properties


def date_condition(column: str, dates: Iterable[dt.date]) -> str:
    """SQL condition that a date column is one of the dates; for none of them, one that never holds."""
    literals = ", ".join(f"date'{date.isoformat()}'" for date in sorted(set(dates)))
    return f"{column} in ({literals})" if literals else f"{column} is null and false"


def filter_dates(rows: DataFrame, column: str, dates: Iterable[dt.date]) -> DataFrame:
    """Rows whose date is one of the dates."""
    return rows.filter(F.expr(date_condition(column, dates)))


def _own_metadata(text: str | None) -> Mapping[str, Any]:
    try:
        content = json.loads(text or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
