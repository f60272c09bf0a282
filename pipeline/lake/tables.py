"""Reads the lake's Delta tables at a version, and replaces whole dates in one atomic commit."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import delta.exceptions as delta_errors  # registers converters, so import it before Delta raises an error
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, StructType

from pipeline.lake.causes import delta_message
from pipeline.lake.delta_log import DeltaLog, date_condition
from pipeline.lake.files import FileStore, Usage
from pipeline.lake.foreign import FOREIGN_FEATURES, Obstacle, find_obstacles, sql_name
from pipeline.lake.frames import local_frame, local_table
from schemas.errors import AuditError, OlderLakeError, TryAgainError, UsageError
from schemas.gold import PERIOD_PROPERTY, QUERY_PROPERTY, GoldTable
from schemas.lake import LakeTables
from schemas.landing import own_columns
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
        version: table version that the commit made.
        metadata: userMetadata of the batch; empty for commits of other writers.
    """

    version: int
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """How a table differs from its contract.

    Attributes:
        table: contract.
        missing: columns and fields that the table lacks; ``migrate_tables`` can add each of them.
        problem: message about a difference that cannot be migrated; None if there is none.
        version: schema version that the table's properties state.
        obstacles: what others set on the table that keeps the batch from writing to it.
    """

    table: Table
    missing: tuple[str, ...]
    problem: str | None
    version: int
    obstacles: tuple[Obstacle, ...] = ()

    @property
    def is_older(self) -> bool:
        """Whether migrate_tables can bring the table up to date."""
        return self.problem is None and (bool(self.missing) or self.version < SCHEMA_VERSION)


class Lake:
    """All tables below one root."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        """Opens a lake with the built-in tables.

        Args:
            spark: session.
            root: path or URI; :meth:`prepare` creates it if it does not exist.
        """
        # The run adds the tables that its config declares.
        self.tables = LakeTables()
        self._spark = spark
        self._files = FileStore(spark, root)
        self._existing: set[str] = set()
        self._before_commit: Callable[[], None] = _no_check
        self._transactions: dict[str, int] = {}
        self._logs: dict[str, DeltaLog] = {}

    def check_before_commit(self, check: Callable[[], None]) -> None:
        """Sets a function that every commit calls first; an exception from it stops the commit."""
        self._before_commit = check

    def pin_transactions(self) -> None:
        """Reads each table's transaction number, so that a later commit of another run blocks this run."""
        self._transactions = {table.name: self.transaction(table) for table in self.tables.data}

    def fence(self, run_id: str) -> None:
        """Raises each table's transaction number, so that a run that lost its lock cannot commit."""
        for table in self.tables.data:
            if self.exists(table):
                self._note(table, {"job": "fence", "run_id": run_id})

    @property
    def root(self) -> str:
        """Full URI of the root."""
        return self._files.root

    def prepare(self) -> None:
        """Creates the root if it does not exist, and checks that it is writable.

        Raises:
            UsageError: the root is not writable.
        """
        try:
            self._files.make_folder()
            self._files.check_writable()
        except OSError as error:
            raise UsageError(f"lake {self.root}: cannot be written to: {error}") from None

    def check_schemas(self, *, to_write: bool = False) -> None:
        """Compares each existing table with its contract.

        Args:
            to_write: whether to look for what keeps the batch from writing to a table, too.

        Raises:
            OlderLakeError: a table is older.
            UsageError: the lake cannot be read, a table is newer or foreign, or cannot be written to. The
                message says what to do.
        """
        try:
            differences = self.differences()
        except OSError as error:
            raise UsageError(f"lake {self.root}: cannot be read: {error}") from None
        for difference in differences:
            if difference.problem is not None:
                raise UsageError(difference.problem)
            if difference.is_older and difference.version == SCHEMA_VERSION:
                raise OlderLakeError(
                    f"table {self.path(difference.table)} has no column {', '.join(difference.missing)} of "
                    "contract.columns: run migrate_tables with this config"
                )
            if difference.is_older:
                raise OlderLakeError(
                    f"table {self.path(difference.table)} was made by an older version (schema version "
                    f"{difference.version}, this version has {SCHEMA_VERSION}): run migrate_tables"
                )
        obstacles = [obstacle for difference in differences for obstacle in difference.obstacles]
        if to_write and obstacles:
            raise UsageError("; ".join(obstacle.describe() for obstacle in obstacles))

    def check_checksums(self) -> None:
        """Checks for each bronze, silver and gold table that its checksum lists the same files as its log.

        Raises:
            UsageError: the files differ; the message names the checksum file.
        """
        for table in self.tables.data:
            if self.exists(table):
                self._log(table).check_checksum()

    def differences(self) -> list[Difference]:
        """Returns the comparison of each existing table with its contract."""
        return [self._difference(table) for table in self.tables.every if self.exists(table)]

    def migrate(self, difference: Difference) -> None:
        """Adds the missing columns to an older table in one commit; its rows do not change."""
        table = difference.table
        schema = _merge(self._schema(table), table.schema)
        properties = {SCHEMA_VERSION_PROPERTY: str(SCHEMA_VERSION)}
        self._guarded(lambda: self._log(table).update_definition(schema.json(), properties), table)

    def foreign_statements(self, difference: Difference) -> list[str]:
        """Returns the SQL that removes what others set on a table, and the features that they turned on."""
        features = self._log(difference.table).features()
        name = sql_name(self.path(difference.table))
        return [
            *(obstacle.statement for obstacle in difference.obstacles if obstacle.remedy),
            *(
                f"ALTER TABLE {name} DROP FEATURE {feature}"
                for feature in FOREIGN_FEATURES
                if feature in features
            ),
        ]

    def drop_foreign(self, table: Table, statements: Iterable[str]) -> None:
        """Runs the SQL of :meth:`foreign_statements`; the table's rows do not change."""
        if not table.partition_by and self._log(table).maps_names():
            self.rewrite(table, self.rows(table))  # files that only this batch can read get their right names
        for statement in statements:
            self._guarded(lambda statement=statement: self._spark.sql(statement).collect(), table)

    @property
    def files(self) -> FileStore:
        """The file system below the root."""
        return self._files

    def path(self, table: Table) -> str:
        """Returns the full URI of a table."""
        return f"{self.root.rstrip('/')}/{table.name}"

    def exists(self, table: Table) -> bool:
        """Whether a table exists."""
        if table.name not in self._existing and self._has_commit(table):
            self._existing.add(table.name)
        return table.name in self._existing

    def _has_commit(self, table: Table) -> bool:
        """Whether a table has a commit; a crash during creation can leave a log without one."""
        folder = f"{table.name}/_delta_log"
        if self._files.exists(f"{folder}/{0:020d}.json"):
            return True
        # Delta may delete the first commit once a checkpoint replaces it.
        return self._files.exists(folder) and self.has_version(table)

    def has_version(self, table: Table) -> bool:
        """Whether Delta finds any version of a table."""
        return int(self._snapshot(table).version()) >= 0

    def version(self, table: Table) -> int | None:
        """Returns the latest version of a table; None if the table does not exist."""
        return int(self._snapshot(table).version()) if self.exists(table) else None

    def transaction(self, table: Table) -> int:
        """Returns the last transaction number that the batch committed to a table; 0 if there is none."""
        return self._log(table).transaction(table.application) if self.exists(table) else 0

    def next_number(self, table: Table) -> int:
        """Returns the transaction number of this run's next commit to a table."""
        if table.name not in self._transactions:
            self._transactions[table.name] = self.transaction(table)
        return self._transactions[table.name] + 1

    def read(self, table: Table, version: int | None = None) -> DataFrame:
        """Returns the rows of a table; no rows if the table does not exist.

        Args:
            table: contract.
            version: version to read; None for the latest.
        """
        if not self.exists(table):
            return local_frame(self._spark, table.schema)
        reader = self._spark.read.format("delta")
        if version is None:
            return _with_added_columns(reader.load(self.path(table)), table)
        return _with_added_columns(reader.option("versionAsOf", version).load(self.path(table)), table)

    def read_dates(self, table: Table, dates: Iterable[dt.date], version: int | None = None) -> DataFrame:
        """Returns the rows of some dates; no rows if the table does not exist.

        Args:
            table: contract, partitioned by a date.
            dates: values of the partition column.
            version: version to read; None for the latest.
        """
        if not self.exists(table):
            return local_frame(self._spark, table.schema)
        wanted_dates = set(dates)
        rows = self._log(table).read(version, wanted_dates)
        if rows is None:
            return filter_dates(self.read(table, version), table.partition_by[0], wanted_dates)
        return _with_added_columns(rows, table)

    def read_whole(self, table: Table, version: int | None = None) -> DataFrame:
        """Returns the rows of a table for a query that needs every row.

        The latest version of a table of few files takes no query over the log. In return, no file is left out
        by its statistics.

        Args:
            table: contract.
            version: version to read; None for the latest.
        """
        rows = self._log(table).read(version) if self.exists(table) else None
        return self.read(table, version) if rows is None else _with_added_columns(rows, table)

    def dates_held(self, table: Table, dates: Iterable[dt.date]) -> set[dt.date]:
        """Returns those of some dates that have rows in a table; no query over rows.

        Args:
            table: contract, partitioned by a date.
            dates: values of the partition column.
        """
        return self._log(table).dates_held(set(dates)) if self.exists(table) else set()

    def all_dates(self, table: Table, version: int | None = None) -> set[dt.date | None]:
        """Returns the dates of a table's files, or else of its rows; None for rows without a date.

        The latest version of a table of few files takes no query. A file may hold no row.

        Args:
            table: contract, partitioned by a date.
            version: version to look at; None for the latest.
        """
        dates = self._log(table).all_dates(version) if self.exists(table) else None
        return self._dates_of_rows(table, version) if dates is None else {*dates}

    def stray_dates(self, table: Table, known: Collection[dt.date]) -> list[dt.date | None]:
        """Returns the dates that have rows in a table and are not known; None for rows without a date.

        Args:
            table: contract, partitioned by a date.
            known: the dates that may have rows.
        """
        strays = self.all_dates(table).difference(known)
        if strays:  # A file may hold no row, so the rows are asked.
            strays &= self._dates_of_rows(table)
        return sorted(strays, key=str)

    def _dates_of_rows(self, table: Table, version: int | None = None) -> set[dt.date | None]:
        dates = self.read(table, version).select(F.col(table.partition_by[0]).alias("date"))
        return {row.date for row in dates.distinct().collect()}

    def check_files(self) -> None:
        """Checks for each bronze, silver and gold table of few files that its data files are there.

        Raises:
            AuditError: files are gone; the message names the first.
        """
        for table in self.tables.data:
            gone = self._log(table).missing_files() if self.exists(table) else []
            if gone:
                raise AuditError(
                    f"{table.name}: {len(gone)} of its data files are gone, the first is {gone[0]}: restore "
                    "them from a backup"
                )

    def rows(self, table: Table, run_id: str | None = None) -> list[dict[str, Any]]:
        """Returns the rows of a small table by column name; times carry their zone.

        Args:
            table: contract.
            run_id: only rows of this run; None for all.
        """
        if not self.exists(table):
            return []
        rows = self._log(table).rows()
        if rows is None:
            frame = self.read(table)
            frame = frame if run_id is None else frame.filter(F.col("run_id") == run_id)
            rows = frame.toArrow().to_pylist()
        nulls = dict.fromkeys(table.columns)
        return [{**nulls, **row} for row in rows if run_id is None or row["run_id"] == run_id]

    def ensure(self, table: Table, properties: Mapping[str, str] | None = None) -> None:
        """Creates an empty table with further properties, if the table does not exist."""
        if self.exists(table):
            return
        self._guarded(lambda: self._log(table).create(_properties(table) | dict(properties or {})), table)
        self._existing.add(table.name)

    def holds_query(self, table: GoldTable) -> bool:
        """Whether the rows of an existing gold table come from its current declaration, or will."""
        return not table.is_declared or self.property_of(table, QUERY_PROPERTY) == table.digest

    def adopt_query(self, table: GoldTable) -> None:
        """Adds the columns of a changed declaration to a gold table, and records the declaration."""
        schema = _merge(self._schema(table), table.schema)
        self._guarded(lambda: self._log(table).update_definition(schema.json(), table.properties), table)

    def set_properties(self, table: Table, properties: Mapping[str, str]) -> None:
        """Adds properties to an existing table in one commit; makes none if there are no properties."""
        if properties:
            schema = self._schema(table).json()
            self._guarded(lambda: self._log(table).update_definition(schema, properties), table)

    def property_of(self, table: Table, name: str) -> str | None:
        """Returns a property of a table; None if the table does not exist or lacks the property."""
        return self._properties_of(table).get(name) if self.exists(table) else None

    def append(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends a few rows in one commit; makes no commit for no rows."""
        if not rows:
            return
        self.ensure(table)
        self._guarded(lambda: self._log(table).append(local_table(table.schema, rows)), table)

    def rewrite(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replaces all rows of a small table in one commit."""
        writer = local_frame(self._spark, table.schema, rows).write.format("delta").mode("overwrite")
        self._guarded(lambda: writer.save(self.path(table)), table)

    def replace(
        self,
        table: Table,
        rows: DataFrame,
        dates: Iterable[dt.date],
        metadata: Mapping[str, Any],
        check: Callable[[], None] | None = None,
    ) -> int:
        """Replaces whole partitions of a table by date, in one commit, even if no row changes.

        Args:
            table: contract, partitioned by a date.
            rows: new content of these dates; a date without rows becomes empty.
            dates: dates to replace.
            metadata: stored with the commit; holds ``run_id``, so that a later run can find the commit.
            check: called between the write and the commit, or before both where Spark's own command makes
                them; an exception from it stops the commit.

        Returns:
            The version that this write made.

        Raises:
            TryAgainError: another run committed first, or took over the lake.
            ValueError: a row belongs to a date that is not in ``dates``, or the columns differ.
        """
        self.ensure(table)
        rows = rows.select(*table.columns)
        _check_columns(rows, table)
        number, text, versions = self.next_number(table), json.dumps(metadata, sort_keys=True), []
        contents = rows, set(dates), text, table.application, number
        write = self._log(table).replace

        def check_all() -> None:
            if check is not None:
                check()
            self._before_commit()

        self._guarded(lambda: versions.append(write(*contents, check_all)), table)
        self._transactions[table.name] = number
        return int(versions[-1])

    def add(self, table: Table, rows: DataFrame, metadata: Mapping[str, Any]) -> int:
        """Adds rows to a table in one commit, and leaves what it holds as it is.

        Args:
            table: contract, partitioned by a date.
            rows: new rows.
            metadata: stored with the commit; holds ``run_id``, so that a later run can find the commit.

        Returns:
            The version that this write made.

        Raises:
            TryAgainError: another run committed first, or took over the lake.
            ValueError: the columns differ.
        """
        self.ensure(table)
        rows = rows.select(*table.columns)
        _check_columns(rows, table)
        number, text, versions = self.next_number(table), json.dumps(metadata, sort_keys=True), []
        contents = rows, text, table.application, number, self._before_commit
        self._guarded(lambda: versions.append(self._log(table).add(*contents)), table)
        self._transactions[table.name] = number
        return int(versions[-1])

    def removals(self, table: Table) -> list[int]:
        """Returns the versions in a table's log that took rows away or changed them; merged files do not."""
        latest = self.version(table)
        if latest is None:
            return []
        log = self._log(table)
        return [version for version in range(log.first_version(), latest + 1) if log.removes_data(version)]

    def note(self, table: Table, metadata: Mapping[str, Any]) -> int:
        """Makes a commit that carries metadata and changes no row; returns its version."""
        self.ensure(table)
        return self._note(table, metadata)

    def _note(self, table: Table, metadata: Mapping[str, Any]) -> int:
        number, text = self.next_number(table), json.dumps(metadata, sort_keys=True)
        versions: list[int] = []
        self._guarded(lambda: versions.append(self._log(table).note(text, table.application, number)), table)
        self._transactions[table.name] = number
        return versions[-1]

    def vacuum(self, table: Table, retain_hours: float) -> None:
        """Deletes files that no version of the last hours uses: replaced files and files that crashes left.

        Args:
            table: contract.
            retain_hours: minimum age of a file; use less than 168 only while no run is at work.
        """
        if self.exists(table):
            self._spark.sql(self._vacuum_statement(table, retain_hours)).collect()

    def count_unreferenced(self, table: Table, retain_hours: float) -> int:
        """Returns how many files ``vacuum`` would delete; Delta reports at most a thousand."""
        if not self.exists(table):
            return 0
        return self._spark.sql(f"{self._vacuum_statement(table, retain_hours)} DRY RUN").count()

    def _vacuum_statement(self, table: Table, retain_hours: float) -> str:
        self._spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
        return f"VACUUM {sql_name(self.path(table))} RETAIN {retain_hours:f} HOURS"

    def usage(self, table: Table) -> Usage:
        """Returns the size of a table's data files, including those of old versions."""
        return self._files.usage(table.name) - self._files.usage(f"{table.name}/_delta_log")

    def fragmented(self, table: Table, files: int, mean_bytes: int) -> list[dt.date | None]:
        """Returns the dates of a table that have too many small files.

        Args:
            table: contract.
            files: maximum number of files that a date may have, whatever their size.
            mean_bytes: files are small if their mean size is below this.

        Returns:
            The dates; for a table without dates, None stands for the whole table.
        """
        snapshot = self._snapshot(table) if self.exists(table) else None
        if snapshot is None or snapshot.numOfFiles() <= files:  # from the checksum, without a query
            return []
        column = table.partition_by[0] if table.partition_by else None
        date = F.lit(None).cast("date") if column is None else F.col("partitionValues")[column].cast("date")
        added = DataFrame(snapshot.allFiles().toDF(), self._spark)
        sizes = added.groupBy(date.alias("date")).agg(
            F.count("*").alias("files"), F.avg("size").alias("mean")
        )
        rows = sizes.filter((F.col("files") > files) & (F.col("mean") < mean_bytes)).select("date").collect()
        return [row.date for row in rows]

    def compact(self, table: Table, dates: Sequence[dt.date | None]) -> int:
        """Merges small files; readers see the same rows.

        Args:
            table: contract.
            dates: dates to compact; [None] for a table without dates.

        Returns:
            Number of files that were merged into larger ones.
        """
        real_dates = [date for date in dates if date is not None]
        condition = f" WHERE {date_condition(table.partition_by[0], real_dates)}" if real_dates else ""
        self._before_commit()
        metrics = (
            self._spark.sql(f"OPTIMIZE {sql_name(self.path(table))}{condition}").select("metrics").first()
        )
        return 0 if metrics is None else int(metrics.metrics.numFilesRemoved)

    def checkpoint(self, table: Table) -> None:
        """Writes a checkpoint of a table and deletes old files of its log."""
        if self.exists(table):
            self._log(table).checkpoint()

    def commits(self, table: Table, after: int) -> list[Commit]:
        """Returns the commits of a table after a version, oldest first."""
        latest = self.version(table)
        if latest is None or latest <= after:
            return []
        return [self.commit(table, version) for version in range(after + 1, latest + 1)]

    def history(self, table: Table, known: Container[int]) -> list[Commit]:
        """Returns the commits in a table's log, oldest first, without those whose version is known."""
        latest = self.version(table)
        if latest is None:
            return []
        versions = range(self._log(table).first_version(), latest + 1)
        return [self.commit(table, version) for version in versions if version not in known]

    def last_commit(self, table: Table, is_wanted: Callable[[Mapping[str, Any]], bool]) -> Commit | None:
        """Returns the latest commit in a table's log whose metadata is wanted; None if there is none."""
        latest = self.version(table)
        if latest is None:
            return None
        for version in range(latest, self._log(table).first_version() - 1, -1):
            commit = self.commit(table, version)
            if is_wanted(commit.metadata):
                return commit
        return None

    def commit(self, table: Table, version: int) -> Commit:
        """Returns one commit of a table; its metadata is empty if the log no longer holds the commit."""
        return Commit(version, _own_metadata(self._log(table).commit_metadata(version)))

    def _schema(self, table: Table) -> StructType:
        return StructType.fromJson(json.loads(self._snapshot(table).schema().json()))

    def _properties_of(self, table: Table) -> dict[str, str]:
        return dict(self._definition(table).get("configuration", {}))

    def _definition(self, table: Table) -> dict[str, Any]:
        return _definition(self._snapshot(table))

    def _difference(self, table: Table) -> Difference:
        try:
            snapshot = self._snapshot(table)
        except (
            Py4JJavaError,
            PySparkException,
        ) as error:  # a feature that this version of Delta does not know
            return Difference(table, (), f"table {self.path(table)}: {delta_message(error)}", SCHEMA_VERSION)
        actual = StructType.fromJson(json.loads(snapshot.schema().json()))
        properties = dict(_definition(snapshot).get("configuration", {}))
        version = int(properties.get(SCHEMA_VERSION_PROPERTY, "1"))
        if version > SCHEMA_VERSION:
            newer = (
                f"table {self.path(table)} has schema version {version}, this version of the batch knows "
                f"{SCHEMA_VERSION}: run the newer version"
            )
            return Difference(table, (), newer, version)
        missing, mismatch = _compare(actual, table.schema)
        if isinstance(table, GoldTable) and table.is_declared:
            return self._difference_of_declared(table, actual, missing, mismatch, version)
        foreign = [path for path in missing if not _is_own(path)]
        if mismatch is None and foreign and version == SCHEMA_VERSION:
            mismatch = f"no column {foreign[0]}"
        text = f"table {self.path(table)} does not match its contract: {mismatch}"
        problem = None if mismatch is None else text
        obstacles = self._obstacles(table, snapshot, properties, actual)
        return Difference(table, tuple(missing), problem, version, obstacles)

    def _obstacles(
        self, table: Table, snapshot: Any, properties: Mapping[str, str], actual: StructType
    ) -> tuple[Obstacle, ...]:
        path, only_appends = self.path(table), table not in self.tables.replaced
        found = find_obstacles(table, path, properties, actual, only_appends=only_appends)
        unknown = self._log(table).check_features(snapshot)
        if unknown is not None:
            found.append(Obstacle(path, "a feature of its protocol", unknown, ""))
        return tuple(found)

    def _difference_of_declared(
        self,
        table: GoldTable,
        actual: StructType,
        missing: Sequence[str],
        mismatch: str | None,
        version: int,
    ) -> Difference:
        """Columns of a declared table only grow, and grow by its next build."""
        given_up = [name for name in actual.fieldNames() if name not in table.columns]
        if given_up:
            mismatch = f"the SQL selects no column {given_up[0]}"
        elif self._definition(table)["partitionColumns"] != [table.period_column]:
            mismatch = f"it is partitioned by {self._definition(table)['partitionColumns'][0]}"
        elif self.property_of(table, PERIOD_PROPERTY) != table.period:
            mismatch = f"its rows cover a {self.property_of(table, PERIOD_PROPERTY)}"
        if mismatch is None:
            return Difference(table, tuple(missing) if version < SCHEMA_VERSION else (), None, version)
        problem = (
            f"table {self.path(table)} does not fit gold.{table.view}: {mismatch}; columns of a table only "
            "grow: declare the new form under another name"
        )
        return Difference(table, (), problem, version)

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


def _definition(snapshot: Any) -> dict[str, Any]:
    """Returns the definition of a table at a snapshot: schema, partition columns and properties."""
    definition: dict[str, Any] = json.loads(snapshot.metadata().json())["metaData"]
    return definition


def _no_check() -> None:
    """Does nothing: the check before a commit if the run holds no lock."""


def _properties(table: Table) -> dict[str, str]:
    """Returns the Delta properties of a new table."""
    properties = (
        {"delta.dataSkippingStatsColumns": ",".join(table.statistics)}
        if table.statistics
        else {"delta.dataSkippingNumIndexedCols": "0"}
    )
    properties |= {SCHEMA_VERSION_PROPERTY: str(SCHEMA_VERSION), **table.properties}
    # A checkpoint is a Spark query. Delta's default of 10 commits would make one run in three wait for a
    # checkpoint. maintain_tables writes them instead.
    properties["delta.checkpointInterval"] = "100"
    return properties


def _is_own(path: str) -> bool:
    """Whether a missing field is a column of the config, which every lake is without at first."""
    return path.split(" ", maxsplit=1)[0] in {column.name for column in own_columns()}


def _compare(actual: DataType, expected: DataType, name: str = "") -> tuple[list[str], str | None]:
    """Returns the paths of the missing fields, and a message about a wrong type or None."""
    if isinstance(actual, StructType) and isinstance(expected, StructType):
        return _compare_fields(actual, expected, name)
    if isinstance(actual, ArrayType) and isinstance(expected, ArrayType):
        return _compare(actual.elementType, expected.elementType, name)
    if actual.simpleString() != expected.simpleString():
        return [], f"column {name} is {actual.simpleString()}, must be {expected.simpleString()}"
    return [], None


def _compare_fields(actual: StructType, expected: StructType, name: str) -> tuple[list[str], str | None]:
    actual_types = {field.name: field.dataType for field in actual.fields}
    missing: list[str] = []
    for field in expected.fields:
        path = f"{name}.{field.name}" if name else field.name
        if field.name not in actual_types:
            missing.append(f"{path} ({field.dataType.simpleString()})")
            continue
        nested, problem = _compare(actual_types[field.name], field.dataType, path)
        if problem is not None:
            return [], problem
        missing += nested
    return missing, None


def _with_added_columns(rows: DataFrame, table: Table) -> DataFrame:
    """Adds null columns where an old version of a table lacks columns of its contract."""
    absent = [field for field in table.schema.fields if field.name not in rows.columns]
    if not absent:
        return rows
    return rows.withColumns({field.name: F.lit(None).cast(field.dataType) for field in absent})


def _check_columns(rows: DataFrame, table: Table) -> None:
    """Checks that rows have the columns of a table with the same types."""
    missing, problem = _compare(rows.schema, table.schema)
    if missing or problem:
        raise ValueError(f"{table.name}: {problem or f'no column {missing[0]}'}")


def _merge(actual: StructType, expected: StructType) -> StructType:
    """Returns the existing columns in their order, followed by the missing ones."""
    contract = {field.name: field for field in expected.fields}
    existing = [contract.get(field.name, field) for field in actual.fields]
    names = {field.name for field in actual.fields}
    return StructType([*existing, *(field for field in expected.fields if field.name not in names)])


def filter_dates(rows: DataFrame, column: str, dates: Iterable[dt.date]) -> DataFrame:
    """Keeps the rows whose date is one of the dates."""
    return rows.filter(F.expr(date_condition(column, dates)))


def _own_metadata(text: str | None) -> Mapping[str, Any]:
    try:
        content = json.loads(text or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
