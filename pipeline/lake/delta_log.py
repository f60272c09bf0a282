"""Reads and writes Delta's log on the driver, through Delta's own classes and without Spark queries.

Even a query over three rows costs a plan, compiled code and several Spark jobs. Without such queries, a run
with nothing to do takes 15 CPU seconds instead of 21, and 3 Spark jobs instead of 24 (measured).
"""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession

from pipeline.lake.causes import cause_of, delta_message
from pipeline.lake.files import FileStore
from pipeline.lake.frames import local_frame, read_rows
from pipeline.lake.jvm import items, java_class
from schemas.errors import TryAgainError, UsageError
from schemas.tables import Table

# Above this number of files, a query that reads several at once is faster than reading one after another.
MOST_FILES = 256
# From this writer version of the protocol on, a table names its features. Up to the other one it has none
# that a file written without Spark would break.
_NAMED_FEATURES, _PLAIN_WRITER = 7, 2
# Table features that do not change what a data file holds, for a writer of whole files, and for a reader.
_PLAIN_WRITER_FEATURES = {
    "appendOnly",
    "invariants",
    "deletionVectors",
    "checkpointProtection",
    "domainMetadata",
    "inCommitTimestamp",
    "v2Checkpoint",
    "vacuumProtocolCheck",
}
_READABLE_FEATURES = {
    "columnMapping",
    "deletionVectors",
    "timestampNtz",
    "v2Checkpoint",
    "vacuumProtocolCheck",
}
_STORED_NAME = "delta.columnMapping.physicalName"
# Whether the checksum of a commit lists the table's files.
_LISTS_FILES = "spark.databricks.delta.allFilesInCrc.enabled"
# Far beyond the checksum of a thousand files, the most that configs/places have it list.
_CHECKSUM_LIMIT = 1 << 27


class DeltaLog:
    """The log of one table."""

    def __init__(self, spark: SparkSession, files: FileStore, table: Table) -> None:
        """Opens the log of a table in the lake that ``files`` gives access to."""
        jvm: Any = spark._jvm
        self._spark = spark
        self._jvm = jvm
        self._files = files
        self._table = table
        self._path = f"{files.root.rstrip('/')}/{table.name}"
        self._log = self._delta("DeltaLog").forTable(spark._jsparkSession, self._path)
        self._none = java_class(jvm, "scala.Option").empty()
        self._first: int | None = None
        self._listed: tuple[str | None, list[dict[str, Any]]] = (None, [])

    def snapshot(self) -> Any:
        """Returns a snapshot of the latest version of the table."""
        return self._log.update(False, self._none, self._none)

    def transaction(self, application: str) -> int:
        """Returns the last transaction number that an application committed; 0 if it committed none."""
        return self._number_in(self.snapshot(), application)

    def _number_in(self, snapshot: Any, application: str) -> int:
        checksum = snapshot.checksumOpt()
        in_checksum = checksum.get().setTransactions() if checksum.isDefined() else self._none
        # Without the checksum, Delta has to query its log.
        transactions = in_checksum.get() if in_checksum.isDefined() else snapshot.setTransactions()
        numbers = [int(t.version()) for t in self._to_list(transactions) if t.appId() == application]
        return max(numbers, default=0)

    def create(self, properties: Mapping[str, str]) -> None:
        """Creates the empty table, unless another run has already created it."""
        table = self._table
        definition = {
            "id": str(uuid.uuid4()),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": table.schema.json(),
            "partitionColumns": list(table.partition_by),
            "configuration": dict(properties),
        }
        transaction = self._log.startTransaction(self._none, self._none)
        if transaction.readVersion() >= 0:
            return
        metadata = self._action("metaData", definition)
        transaction.updateMetadataForNewTable(metadata)
        operation = self._delta("DeltaOperations$CreateTable")
        with self._no_query_for_files():
            transaction.commit(self._to_sequence([]), operation(metadata, False, False, self._none))

    @contextmanager
    def _no_query_for_files(self) -> Iterator[None]:
        """Lets Delta make the checksum of a first commit without a Spark job.

        The job would look for the files of the version before, although there is none. With the setting off,
        the checksum of a table without files lists its files all the same: none.
        """
        before = self._spark.conf.get(_LISTS_FILES, "true") or "true"
        self._spark.conf.set(_LISTS_FILES, "false")
        try:
            yield
        finally:
            self._spark.conf.set(_LISTS_FILES, before)

    def append(self, rows: pa.Table) -> None:
        """Appends rows as one file, in one commit."""
        if not self.features() <= _PLAIN_WRITER_FEATURES:
            self._append_by_command(rows)
            return
        buffer = io.BytesIO()
        pq.write_table(rows, buffer)
        name = f"part-00000-{uuid.uuid4()}-c000.snappy.parquet"
        status = self._files.write(f"{self._table.name}/{name}", buffer.getvalue())
        added = {
            "path": name,
            "partitionValues": {},
            "size": status.size,
            "modificationTime": status.modified_ms,
            "dataChange": True,
            "stats": json.dumps({"numRecords": rows.num_rows}),
        }
        transaction = self._log.startTransaction(self._none, self._none)
        transaction.commit(self._to_sequence([self._action("add", added)]), self._write("Append"))

    def _append_by_command(self, rows: pa.Table) -> None:
        """Appends rows by Spark's own writer, which knows every feature that others turned on."""
        frame = self._spark.createDataFrame(rows, self._table.schema)
        frame.write.format("delta").mode("append").save(self._path)

    def features(self) -> set[str]:
        """Returns the table features that writers must know, also those of an older, numbered protocol."""
        protocol = json.loads(self.snapshot().protocol().json())["protocol"]
        version = int(protocol["minWriterVersion"])
        if version >= _NAMED_FEATURES:
            return set(protocol.get("writerFeatures", []))
        if version <= _PLAIN_WRITER:
            return set()
        return {"columnMapping"} if self.maps_names() else {f"writer version {version}"}

    def maps_names(self) -> bool:
        """Whether columns have other names in data files than in the table."""
        return bool(self._names(self.snapshot()))

    def check_features(self, snapshot: Any) -> str | None:
        """Returns why Delta cannot write to the table: a feature that it does not know; None if it can."""
        try:
            self._log.protocolWrite(snapshot.protocol())
        except (Py4JJavaError, PySparkException) as error:
            return delta_message(error)
        return None

    def note(self, metadata: str, application: str, number: int) -> int:
        """Makes a commit that changes no row. It carries only metadata and a transaction number.

        Args:
            metadata: userMetadata of the commit.
            application: id of the application whose transaction number the commit raises.
            number: the new transaction number.

        Returns:
            Version of the commit.
        """
        transaction = self._transaction(application, number)
        actions = [self._transaction_action(application, number)]
        return int(transaction.commit(self._to_sequence(actions), self._write("Overwrite", metadata)))

    def replace(
        self,
        rows: DataFrame,
        dates: Collection[dt.date],
        metadata: str,
        application: str,
        number: int,
        check: Callable[[], None],
    ) -> int:
        """Replaces whole partitions by date, in one commit, even if no row changes.

        The driver reads the files of each partition from the log. So Spark only writes the new rows.

        Args:
            rows: new content of the dates, in the columns of the table.
            dates: dates to replace.
            metadata: userMetadata of the commit.
            application: id of the application whose transaction number the commit raises.
            number: the new transaction number.
            check: called between the write and the commit; an exception from it stops the commit.

        Returns:
            Version of the commit.

        Raises:
            TryAgainError: another run committed first.
            ValueError: a row belongs to a date that is not in ``dates``.
        """
        if has_lineage_listener(self._spark):
            check()
            return self._replace_by_command(rows, dates, metadata, application, number)
        transaction = self._transaction(application, number)
        # Fail on a conflict if another writer adds files to these dates before the commit.
        transaction.trackReadPredicates(self._to_sequence([self._condition(dates)]), True, True)
        removed = self._files_of(transaction.snapshot(), dates)
        added = self._to_list(transaction.writeFiles(rows._jdf))
        column = self._stored_name(transaction.snapshot(), self._table.partition_by[0])
        other_dates = {str(file.partitionValues().apply(column)) for file in added} - _as_text(dates)
        if other_dates:
            raise ValueError(
                f"{self._table.name}: the rows hold {sorted(other_dates)}, which this write does not replace"
            )
        check()
        removals = [file.remove() for file in removed]
        actions = [*removals, *added, self._transaction_action(application, number)]
        return int(transaction.commit(self._to_sequence(actions), self._write("Overwrite", metadata)))

    def add(
        self, rows: DataFrame, metadata: str, application: str, number: int, check: Callable[[], None]
    ) -> int:
        """Adds rows in one commit; arguments, result and errors as for :meth:`replace`."""
        if has_lineage_listener(self._spark):
            check()
            before = int(self._transaction(application, number).readVersion())
            options = _command_options(metadata, application, number)
            rows.write.format("delta").mode("append").options(**options).save(self._path)
            return self._version_of_command(before, metadata, application, number)
        transaction = self._transaction(application, number)
        added = self._to_list(transaction.writeFiles(rows._jdf))
        check()
        actions = [*added, self._transaction_action(application, number)]
        return int(transaction.commit(self._to_sequence(actions), self._write("Append", metadata)))

    def removes_data(self, version: int) -> bool:
        """Whether a commit takes rows away or changes them; False if the log no longer holds the commit."""
        status = self._files.status(f"{self._table.name}/_delta_log/{version:020d}.json")
        if status is None:
            return False
        content = self._files.read(status.path, status.size)
        removals = [json.loads(line).get("remove") for line in content.decode().splitlines() if line]
        return any(removal.get("dataChange", True) for removal in removals if removal is not None)

    def _replace_by_command(
        self, rows: DataFrame, dates: Collection[dt.date], metadata: str, application: str, number: int
    ) -> int:
        """Replaces as :meth:`replace` does, by Spark's own command: a lineage listener sees only commands.

        It plans some queries more. Delta's conflict check alone guards the time between write and commit.
        """
        column = self._table.partition_by[0]
        before = int(self._transaction(application, number).readVersion())
        options = {
            "replaceWhere": date_condition(column, dates),
            **_command_options(metadata, application, number),
        }
        try:
            rows.write.format("delta").mode("overwrite").options(**options).save(self._path)
        except AnalysisException as error:
            if "DELTA_REPLACE_WHERE_MISMATCH" not in str(error):
                raise
            raise ValueError(f"{self._table.name}: {cause_of(error)}") from None
        return self._version_of_command(before, metadata, application, number)

    def _version_of_command(self, before: int, metadata: str, application: str, number: int) -> int:
        """Returns the version that a command of Spark made on top of another one.

        Raises:
            TryAgainError: another run committed first.
        """
        if int(self.snapshot().version()) == before:  # Delta commits nothing if no row changes
            return self.note(metadata, application, number)
        # Delta silently skips a write whose transaction number another run has raised meanwhile.
        if self.commit_metadata(before + 1) != metadata:
            raise TryAgainError(f"{self._table.name}: another run wrote to it at the same time; run again")
        return before + 1

    def read(self, version: int | None, dates: Collection[dt.date] | None = None) -> DataFrame | None:
        """Returns the rows of some dates, or of all, without a query over the log.

        Args:
            version: version to read; None for the latest.
            dates: dates to read; None for all rows.

        Returns:
            The rows; None if the version is not the latest, or if its checksum does not list its files.
        """
        snapshot = self.snapshot()
        all_files = self._checksum_files(snapshot)
        if all_files is None or version not in (None, int(snapshot.version())):
            return None
        if dates is not None:
            all_files = self._to_sequence(self._filter_files(snapshot, all_files, dates))
        if all_files.isEmpty():
            return local_frame(self._spark, self._table.schema)
        frame = self._log.createDataFrame(snapshot, all_files, False, self._none)
        return DataFrame(frame, self._spark)

    def dates_held(self, dates: Collection[dt.date]) -> set[dt.date]:
        """Returns those of some dates that have files in the latest version."""
        snapshot = self.snapshot()
        column = self._stored_name(snapshot, self._table.partition_by[0])
        files = self._files_of(snapshot, dates)
        return {dt.date.fromisoformat(str(file.partitionValues().apply(column))) for file in files}

    def all_dates(self, version: int | None) -> set[dt.date] | None:
        """Returns the dates that have files, without a query.

        Args:
            version: version to look at; None for the latest.

        Returns:
            The dates; None if the version is not the latest, if its checksum does not list its files, or if a
            file has no date in the form that Spark writes.
        """
        snapshot = self.snapshot()
        files = self._checksum_files(snapshot)
        if files is None or version not in (None, int(snapshot.version())):
            return None
        column = self._stored_name(snapshot, self._table.partition_by[0])
        values = {str(file["partitionValues"].get(column)) for file in self._listing(snapshot, files)}
        is_plain = all(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) for value in values)
        return set(map(dt.date.fromisoformat, values)) if is_plain else None

    def missing_files(self) -> list[str]:
        """Returns the data files that the latest version names and the store lacks, below the table's folder.

        Looks only where the checksum lists the files: elsewhere it would be a query and a long listing.
        """
        snapshot = self.snapshot()
        files = self._checksum_files(snapshot)
        if files is None or files.isEmpty():
            return []
        paths = (file["path"] for file in self._listing(snapshot, files))
        own = [unquote(path) for path in paths if _is_below_table(path)]
        present = {self._files.below_root(file.path) for file in self._files.files(self._table.name)}
        return sorted(name for name in own if f"{self._table.name}/{name}" not in present)

    def _transaction(self, application: str, number: int) -> Any:
        """Starts a transaction that conflicts with any commit of another run of the same application."""
        transaction = self._log.startTransaction(self._none, self._none)
        # Has the same effect as its txnVersion method, which would query the log for the number.
        transaction.readTxn().addOne(application)
        if self._number_in(transaction.snapshot(), application) >= number:
            raise TryAgainError(f"{self._table.name}: another run committed first; run again")
        return transaction

    def _transaction_action(self, application: str, number: int) -> Any:
        return self._action("txn", {"appId": application, "version": number, "lastUpdated": None})

    def _files_of(self, snapshot: Any, dates: Collection[dt.date]) -> list[Any]:
        """Returns the files of some dates: from the checksum, or else by Delta's query over the log."""
        all_files = self._checksum_files(snapshot)
        if all_files is not None:
            return self._filter_files(snapshot, all_files, dates)
        conditions = self._to_sequence([self._condition(dates)])
        return self._to_list(snapshot.filesForScan(conditions, False).files())

    def _condition(self, dates: Collection[dt.date]) -> Any:
        session: Any = self._spark._jsparkSession
        text = date_condition(self._table.partition_by[0], dates)
        return session.sessionState().sqlParser().parseExpression(text)

    def _filter_files(self, snapshot: Any, files: Any, dates: Collection[dt.date]) -> list[Any]:
        column = self._stored_name(snapshot, self._table.partition_by[0])
        wanted_dates = _as_text(dates)
        return [
            self._action("add", file)
            for file in self._listing(snapshot, files)
            if file["partitionValues"].get(column) in wanted_dates
        ]

    def _listing(self, snapshot: Any, files: Any) -> list[dict[str, Any]]:
        """Returns the log entries of the files of a checksum: read once a commit.

        They are read from the checksum's file, if it is of the snapshot's commit. A text of more than 8 KB
        from Java takes 40 ms: Java sends it in two parts, and waits for an answer to the first (measured).
        """
        commit = str(snapshot.checksumOpt().get().txnId().get())
        if commit != self._listed[0]:
            written = self._written_listing(int(snapshot.version()), commit)
            self._listed = (commit, self._describe(files) if written is None else written)
        return self._listed[1]

    def _written_listing(self, version: int, commit: str) -> list[dict[str, Any]] | None:
        """Returns the files that the checksum of a commit lists; None if its file is not of that commit."""
        try:
            path = f"{self._path}/_delta_log/{version:020d}.crc"
            checksum = json.loads(self._files.read(path, _CHECKSUM_LIMIT))
        except (OSError, ValueError):
            return None
        if not isinstance(checksum, dict) or checksum.get("txnId") != commit:
            return None
        listed: list[dict[str, Any]] | None = checksum.get("allFiles")
        return listed

    def _describe(self, files: Any) -> list[dict[str, Any]]:
        """Returns the log entries of files by one call to the JVM: one for each would be slow."""
        entries: list[dict[str, Any]] = json.loads(
            self._delta("util.JsonUtils").mapper().writeValueAsString(files)
        )
        return entries

    def update_definition(self, schema: str, properties: Mapping[str, str]) -> None:
        """Sets the table's schema and adds properties, in one commit.

        Args:
            schema: JSON of the new schema; all added columns are nullable.
            properties: properties to add or change; all others stay.
        """
        transaction = self._log.startTransaction(self._none, self._none)
        definition = json.loads(transaction.metadata().json())["metaData"]
        definition["schemaString"] = schema
        definition["configuration"] = {**definition.get("configuration", {}), **properties}
        transaction.updateMetadata(self._action("metaData", definition), False)
        manual = self._delta("DeltaOperations$ManualUpdate$")
        transaction.commit(self._to_sequence([]), getattr(manual, "MODULE$"))

    def first_version(self) -> int:
        """Returns the earliest version whose commit is still in the log; looks it up once."""
        if self._first is None:
            self._first = self._find_first_version()
        return self._first

    def _find_first_version(self) -> int:
        names = (file.name for file in self._files.files(f"{self._table.name}/_delta_log"))
        versions = [int(name[:20]) for name in names if re.fullmatch(r"[0-9]{20}\.json", name)]
        return min(versions, default=0)

    def _write(self, mode: str, metadata: str | None = None) -> Any:
        save_mode = getattr(self._class("org.apache.spark.sql.SaveMode"), mode)
        user_metadata = self._none if metadata is None else self._class("scala.Option").apply(metadata)
        arguments = [self._none, self._none, user_metadata, *[self._none] * 5]
        return self._delta("DeltaOperations$Write")(save_mode, *arguments)

    def checkpoint(self) -> None:
        """Writes a checkpoint of the latest version, if it has none, and cleans up the log."""
        snapshot = self.snapshot()
        provider = snapshot.checkpointProvider()
        if provider.isEmpty() or provider.version() < snapshot.version():
            self._log.checkpoint(snapshot, self._none)
        self._first = None  # a checkpoint also deletes old commits

    def rows(self) -> list[dict[str, Any]] | None:
        """Reads all rows of a small table without partitions.

        Returns:
            The rows by column name. A row lacks the columns that were added after its file was written. None
            if there are more than ``MOST_FILES`` files, or if the checksum does not list them.
        """
        snapshot = self.snapshot()
        files = self._checksum_files(snapshot)
        if files is None or files.size() > MOST_FILES or not self._can_read_files(snapshot):
            return None
        listed = self._listing(snapshot, files)
        if any("deletionVector" in file for file in listed):  # some of its rows are deleted
            return None
        contents = (self._files.read(self._address(file["path"]), file["size"]) for file in listed)
        return read_rows(contents, self._table.schema, self._names(snapshot))

    def _address(self, path: str) -> str:
        """Full URI of a data file: the log holds a path below the table, or of a clone a full one."""
        if _is_below_table(path):
            return f"{self._path}/{unquote(path)}"
        return str(self._delta("util.DeltaFileOperations").absolutePath(self._path, path).toString())

    def _can_read_files(self, snapshot: Any) -> bool:
        """Whether the table's Parquet files hold its rows as they are, whatever others turned on."""
        protocol = json.loads(snapshot.protocol().json())["protocol"]
        return set(protocol.get("readerFeatures", [])) <= _READABLE_FEATURES

    def _names(self, snapshot: Any) -> dict[str, str]:
        """Returns the name of each column by its name in data files, if column mapping changes it."""
        fields = json.loads(snapshot.schema().json())["fields"]
        names = {field["name"]: field["metadata"].get(_STORED_NAME) for field in fields}
        return {stored: name for name, stored in names.items() if stored is not None}

    def _stored_name(self, snapshot: Any, column: str) -> str:
        """Returns the name of a column in the table's log and files."""
        names = {name: stored for stored, name in self._names(snapshot).items()}
        return names.get(column, column)

    def commit_metadata(self, version: int) -> str | None:
        """Returns the userMetadata of a version; None if it has none, or if its commit is gone."""
        commit_info = self._commit_info(version)
        return _value(commit_info.get().userMetadata()) if commit_info.isDefined() else None

    def _commit_info(self, version: int) -> Any:
        """Returns Delta's CommitInfo of a version as a Scala Option; empty if the commit is gone."""
        commit = self._class("org.apache.hadoop.fs.Path")(f"{self._path}/_delta_log/{version:020d}.json")
        read = self._delta("DeltaHistoryManager").getCommitInfoOpt
        try:
            return read(self._log.store(), commit, self._log.newDeltaHadoopConf())
        except Py4JJavaError as error:
            if "FileNotFoundException" in str(error):
                return self._none
            raise

    def check_checksum(self) -> None:
        """Checks that the checksum of the latest version lists the same files as the whole log.

        Raises:
            UsageError: the files differ, for example because another writer replaced a commit.
        """
        snapshot = self.snapshot()
        files = self._checksum_files(snapshot)
        if files is None:
            return
        if self._logged_paths(snapshot) != {file["path"] for file in self._listing(snapshot, files)}:
            raise self._wrong_checksum(int(snapshot.version()))

    def _logged_paths(self, snapshot: Any) -> set[str]:
        """Returns the paths of the files that the whole log leaves in the table."""
        if not snapshot.checkpointProvider().isEmpty():
            paths = DataFrame(snapshot.allFilesViaStateReconstruction().toDF(), self._spark).select("path")
            return {row.path for row in paths.collect()}
        # Without a checkpoint, the log is a few commits. The driver replays them faster than Spark plans.
        replay = self._delta("actions.InMemoryLogReplay")(self._none, self._none)
        for commit in items(self._log.getChanges(0, snapshot.version(), self._none, True)):
            replay.append(commit._1(), commit._2().iterator())
        return {file["path"] for file in self._describe(replay.allFiles())}

    def _checksum_files(self, snapshot: Any) -> Any | None:
        """Returns the table's files from the checksum beside the commit; None if it does not list them.

        Raises:
            UsageError: the checksum belongs to another commit.
        """
        checksum = snapshot.checksumOpt()
        files = checksum.get().allFiles() if checksum.isDefined() else self._none
        version = int(snapshot.version())
        commit_info = self._commit_info(version)
        transaction_id = commit_info.get().txnId() if commit_info.isDefined() else self._none
        if not files.isDefined() or not transaction_id.isDefined():
            return None
        if _value(checksum.get().txnId()) != _value(transaction_id):
            raise self._wrong_checksum(version)
        return files.get()

    def _wrong_checksum(self, version: int) -> UsageError:
        return UsageError(
            f"table {self._path}: _delta_log/{version:020d}.crc does not match version {version}: the log "
            "was changed by hand or by another writer; delete the .crc files of this log, then run "
            "verify_sales"
        )

    def _class(self, name: str) -> Any:
        return java_class(self._jvm, name)

    def _delta(self, name: str) -> Any:
        """Returns a class of Delta by its name below Delta's package."""
        return self._class(f"org.apache.spark.sql.delta.{name}")

    def _to_list(self, sequence: Any) -> list[Any]:
        return [sequence.apply(position) for position in range(sequence.size())]

    def _action(self, kind: str, content: Mapping[str, Any]) -> Any:
        return self._delta("actions.Action").fromJson(json.dumps({kind: content}))

    def _to_sequence(self, values: Sequence[Any]) -> Any:
        java_list = self._class("java.util.ArrayList")()
        for value in values:
            java_list.add(value)
        return self._class("org.apache.spark.api.python.PythonUtils").toSeq(java_list)


def has_lineage_listener(spark: SparkSession) -> bool:
    """Whether OpenLineage listens to the session's queries."""
    # Not from SparkConf: its copy asks the JVM for each setting.
    return "openlineage" in str(spark.conf.get("spark.extraListeners", "")).lower()


def _command_options(metadata: str, application: str, number: int) -> dict[str, str]:
    """Returns the options of Spark's writer for the metadata and the transaction number of a commit."""
    return {"userMetadata": metadata, "txnAppId": application, "txnVersion": str(number)}


def date_condition(column: str, dates: Iterable[dt.date]) -> str:
    """Returns the SQL condition that a date column is one of the dates; always false for no dates."""
    literals = ", ".join(f"date'{date.isoformat()}'" for date in sorted(set(dates)))
    # In quotes: a declared table may call its period from.
    return f"`{column}` in ({literals})" if literals else f"`{column}` is null and false"


def _as_text(dates: Collection[dt.date]) -> set[str]:
    """Formats dates as Delta's log does."""
    return {date.isoformat() for date in dates}


def _is_below_table(path: str) -> bool:
    """Whether a path of the log is below its table: a clone of another table names files by full paths."""
    return not path.startswith("/") and ":/" not in path


def _value(option: Any) -> str | None:
    return str(option.get()) if option.isDefined() else None
