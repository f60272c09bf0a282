"""Dates of a table, replaced and read by the files that its log tells; whoever wrote it before."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipeline.lake import delta_log
from pipeline.lake.files import FileStore
from pipeline.lake.frames import local_frame
from pipeline.lake.tables import Lake
from schemas.errors import TryAgainError, UsageError
from schemas.gold import DAILY_SALES
from schemas.tables import LEDGER_RUNS
from tests.support.counted_work import counted

pytestmark = pytest.mark.usefixtures("interpreted")

MON, TUE, WED = (dt.date(2026, 3, day) for day in (2, 3, 4))
TOLD = {"run_id": "r"}
THRESHOLD = "spark.databricks.delta.allFilesInCrc.thresholdNumFiles"
LISTS_FILES = "spark.databricks.delta.allFilesInCrc.enabled"


@pytest.fixture(params=["told by the checksum", "looked up in the log"])
def lake(request: pytest.FixtureRequest, spark: SparkSession, tmp_path: Path) -> Iterator[Lake]:
    """A lake whose log tells the files of its tables at hand, or does not, as one of too many files."""
    before = spark.conf.get(THRESHOLD)
    if request.param == "looked up in the log":
        spark.conf.set(THRESHOLD, "0")
    lake = opened(spark, tmp_path)
    lake.prepare()
    yield lake
    spark.conf.set(THRESHOLD, str(before))


def opened(spark: SparkSession, folder: Path) -> Lake:
    return Lake(spark, str(folder / "lake"))


def rows(spark: SparkSession, *numbers: tuple[dt.date, int]) -> DataFrame:
    """Rows of gold/daily_sales with these lines."""
    return local_frame(
        spark,
        DAILY_SALES.schema,
        [
            {"business_date": date, "store_id": "S", "lines": lines, "net_amount": Decimal(1)}
            for date, lines in numbers
        ],
    )


def lines(frame: DataFrame) -> list[tuple[dt.date, int]]:
    return sorted((row.business_date, row.lines) for row in frame.collect())


def forget_logs(spark: SparkSession) -> None:
    """What another process knows of them: nothing."""
    java: Any = spark._jvm
    java.org.apache.spark.sql.delta.DeltaLog.clearCache()


def log_of(lake: Lake) -> Path:
    return Path(lake.path(DAILY_SALES).removeprefix("file:")) / "_delta_log"


def test_only_the_dates_asked_for_are_replaced(spark: SparkSession, lake: Lake) -> None:
    assert lines(lake.read_dates(DAILY_SALES, [MON])) == []
    first = lake.replace(DAILY_SALES, rows(spark, (MON, 1), (TUE, 2), (TUE, 3)), [MON, TUE], TOLD)
    second = lake.replace(DAILY_SALES, rows(spark, (TUE, 4)), [TUE, WED], TOLD)
    assert (first, second) == (1, 2)
    assert lines(lake.read_dates(DAILY_SALES, [TUE, WED])) == [(TUE, 4)]
    assert lines(lake.read_dates(DAILY_SALES, [TUE], first)) == [(TUE, 2), (TUE, 3)]
    assert lines(lake.read(DAILY_SALES)) == [(MON, 1), (TUE, 4)]
    emptied = lake.replace(DAILY_SALES, rows(spark), [MON], TOLD)
    assert lines(lake.read_dates(DAILY_SALES, [MON])) == []
    again = lake.replace(DAILY_SALES, rows(spark), [MON], TOLD)
    assert (emptied, again) == (3, 4)  # a commit tells what was done, though nothing changed
    assert lake.commit(DAILY_SALES, again).metadata == TOLD


def test_all_rows_and_all_dates_of_the_latest_and_of_an_earlier_version(
    spark: SparkSession, lake: Lake
) -> None:
    assert (lines(lake.read_whole(DAILY_SALES)), lake.all_dates(DAILY_SALES)) == ([], set())
    first = lake.replace(DAILY_SALES, rows(spark, (MON, 1), (TUE, 2), (TUE, 3)), [MON, TUE], TOLD)
    second = lake.replace(DAILY_SALES, rows(spark, (WED, 4)), [TUE, WED], TOLD)
    assert lines(lake.read_whole(DAILY_SALES)) == [(MON, 1), (WED, 4)]
    assert lines(lake.read_whole(DAILY_SALES, second)) == [(MON, 1), (WED, 4)]
    assert lines(lake.read_whole(DAILY_SALES, first)) == [(MON, 1), (TUE, 2), (TUE, 3)]
    assert lake.all_dates(DAILY_SALES) == lake.all_dates(DAILY_SALES, second) == {MON, WED}
    assert lake.all_dates(DAILY_SALES, first) == {MON, TUE}
    assert lake.stray_dates(DAILY_SALES, [WED]) == [MON]
    lake.replace(DAILY_SALES, rows(spark), [MON, WED], TOLD)
    assert (lines(lake.read_whole(DAILY_SALES)), lake.all_dates(DAILY_SALES)) == ([], set())


def test_another_process_reads_and_replaces_the_same(spark: SparkSession, lake: Lake, tmp_path: Path) -> None:
    lake.replace(DAILY_SALES, rows(spark, (MON, 1), (TUE, 2)), [MON, TUE], TOLD)
    forget_logs(spark)
    other = opened(spark, tmp_path)
    other.replace(DAILY_SALES, rows(spark, (MON, 5)), [MON], TOLD)
    forget_logs(spark)
    assert lines(opened(spark, tmp_path).read_dates(DAILY_SALES, [MON, TUE])) == [(MON, 5), (TUE, 2)]


def test_a_row_of_another_date_and_another_column_commit_nothing(spark: SparkSession, lake: Lake) -> None:
    lake.replace(DAILY_SALES, rows(spark, (MON, 1)), [MON], TOLD)
    with pytest.raises(ValueError, match=r"gold/daily_sales: the rows hold \['2026-03-03'\], which"):
        lake.replace(DAILY_SALES, rows(spark, (TUE, 2)), [MON], TOLD)
    as_text = rows(spark, (MON, 2)).withColumn("lines", F.col("lines").cast("string"))
    with pytest.raises(ValueError, match="column lines is string, must be bigint"):
        lake.replace(DAILY_SALES, as_text, [MON], TOLD)
    assert (lake.version(DAILY_SALES), lines(lake.read(DAILY_SALES))) == (1, [(MON, 1)])


def test_with_a_lineage_listener_a_command_of_spark_does_the_same(
    spark: SparkSession, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta_log, "has_lineage_listener", lambda _: True)
    first = lake.replace(DAILY_SALES, rows(spark, (MON, 1), (TUE, 2)), [MON, TUE], TOLD)
    second = lake.replace(DAILY_SALES, rows(spark, (TUE, 4)), [TUE, WED], TOLD)
    with pytest.raises(ValueError, match=r"gold/daily_sales: .*does not conform to"):
        lake.replace(DAILY_SALES, rows(spark, (TUE, 2)), [MON], TOLD)
    unchanged = lake.replace(DAILY_SALES, rows(spark), [WED], {"run_id": "s"})
    assert (first, second, unchanged) == (1, 2, 3)
    assert lines(lake.read(DAILY_SALES)) == [(MON, 1), (TUE, 4)]
    assert [lake.commit(DAILY_SALES, version).metadata["run_id"] for version in (1, 2, 3)] == ["r", "r", "s"]
    assert lake.transaction(DAILY_SALES) == 3
    lake.pin_transactions()
    opened(spark, tmp_path).fence("another")
    with pytest.raises(TryAgainError, match="another run committed first"):
        lake.replace(DAILY_SALES, rows(spark, (MON, 2)), [MON], TOLD)


@pytest.mark.parametrize("other", ["takes over", "adds rows"])
def test_with_a_lineage_listener_a_writer_that_comes_between_is_told(
    spark: SparkSession, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    lake.replace(DAILY_SALES, rows(spark, (MON, 1)), [MON], TOLD)
    monkeypatch.setattr(delta_log, "has_lineage_listener", lambda _: True)
    real = delta_log.DeltaLog._transaction

    def come_between(log: delta_log.DeltaLog, *arguments: Any) -> Any:
        transaction = real(log, *arguments)
        monkeypatch.setattr(delta_log.DeltaLog, "_transaction", real)
        if other == "takes over":
            opened(spark, tmp_path).fence("another")
        else:
            rows(spark, (TUE, 7)).write.format("delta").mode("append").save(lake.path(DAILY_SALES))
        return transaction

    monkeypatch.setattr(delta_log.DeltaLog, "_transaction", come_between)
    with pytest.raises(TryAgainError, match="another run wrote to it at the same time"):
        lake.replace(DAILY_SALES, rows(spark, (MON, 2)), [MON], {"run_id": "s"})
    if other == "takes over":  # else the rows are there, and the next run finds their commit
        assert (MON, 2) not in lines(lake.read(DAILY_SALES))


def test_with_a_lineage_listener_rows_are_added_or_it_is_told(
    spark: SparkSession, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta_log, "has_lineage_listener", lambda _: True)
    assert lake.add(DAILY_SALES, rows(spark, (MON, 1)), TOLD) == 1
    assert lake.add(DAILY_SALES, rows(spark, (MON, 2)), {"run_id": "s"}) == 2
    assert lines(lake.read(DAILY_SALES)) == [(MON, 1), (MON, 2)]
    assert lake.commit(DAILY_SALES, 2).metadata == {"run_id": "s"}
    real = delta_log._command_options

    def come_between(*arguments: Any) -> dict[str, str]:
        opened(spark, tmp_path).fence("another")  # Delta skips the write silently
        return real(*arguments)

    monkeypatch.setattr(delta_log, "_command_options", come_between)
    with pytest.raises(TryAgainError, match="another run wrote to it at the same time"):
        lake.add(DAILY_SALES, rows(spark, (MON, 3)), {"run_id": "s"})
    # One that took over before the write is told, too.
    lake.pin_transactions()
    opened(spark, tmp_path).fence("another")
    with pytest.raises(TryAgainError, match="another run committed first"):
        lake.add(DAILY_SALES, rows(spark, (MON, 3)), {"run_id": "s"})
    assert lines(lake.read(DAILY_SALES)) == [(MON, 1), (MON, 2)]


def test_a_run_that_was_outrun_commits_nothing(spark: SparkSession, lake: Lake, tmp_path: Path) -> None:
    lake.replace(DAILY_SALES, rows(spark, (MON, 1)), [MON], TOLD)
    lake.pin_transactions()
    opened(spark, tmp_path).fence("another")
    for write in (
        lambda: lake.replace(DAILY_SALES, rows(spark, (MON, 2)), [MON], TOLD),
        lambda: lake.note(DAILY_SALES, TOLD),
    ):
        with pytest.raises(TryAgainError, match="another run committed first"):
            write()
    assert lines(lake.read(DAILY_SALES)) == [(MON, 1)]


def test_a_lock_that_is_lost_during_the_write_stops_the_commit(spark: SparkSession, lake: Lake) -> None:
    lake.replace(DAILY_SALES, rows(spark, (MON, 1)), [MON], TOLD)
    calls = []

    def check() -> None:
        calls.append(len(list(log_of(lake).parent.rglob("*.parquet"))))
        if len(calls) == 2:
            raise TryAgainError("taken")

    lake.check_before_commit(check)
    with pytest.raises(TryAgainError, match="taken"):
        lake.replace(DAILY_SALES, rows(spark, (MON, 2)), [MON], TOLD)
    assert calls == [1, 2]  # before the write, and after it
    assert lines(lake.read(DAILY_SALES)) == [(MON, 1)]


def test_rows_that_another_writer_adds_meanwhile_are_a_conflict(spark: SparkSession, lake: Lake) -> None:
    lake.replace(DAILY_SALES, rows(spark, (MON, 1)), [MON], TOLD)
    calls = []

    def append() -> None:
        calls.append(1)
        if len(calls) == 2:
            rows(spark, (MON, 7)).write.format("delta").mode("append").save(lake.path(DAILY_SALES))

    lake.check_before_commit(append)
    with pytest.raises(TryAgainError, match="another run wrote to it at the same time"):
        lake.replace(DAILY_SALES, rows(spark, (MON, 2)), [MON], TOLD)
    assert lines(lake.read(DAILY_SALES)) == [(MON, 1), (MON, 7)]


def test_a_row_without_a_date_of_another_writer_is_left_alone(spark: SparkSession, lake: Lake) -> None:
    lake.replace(DAILY_SALES, rows(spark, (MON, 1)), [MON], TOLD)
    stray: Any = rows(spark, (MON, 9)).withColumn("business_date", F.lit(None).cast("date"))
    stray.write.format("delta").mode("append").save(lake.path(DAILY_SALES))
    assert lines(lake.read_dates(DAILY_SALES, [MON])) == [(MON, 1)]
    lake.replace(DAILY_SALES, rows(spark, (MON, 2)), [MON], TOLD)
    assert sorted(row.lines for row in lake.read(DAILY_SALES).collect()) == [2, 9]


def test_rows_deleted_by_a_deletion_vector_stay_deleted(spark: SparkSession, lake: Lake) -> None:
    lake.replace(DAILY_SALES, rows(spark, (MON, 1), (MON, 2)), [MON], TOLD)
    name = f"delta.`{lake.path(DAILY_SALES)}`"
    spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')")
    spark.sql(f"DELETE FROM {name} WHERE lines = 2")
    assert lines(lake.read_dates(DAILY_SALES, [MON])) == [(MON, 1)]
    assert lines(lake.read_whole(DAILY_SALES)) == [(MON, 1)]
    lake.replace(DAILY_SALES, rows(spark, (MON, 3)), [MON], TOLD)
    assert lines(lake.read(DAILY_SALES)) == [(MON, 3)]


def test_a_new_table_costs_no_spark_job_and_its_checksum_lists_its_files(
    spark: SparkSession, tmp_path: Path
) -> None:
    lake = opened(spark, tmp_path)
    before = spark.conf.get(LISTS_FILES, "true")
    assert counted(spark, lambda: lake.ensure(DAILY_SALES)).jobs == 0
    assert json.loads((log_of(lake) / f"{0:020d}.crc").read_text())["allFiles"] == []
    assert spark.conf.get(LISTS_FILES) == before
    lake.replace(DAILY_SALES, rows(spark, (MON, 1)), [MON], TOLD)
    assert len(json.loads((log_of(lake) / f"{1:020d}.crc").read_text())["allFiles"]) == 1


def test_a_checksum_of_another_commit_is_named(spark: SparkSession, tmp_path: Path) -> None:
    """A commit was taken out by hand, and its checksum was not; then another one got its number."""
    lake = opened(spark, tmp_path)
    lake.prepare()
    lake.replace(DAILY_SALES, rows(spark, (MON, 1)), [MON], TOLD)
    lake.replace(DAILY_SALES, rows(spark, (MON, 2)), [MON], TOLD)
    for name in (f"{2:020d}.json", f".{2:020d}.json.crc"):  # Hadoop may keep a checksum of its own
        (log_of(lake) / name).unlink(missing_ok=True)
    kept = log_of(lake) / f"{2:020d}.crc"
    shutil.copy(kept, tmp_path / "kept")
    kept.unlink()
    forget_logs(spark)
    opened(spark, tmp_path).replace(DAILY_SALES, rows(spark, (MON, 3)), [MON], TOLD)
    shutil.copy(tmp_path / "kept", kept)
    forget_logs(spark)
    lake = opened(spark, tmp_path)
    with pytest.raises(UsageError, match=r"daily_sales: _delta_log/0+2\.crc does not match version 2"):
        lake.read_dates(DAILY_SALES, [MON])
    with pytest.raises(UsageError, match=r"0+2\.crc does not match version 2"):
        lake.replace(DAILY_SALES, rows(spark, (MON, 4)), [MON], TOLD)
    for checksum in log_of(lake).glob("*.crc"):
        checksum.unlink()
    forget_logs(spark)
    assert lines(opened(spark, tmp_path).read_dates(DAILY_SALES, [MON])) == [(MON, 3)]


@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_a_checksum_that_names_other_files_than_its_log_is_found(
    spark: SparkSession, tmp_path: Path, has_checkpoint: bool
) -> None:
    lake = opened(spark, tmp_path)
    lake.prepare()
    lake.replace(DAILY_SALES, rows(spark, (MON, 1), (TUE, 1)), [MON, TUE], TOLD)
    if has_checkpoint:
        lake.checkpoint(DAILY_SALES)
    lake.check_checksums()
    checksum = log_of(lake) / f"{1:020d}.crc"
    path = next(log_of(lake).parent.glob("business_date=2026-03-02/*.parquet")).name
    checksum.write_text(checksum.read_text().replace(path, f"other-{path}"))
    forget_logs(spark)
    with pytest.raises(UsageError, match=r"0+1\.crc does not match version 1"):
        opened(spark, tmp_path).check_checksums()


@pytest.mark.parametrize("found", ["gone", "cut off", "of another commit"])
def test_a_date_is_read_and_replaced_where_the_file_of_a_known_checksum_cannot_be_read(
    spark: SparkSession, tmp_path: Path, found: str
) -> None:
    """Delta holds the checksum of a commit that it made; the file is only the faster way to the same list."""
    lake = opened(spark, tmp_path)
    lake.replace(DAILY_SALES, rows(spark, (MON, 1), (TUE, 2)), [MON, TUE], TOLD)
    checksum = log_of(lake) / f"{lake.version(DAILY_SALES):020d}.crc"
    content = checksum.read_text()
    if found == "gone":
        checksum.unlink()
    elif found == "cut off":
        checksum.write_text(content[: len(content) // 2])
    else:
        other = {**json.loads(content), "txnId": "another", "allFiles": []}
        checksum.write_text(json.dumps(other))
    assert lines(lake.read_dates(DAILY_SALES, [MON])) == [(MON, 1)]
    lake.replace(DAILY_SALES, rows(spark, (MON, 3)), [MON], TOLD)
    assert lines(lake.read_dates(DAILY_SALES, [MON, TUE])) == [(MON, 3), (TUE, 2)]


def test_rows_of_the_ledger_come_back(spark: SparkSession, lake: Lake) -> None:
    lake.append(LEDGER_RUNS, [{"run_id": "a", "job": "x", "status": "done"}])
    lake.append(LEDGER_RUNS, [{"run_id": "b", "job": "x", "status": "done"}])
    assert sorted(row["run_id"] for row in lake.rows(LEDGER_RUNS)) == ["a", "b"]


def test_a_lake_that_refuses_to_be_read_is_told(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object, name: str = "") -> bool:
        raise OSError(f"getFileStatus on {name}: Forbidden")

    monkeypatch.setattr(FileStore, "exists", refuse)
    with pytest.raises(UsageError, match=r"lake .*: cannot be read: getFileStatus on .*: Forbidden"):
        lake.check_schemas()
