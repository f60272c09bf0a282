"""The lake's Delta tables: read at a version, replaced date by date in one commit, never half."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import delta.exceptions as delta_errors  # converts Delta's Java errors: must be imported before they occur
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from lake.delta_log import DeltaLog
from lake.files import FileStore, Usage
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
        self._before_commit: Callable[[], None] = _nothing

    def check_before_commit(self, check: Callable[[], None]) -> None:
        """Makes every commit from now on call a function first; what it raises stops the commit."""
        self._before_commit = check

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

    def vacuum(self, table: Table, retain_hours: float) -> None:
        """Deletes files that no version of the last hours refers to: replaced ones, and what crashes left.

        Args:
            table: contract.
            retain_hours: how old such a file must be; below 168 only where no run is at work.
        """
        if self.exists(table):
            self._spark.sql(self._vacuum(table, retain_hours)).collect()

    def count_unreferred(self, table: Table, retain_hours: float) -> int:
        """How many files ``vacuum`` would delete; Delta tells no more than a thousand."""
        if not self.exists(table):
            return 0
        return self._spark.sql(f"{self._vacuum(table, retain_hours)} DRY RUN").count()

    def _vacuum(self, table: Table, retain_hours: float) -> str:
        self._spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
        return f"VACUUM delta.`{self.path(table)}` RETAIN {retain_hours:f} HOURS"

    def usage(self, table: Table) -> Usage:
        """Data files of a table, those of old versions among them."""
        return self._files.usage(table.name) - self._files.usage(f"{table.name}/_delta_log")

    def scattered(self, table: Table, files: int, mean_bytes: int) -> list[dt.date | None]:
        """Dates of a table that lie in many small files; of a table without dates, None where it does.

        Args:
            table: contract.
            files: number of files that is still few.
            mean_bytes: mean size of a file that is still small.
        """
        snapshot = self._snapshot(table) if self.exists(table) else None
        if snapshot is None or snapshot.numOfFiles() <= files:  # told by the log's checksum, without a query
            return []
        column = table.partition_by[0] if table.partition_by else None
        date = F.lit(None).cast("date") if column is None else F.col("partitionValues")[column].cast("date")
        added = DataFrame(snapshot.allFiles().toDF(), self._spark)
        found = added.groupBy(date.alias("date")).agg(
            F.count("*").alias("files"), F.avg("size").alias("mean")
        )
        rows = found.filter((F.col("files") > files) & (F.col("mean") < mean_bytes)).select("date").collect()
        return [row.date for row in rows]

    def compact(self, table: Table, dates: Sequence[dt.date | None]) -> int:
        """Merges small files; what readers see stays the same.

        Args:
            table: contract.
            dates: dates to compact; None in it for a table without dates.

        Returns:
            Files that were merged into larger ones.
        """
        where = [date for date in dates if date is not None]
        condition = f" WHERE {date_condition(table.partition_by[0], where)}" if where else ""
        self._before_commit()
        metrics = self._spark.sql(f"OPTIMIZE delta.`{self.path(table)}`{condition}").select("metrics").first()
        return 0 if metrics is None else int(metrics.metrics.numFilesRemoved)

    def checkpoint(self, table: Table) -> None:
        """Writes a table's state as one file of its log, and lets go of what is older than its retention."""
        if self.exists(table):
            self._log(table).checkpoint()

    def commits(self, table: Table, after: int) -> list[Commit]:
        """Commits of a table after a version, oldest first."""
        latest = self.version(table)
        if latest is None or latest <= after:
            return []
        return [self.commit(table, version) for version in range(after + 1, latest + 1)]

    def commit(self, table: Table, version: int) -> Commit:
        """One commit of a table's history; without metadata where the history of that time is gone."""
        return Commit(version, _own_metadata(self._log(table).commit_metadata(version)))

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
        self._before_commit()
        try:
            action()
        except _CONCURRENT:
            raise TryAgainError(
                f"table {table.name}: another run wrote to it at the same time; run again"
            ) from None


def _nothing() -> None:
    """Where no lock has to be proven."""


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
