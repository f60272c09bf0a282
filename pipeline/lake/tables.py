"""The lake's Delta tables: read at a version, replaced date by date in one commit, never half."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import delta.exceptions as delta_errors  # converts Delta's Java errors: must be imported before they occur
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, StructType

from pipeline.lake.delta_log import DeltaLog, date_condition
from pipeline.lake.files import FileStore, Usage
from pipeline.lake.frames import local_frame, local_table
from schemas.errors import TryAgainError, UsageError
from schemas.lake import DATA_TABLES, TABLES
from schemas.tables import SCHEMA_VERSION, SCHEMA_VERSION_PROPERTY, Table

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


@dataclass(frozen=True)
class Difference:
    """What makes a table another one than its contract.

    Attributes:
        table: contract.
        missing: columns and fields that an older version of the table lacks; each can be added.
        problem: what cannot be mended; None where nothing is.
        version: schema version that the table says it has.
    """

    table: Table
    missing: tuple[str, ...]
    problem: str | None
    version: int

    @property
    def is_older(self) -> bool:
        """Whether migrate_tables can bring the table up to date."""
        return self.problem is None and (bool(self.missing) or self.version < SCHEMA_VERSION)


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
        self._numbers: dict[str, int] = {}
        self._logs: dict[str, DeltaLog] = {}

    def check_before_commit(self, check: Callable[[], None]) -> None:
        """Makes every commit from now on call a function first; what it raises stops the commit."""
        self._before_commit = check

    def pin_transactions(self) -> None:
        """Notes each table's transaction number: a later commit of another run stops those of this run."""
        self._numbers = {table.name: self.transaction(table) for table in DATA_TABLES}

    def fence(self, run_id: str) -> None:
        """Raises each table's transaction number, so that a run which lost its lock cannot commit."""
        for table in DATA_TABLES:
            if self.exists(table):
                self._note(table, {"job": "fence", "run_id": run_id})

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
            UsageError: a table is older, newer or another's: the text names the table and what to do.
        """
        for found in self.differences():
            if found.problem is not None:
                raise UsageError(found.problem)
            if found.is_older:
                raise UsageError(
                    f"table {self.path(found.table)} was made by an older version (schema version "
                    f"{found.version}, this version has {SCHEMA_VERSION}): run migrate_tables"
                )

    def check_checksums(self) -> None:
        """Proves that the checksum of each table of bronze, silver and gold names the files of its log.

        Raises:
            UsageError: one does not; the text names its file.
        """
        for table in DATA_TABLES:
            if self.exists(table):
                self._log(table).check_checksum()

    def differences(self) -> list[Difference]:
        """How each table that is there differs from its contract."""
        return [self._difference(table) for table in TABLES if self.exists(table)]

    def migrate(self, found: Difference) -> None:
        """Adds what an older table lacks, in one commit; rows stay as they are."""
        table = found.table
        schema = _merged(self._schema(table), table.schema)
        properties = {SCHEMA_VERSION_PROPERTY: str(SCHEMA_VERSION)}
        self._guarded(lambda: self._log(table).update_definition(schema.json(), properties), table)

    @property
    def files(self) -> FileStore:
        """Files below the root."""
        return self._files

    def path(self, table: Table) -> str:
        """Full URI of a table."""
        return f"{self.root.rstrip('/')}/{table.name}"

    def exists(self, table: Table) -> bool:
        """Whether a table is there."""
        if table.name not in self._existing and self._has_commit(table):
            self._existing.add(table.name)
        return table.name in self._existing

    def _has_commit(self, table: Table) -> bool:
        """A log without a commit is what a crash leaves of a table that was about to be made."""
        folder = f"{table.name}/_delta_log"
        if self._files.exists(f"{folder}/{0:020d}.json"):
            return True
        # The first commit is deleted once a checkpoint holds what it said.
        return self._files.exists(folder) and self.has_version(table)

    def has_version(self, table: Table) -> bool:
        """Whether Delta finds any version of a table."""
        return int(self._snapshot(table).version()) >= 0

    def version(self, table: Table) -> int | None:
        """Latest version of a table, None where it is not there."""
        return int(self._snapshot(table).version()) if self.exists(table) else None

    def transaction(self, table: Table) -> int:
        """Last transaction number that the batch committed to a table; 0 where none."""
        return self._log(table).transaction(table.application) if self.exists(table) else 0

    def next_number(self, table: Table) -> int:
        """Transaction number of this run's next commit to a table."""
        if table.name not in self._numbers:
            self._numbers[table.name] = self.transaction(table)
        return self._numbers[table.name] + 1

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

    def read_dates(self, table: Table, dates: Iterable[dt.date], version: int | None = None) -> DataFrame:
        """Rows of some dates of a table that is partitioned by date, none where it is not there.

        Args:
            table: contract.
            dates: dates of the column by which it is partitioned.
            version: version to read, the latest where None.
        """
        if not self.exists(table):
            return local_frame(self._spark, table.schema)
        wanted = set(dates)
        found = self._log(table).read(version, wanted)
        if found is None:
            return filter_dates(self.read(table, version), table.partition_by[0], wanted)
        return found

    def rows(self, table: Table, run_id: str | None = None) -> list[dict[str, Any]]:
        """Rows of a small table, by column name; times carry their zone.

        Args:
            table: contract.
            run_id: only rows of this run; None for all.
        """
        if not self.exists(table):
            return []
        found = self._log(table).rows()
        if found is None:
            rows = self.read(table)
            found = (rows if run_id is None else rows.filter(F.col("run_id") == run_id)).toArrow().to_pylist()
        absent = dict.fromkeys(table.columns)
        return [{**absent, **row} for row in found if run_id is None or row["run_id"] == run_id]

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

    def rewrite(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replaces all rows of a small table, in one commit."""
        writer = local_frame(self._spark, table.schema, rows).write.format("delta").mode("overwrite")
        self._guarded(lambda: writer.save(self.path(table)), table)

    def replace(
        self, table: Table, rows: DataFrame, dates: Iterable[dt.date], metadata: Mapping[str, Any]
    ) -> int:
        """Replaces whole partitions of a table by date, in one commit, whether or not any row changes.

        Args:
            table: contract, partitioned by a date.
            rows: new content of these dates; a date with no row is emptied.
            dates: the dates replaced.
            metadata: kept with the commit; holds ``run_id``, by which the commit is found again.

        Returns:
            The version that this write made.

        Raises:
            TryAgainError: another run was first, or took the lake over.
            ValueError: a row is of another date, or the columns are not the table's.
        """
        self.ensure(table)
        _check_columns(rows, table)
        number, text, made = self.next_number(table), json.dumps(metadata, sort_keys=True), []
        contents = rows.select(*table.columns), set(dates), text, table.application, number
        write = self._log(table).replace
        self._guarded(lambda: made.append(write(*contents, self._before_commit)), table)
        self._numbers[table.name] = number
        return int(made[-1])

    def note(self, table: Table, metadata: Mapping[str, Any]) -> int:
        """Makes a commit that changes no row and carries metadata; returns its version."""
        self.ensure(table)
        return self._note(table, metadata)

    def _note(self, table: Table, metadata: Mapping[str, Any]) -> int:
        number, text = self.next_number(table), json.dumps(metadata, sort_keys=True)
        made: list[int] = []
        self._guarded(lambda: made.append(self._log(table).note(text, table.application, number)), table)
        self._numbers[table.name] = number
        return made[-1]

    def vacuum(self, table: Table, retain_hours: float) -> None:
        """Deletes files that no version of the last hours refers to: replaced ones, and what crashes left.

        Args:
            table: contract.
            retain_hours: how old such a file must be; below 168 only where no run is at work.
        """
        if self.exists(table):
            self._spark.sql(self._vacuum(table, retain_hours)).collect()

    def count_unreferenced(self, table: Table, retain_hours: float) -> int:
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

    def fragmented(self, table: Table, files: int, mean_bytes: int) -> list[dt.date | None]:
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

    def history(self, table: Table, known: Container[int]) -> list[Commit]:
        """Commits that are still in the log of a table, oldest first, but those whose version is known."""
        latest = self.version(table)
        if latest is None:
            return []
        versions = range(self._log(table).first_version(), latest + 1)
        return [self.commit(table, version) for version in versions if version not in known]

    def last_commit(self, table: Table, is_wanted: Callable[[Mapping[str, Any]], bool]) -> Commit | None:
        """The latest commit in the log of a table whose metadata is wanted."""
        latest = self.version(table)
        if latest is None:
            return None
        for version in range(latest, self._log(table).first_version() - 1, -1):
            commit = self.commit(table, version)
            if is_wanted(commit.metadata):
                return commit
        return None

    def commit(self, table: Table, version: int) -> Commit:
        """One commit of a table's history; without metadata where the history of that time is gone."""
        return Commit(version, _own_metadata(self._log(table).commit_metadata(version)))

    def _schema(self, table: Table) -> StructType:
        return StructType.fromJson(json.loads(self._snapshot(table).schema().json()))

    def _difference(self, table: Table) -> Difference:
        snapshot = self._snapshot(table)
        found = StructType.fromJson(json.loads(snapshot.schema().json()))
        properties = json.loads(snapshot.metadata().json())["metaData"].get("configuration", {})
        version = int(properties.get(SCHEMA_VERSION_PROPERTY, "1"))
        if version > SCHEMA_VERSION:
            newer = (
                f"table {self.path(table)} has schema version {version}, this version of the batch knows "
                f"{SCHEMA_VERSION}: run the newer version"
            )
            return Difference(table, (), newer, version)
        missing, other = _compared(found, table.schema)
        if other is None and missing and version == SCHEMA_VERSION:
            other = f"no column {missing[0]}"
        problem = None if other is None else f"table {self.path(table)} is another's: {other}"
        return Difference(table, tuple(missing), problem, version)

    def _snapshot(self, table: Table) -> Any:
        return self._log(table).snapshot()

    def _log(self, table: Table) -> DeltaLog:
        if table.name not in self._logs:
            self._logs[table.name] = DeltaLog(self._spark, self._files, table)
        return self._logs[table.name]

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
    properties[SCHEMA_VERSION_PROPERTY] = str(SCHEMA_VERSION)
    # A checkpoint is a Spark query: with one each 10 commits, as Delta has it, a run in three waits for some.
    # maintain_tables writes them.
    properties["delta.checkpointInterval"] = "100"
    return properties


def _compared(found: DataType, wanted: DataType, name: str = "") -> tuple[list[str], str | None]:
    """Fields that a type lacks, by their path; and what makes it another type, None where nothing does."""
    if isinstance(found, StructType) and isinstance(wanted, StructType):
        return _compared_fields(found, wanted, name)
    if isinstance(found, ArrayType) and isinstance(wanted, ArrayType):
        return _compared(found.elementType, wanted.elementType, name)
    if found.simpleString() != wanted.simpleString():
        return [], f"column {name} is {found.simpleString()}, must be {wanted.simpleString()}"
    return [], None


def _compared_fields(found: StructType, wanted: StructType, name: str) -> tuple[list[str], str | None]:
    there = {field.name: field.dataType for field in found.fields}
    missing: list[str] = []
    for field in wanted.fields:
        path = f"{name}.{field.name}" if name else field.name
        if field.name not in there:
            missing.append(f"{path} ({field.dataType.simpleString()})")
            continue
        below, problem = _compared(there[field.name], field.dataType, path)
        if problem is not None:
            return [], problem
        missing += below
    return missing, None


def _check_columns(rows: DataFrame, table: Table) -> None:
    """Proves that rows have the columns of a table, each of its type."""
    missing, problem = _compared(rows.select(*table.columns).schema, table.schema)
    if missing or problem:
        raise ValueError(f"{table.name}: {problem or f'no column {missing[0]}'}")


def _merged(found: StructType, wanted: StructType) -> StructType:
    """The columns that are there, then those that are wanted and missing."""
    contract = {field.name: field for field in wanted.fields}
    kept = [contract.get(field.name, field) for field in found.fields]
    there = {field.name for field in found.fields}
    return StructType([*kept, *(field for field in wanted.fields if field.name not in there)])


def filter_dates(rows: DataFrame, column: str, dates: Iterable[dt.date]) -> DataFrame:
    """Rows whose date is one of the dates."""
    return rows.filter(F.expr(date_condition(column, dates)))


def _own_metadata(text: str | None) -> Mapping[str, Any]:
    try:
        content = json.loads(text or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
