"""Delta's log, through the classes that Delta itself uses: no Spark query for what the driver can do alone.

A query over three rows costs a plan, code compiled for it and several Spark jobs: without them a run with
nothing to do takes 15 CPU seconds instead of 21, and 3 Spark jobs instead of 24 (measured).
"""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession

from pipeline.lake.files import FileStore
from pipeline.lake.frames import local_frame
from schemas.errors import TryAgainError, UsageError
from schemas.tables import Table

# Above this, reading one file after another takes longer than a query that reads several at once.
MOST_FILES = 256


class DeltaLog:
    """The log of one table."""

    def __init__(self, spark: SparkSession, files: FileStore, table: Table) -> None:
        """Opens the log of a table of the lake whose files are given."""
        jvm: Any = spark._jvm
        self._spark = spark
        self._jvm = jvm
        self._delta = jvm.org.apache.spark.sql.delta
        self._files = files
        self._table = table
        self._path = f"{files.root.rstrip('/')}/{table.name}"
        self._log = self._delta.DeltaLog.forTable(spark._jsparkSession, self._path)
        self._none = jvm.scala.Option.empty()
        self._first: int | None = None

    def snapshot(self) -> Any:
        """The latest version of the table."""
        return self._log.update(False, self._none, self._none)

    def transaction(self, application: str) -> int:
        """Last transaction number that an application committed; 0 where none."""
        return self._number_in(self.snapshot(), application)

    def _number_in(self, snapshot: Any, application: str) -> int:
        checksum = snapshot.checksumOpt()
        kept = checksum.get().setTransactions() if checksum.isDefined() else self._none
        # Without the checksum, Delta finds them by a query over its log.
        found = kept.get() if kept.isDefined() else snapshot.setTransactions()
        numbers = [int(one.version()) for one in self._listed(found) if one.appId() == application]
        return max(numbers, default=0)

    def create(self, properties: Mapping[str, str]) -> None:
        """Makes the table, empty; nothing where another run was first."""
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
        operation = getattr(self._delta, "DeltaOperations$CreateTable")
        transaction.commit(self._sequence([]), operation(metadata, False, False, self._none))

    def append(self, rows: pa.Table) -> None:
        """Appends rows as one file, in one commit."""
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
        transaction.commit(self._sequence([self._action("add", added)]), self._write("Append"))

    def note(self, metadata: str, application: str, number: int) -> int:
        """Makes a commit that changes no row: only what its writer says of it, and a transaction number.

        Args:
            metadata: userMetadata of the commit.
            application: whose transaction number is raised.
            number: to this.

        Returns:
            Version of the commit.
        """
        transaction = self._transaction(application, number)
        raised = self._raised(application, number)
        return int(transaction.commit(self._sequence([raised]), self._write("Overwrite", metadata)))

    def replace(
        self,
        rows: DataFrame,
        dates: Collection[dt.date],
        metadata: str,
        application: str,
        number: int,
        check: Callable[[], None],
    ) -> int:
        """Replaces whole partitions by date, in one commit, whether or not any row changes.

        The driver knows from the log which files a partition has, so Spark runs the write of the new rows and
        nothing else.

        Args:
            rows: new content of the dates, in the columns of the table.
            dates: dates that are replaced.
            metadata: userMetadata of the commit.
            application: whose transaction number is raised.
            number: to this.
            check: called between the write and the commit; what it raises stops the commit.

        Returns:
            Version of the commit.

        Raises:
            TryAgainError: another run was first.
            ValueError: a row is of another date.
        """
        transaction = self._transaction(application, number)
        # What another writer adds to these dates meanwhile is a conflict.
        transaction.trackReadPredicates(self._sequence([self._condition(dates)]), True, True)
        removed = self._files_of(transaction.snapshot(), dates)
        added = self._listed(transaction.writeFiles(rows._jdf))
        column = self._table.partition_by[0]
        others = {str(file.partitionValues().apply(column)) for file in added} - _as_text(dates)
        if others:
            raise ValueError(f"{self._table.name}: rows of {sorted(others)} are not asked for")
        check()
        actions = [*(file.remove() for file in removed), *added, self._raised(application, number)]
        return int(transaction.commit(self._sequence(actions), self._write("Overwrite", metadata)))

    def read(self, version: int | None, dates: Collection[dt.date]) -> DataFrame | None:
        """Rows of some dates of a version; None where the log does not tell its files at hand.

        Spark is told the files, and so runs no query over the log to find them.
        """
        snapshot = self.snapshot()
        told = self._told_files(snapshot)
        if told is None or version not in (None, int(snapshot.version())):
            return None
        files = self._of_dates(told, dates)
        if not files:
            return local_frame(self._spark, self._table.schema)
        frame = self._log.createDataFrame(snapshot, self._sequence(files), False, self._none)
        return DataFrame(frame, self._spark)

    def _transaction(self, application: str, number: int) -> Any:
        """A transaction with which a commit of another run with the same application is a conflict."""
        transaction = self._log.startTransaction(self._none, self._none)
        # As its txnVersion does, but for the query over the log by which that finds the number.
        transaction.readTxn().addOne(application)
        if self._number_in(transaction.snapshot(), application) >= number:
            raise TryAgainError(f"{self._table.name}: another run was first; run again")
        return transaction

    def _raised(self, application: str, number: int) -> Any:
        return self._action("txn", {"appId": application, "version": number, "lastUpdated": None})

    def _files_of(self, snapshot: Any, dates: Collection[dt.date]) -> list[Any]:
        """Files of some dates: from what the log tells at hand, else by a query of Delta's over the log."""
        told = self._told_files(snapshot)
        if told is not None:
            return self._of_dates(told, dates)
        wanted = self._sequence([self._condition(dates)])
        return self._listed(snapshot.filesForScan(wanted, False).files())

    def _condition(self, dates: Collection[dt.date]) -> Any:
        session: Any = self._spark._jsparkSession
        text = date_condition(self._table.partition_by[0], dates)
        return session.sessionState().sqlParser().parseExpression(text)

    def _of_dates(self, files: Any, dates: Collection[dt.date]) -> list[Any]:
        # One text for all: to ask each file would cost a call to the JVM for each.
        told = json.loads(self._delta.util.JsonUtils.mapper().writeValueAsString(files))
        column, wanted = self._table.partition_by[0], _as_text(dates)
        return [
            files.apply(position)
            for position, file in enumerate(told)
            if file["partitionValues"].get(column) in wanted
        ]

    def update_definition(self, schema: str, properties: Mapping[str, str]) -> None:
        """Gives the table another schema and further properties, in one commit.

        Args:
            schema: JSON of a schema whose further columns are nullable.
            properties: set beside those that are there.
        """
        transaction = self._log.startTransaction(self._none, self._none)
        definition = json.loads(transaction.metadata().json())["metaData"]
        definition["schemaString"] = schema
        definition["configuration"] = {**definition.get("configuration", {}), **properties}
        transaction.updateMetadata(self._action("metaData", definition), False)
        manual = getattr(self._delta, "DeltaOperations$ManualUpdate$")
        transaction.commit(self._sequence([]), getattr(manual, "MODULE$"))

    def first_version(self) -> int:
        """The earliest version whose commit is still in the log; looked up once."""
        if self._first is None:
            self._first = self._find_first()
        return self._first

    def _find_first(self) -> int:
        names = (file.name for file in self._files.files(f"{self._table.name}/_delta_log"))
        versions = [int(name[:20]) for name in names if re.fullmatch(r"[0-9]{20}\.json", name)]
        return min(versions, default=0)

    def _write(self, mode: str, metadata: str | None = None) -> Any:
        save_mode = getattr(self._jvm.org.apache.spark.sql.SaveMode, mode)
        said = self._none if metadata is None else self._jvm.scala.Option.apply(metadata)
        arguments = [self._none, self._none, said, *[self._none] * 5]
        return getattr(self._delta, "DeltaOperations$Write")(save_mode, *arguments)

    def checkpoint(self) -> None:
        """Writes a checkpoint of the latest version, unless there is one, and cleans up the log."""
        snapshot = self.snapshot()
        provider = snapshot.checkpointProvider()
        if provider.isEmpty() or provider.version() < snapshot.version():
            self._log.checkpoint(snapshot, self._none)
        self._first = None  # the log's clean-up comes with a checkpoint

    def rows(self) -> list[dict[str, Any]] | None:
        """All rows of a small table without partitions; None where its files are many, or not listed at hand.

        A row of a file that is older than a column lacks it.
        """
        files = self._told_files(self.snapshot())
        if files is None or files.size() > MOST_FILES:
            return None
        rows: list[dict[str, Any]] = []
        for position in range(files.size()):
            added = files.apply(position)
            path = self._delta.util.DeltaFileOperations.absolutePath(self._path, added.path()).toString()
            content = pa.BufferReader(self._files.read(path, added.size()))
            rows += pq.read_table(content, use_threads=False).to_pylist()
        return rows

    def commit_metadata(self, version: int) -> str | None:
        """What the writer of a version said of it; None where nothing, or where its commit is gone."""
        said = self._commit_info(version)
        return _value(said.get().userMetadata()) if said.isDefined() else None

    def _commit_info(self, version: int) -> Any:
        """What the log says of a commit, as Scala's option."""
        commit = self._jvm.org.apache.hadoop.fs.Path(f"{self._path}/_delta_log/{version:020d}.json")
        read = self._delta.DeltaHistoryManager.getCommitInfoOpt
        try:
            return read(self._log.store(), commit, self._log.newDeltaHadoopConf())
        except Py4JJavaError as error:
            if "FileNotFoundException" in str(error):
                return self._none
            raise

    def check_checksum(self) -> None:
        """Proves that the checksum of the latest version names the files of the log, read whole.

        Raises:
            UsageError: it does not, as where another writer replaced a commit.
        """
        snapshot = self.snapshot()
        told = self._told_files(snapshot)
        if told is None:
            return
        paths = DataFrame(snapshot.allFilesViaStateReconstruction().toDF(), self._spark).select("path")
        found = json.loads(self._delta.util.JsonUtils.mapper().writeValueAsString(told))
        if {row.path for row in paths.collect()} != {file["path"] for file in found}:
            raise self._wrong_checksum(int(snapshot.version()))

    def _told_files(self, snapshot: Any) -> Any | None:
        """Files of the table, from the checksum that Delta keeps beside a commit; None where it has none.

        Raises:
            UsageError: the checksum is that of another commit.
        """
        checksum = snapshot.checksumOpt()
        files = checksum.get().allFiles() if checksum.isDefined() else self._none
        version = int(snapshot.version())
        said = self._commit_info(version)
        own = said.get().txnId() if said.isDefined() else self._none
        if not files.isDefined() or not own.isDefined():
            return None
        if _value(checksum.get().txnId()) != _value(own):
            raise self._wrong_checksum(version)
        return files.get()

    def _wrong_checksum(self, version: int) -> UsageError:
        return UsageError(
            f"table {self._path}: _delta_log/{version:020d}.crc is not of version {version}: the log was "
            "changed by hand or by another writer; delete the .crc files of this log, then run "
            "verify_sales"
        )

    def _listed(self, sequence: Any) -> list[Any]:
        return [sequence.apply(position) for position in range(sequence.size())]

    def _action(self, kind: str, content: Mapping[str, Any]) -> Any:
        return self._delta.actions.Action.fromJson(json.dumps({kind: content}))

    def _sequence(self, actions: Sequence[Any]) -> Any:
        listed = self._jvm.java.util.ArrayList()
        for action in actions:
            listed.add(action)
        return self._jvm.org.apache.spark.api.python.PythonUtils.toSeq(listed)


def date_condition(column: str, dates: Iterable[dt.date]) -> str:
    """SQL condition that a date column is one of the dates; for none of them, one that never holds."""
    literals = ", ".join(f"date'{date.isoformat()}'" for date in sorted(set(dates)))
    return f"{column} in ({literals})" if literals else f"{column} is null and false"


def _as_text(dates: Collection[dt.date]) -> set[str]:
    """As a log writes them."""
    return {date.isoformat() for date in dates}


def _value(option: Any) -> str | None:
    return str(option.get()) if option.isDefined() else None
