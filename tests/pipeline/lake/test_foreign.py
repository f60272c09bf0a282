"""What others do to a table: rows stay what they are, and what keeps the batch from working is told."""

from __future__ import annotations

import datetime as dt
import io
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import BooleanType, StructField, StructType

from pipeline.lake.foreign import find_obstacles, sql_name
from pipeline.lake.frames import local_frame, read_rows
from pipeline.lake.tables import Lake
from schemas.errors import UsageError
from schemas.gold import DAILY_SALES
from schemas.tables import LEDGER_RUNS

AT = dt.datetime(2026, 3, 2, 1, 2, 3, 456789, tzinfo=dt.UTC)
MON, TUE = dt.date(2026, 3, 2), dt.date(2026, 3, 3)
MAPPED = "spark.databricks.delta.properties.defaults.columnMapping.mode"


def parquet(rows: pa.Table, *, int96: bool = False) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, use_deprecated_int96_timestamps=int96)
    return buffer.getvalue()


@pytest.mark.parametrize("int96", [False, True])
def test_times_of_other_writers_carry_their_zone(int96: bool) -> None:
    times = pa.array([AT, None], pa.timestamp("us", tz="UTC"))
    content = parquet(pa.table({"run_id": ["a", "b"], "started_at": times}), int96=int96)
    assert read_rows([content], LEDGER_RUNS.schema, {}) == [
        {"run_id": "a", "started_at": AT},
        {"run_id": "b", "started_at": None},
    ]


def test_a_column_is_found_under_its_name_in_the_file_and_a_further_one_is_kept() -> None:
    content = parquet(pa.table({"col-1": ["a"], "exit_code": pa.array([4], pa.int8()), "paid": [True]}))
    rows = read_rows([content], LEDGER_RUNS.schema, {"col-1": "run_id"})
    assert rows == [{"run_id": "a", "exit_code": 4, "paid": True}]


@pytest.mark.parametrize(
    ("properties", "what", "statement"),
    [
        (
            {"delta.appendOnly": "true"},
            "property delta.appendOnly is true",
            "UNSET TBLPROPERTIES ('delta.appendOnly')",
        ),
        (
            {"delta.constraints.small": "lines < 5"},
            "constraint small is lines < 5",
            "DROP CONSTRAINT `small`",
        ),
        (
            {"delta.setTransactionRetentionDuration": "interval 1 day"},
            "property delta.setTransactionRetentionDuration is interval 1 day",
            "UNSET TBLPROPERTIES ('delta.setTransactionRetentionDuration')",
        ),
    ],
)
def test_a_property_is_named_with_table_value_and_the_statement_that_removes_it(
    properties: dict[str, str], what: str, statement: str
) -> None:
    (found,) = find_obstacles(DAILY_SALES, "/lake/d", properties, DAILY_SALES.schema, only_appends=False)
    told = found.describe()
    assert told.startswith(f"table /lake/d: {what}: ")
    assert told.endswith(f"; remove it: ALTER TABLE delta.`/lake/d` {statement}")


def test_what_does_no_harm_is_no_obstacle() -> None:
    harmless = {
        "delta.appendOnly": "false",
        "delta.enableDeletionVectors": "true",
        "delta.columnMapping.mode": "name",
        "delta.enableChangeDataFeed": "true",
        "delta.logRetentionDuration": "interval 1 day",
        "note": "delta.constraints are none",
    }
    schema = StructType([*DAILY_SALES.schema.fields, StructField("paid", BooleanType())])
    assert find_obstacles(DAILY_SALES, "/lake/d", harmless, schema, only_appends=False) == []
    protected = {"delta.appendOnly": "true"}
    assert find_obstacles(LEDGER_RUNS, "/lake/r", protected, LEDGER_RUNS.schema, only_appends=True) == []


def test_a_further_column_that_must_not_be_null_is_one() -> None:
    schema = StructType([*DAILY_SALES.schema.fields, StructField("paid", BooleanType(), nullable=False)])
    (found,) = find_obstacles(DAILY_SALES, "/lake/d", {}, schema, only_appends=False)
    assert found.statement == "ALTER TABLE delta.`/lake/d` ALTER COLUMN `paid` DROP NOT NULL"


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path, interpreted: None) -> Lake:
    lake = Lake(spark, str(tmp_path / "lake"))
    lake.prepare()
    return lake


def run_ids(lake: Lake) -> list[str]:
    return sorted(row["run_id"] for row in lake.rows(LEDGER_RUNS))


def test_a_ledger_row_that_was_deleted_by_a_deletion_vector_is_gone(spark: SparkSession, lake: Lake) -> None:
    lake.append(LEDGER_RUNS, [{"run_id": "a"}, {"run_id": "b"}])
    lake.append(LEDGER_RUNS, [{"run_id": "c"}])
    path = lake.path(LEDGER_RUNS)
    spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.enableDeletionVectors'='true')")
    spark.sql(f"DELETE FROM delta.`{path}` WHERE run_id = 'b'")
    assert run_ids(lake) == ["a", "c"]
    lake.append(LEDGER_RUNS, [{"run_id": "d"}])
    assert run_ids(lake) == ["a", "c", "d"]


def test_columns_of_other_names_in_the_files_are_read_and_written_as_every_reader_does(
    spark: SparkSession, lake: Lake
) -> None:
    spark.conf.set(MAPPED, "name")
    try:
        lake.ensure(LEDGER_RUNS)
        lake.ensure(DAILY_SALES)
    finally:
        spark.conf.unset(MAPPED)
    lake.append(LEDGER_RUNS, [{"run_id": "a", "started_at": AT}])
    assert [(row["run_id"], row["started_at"]) for row in lake.rows(LEDGER_RUNS)] == [("a", AT)]
    assert [row.run_id for row in spark.read.format("delta").load(lake.path(LEDGER_RUNS)).collect()] == ["a"]

    def sums(*numbers: tuple[dt.date, int]) -> None:
        rows = [{"business_date": date, "lines": lines, "net_amount": Decimal(1)} for date, lines in numbers]
        dates = [date for date, _ in numbers]
        lake.replace(DAILY_SALES, local_frame(spark, DAILY_SALES.schema, rows), dates, {"run_id": "r"})

    sums((MON, 1), (TUE, 2))
    sums((MON, 5))
    assert [row.lines for row in lake.read_dates(DAILY_SALES, [MON]).collect()] == [5]
    for all_rows in (lake.read(DAILY_SALES), lake.read_whole(DAILY_SALES)):
        assert sorted(row.lines for row in all_rows.collect()) == [2, 5]
    assert lake.all_dates(DAILY_SALES) == {MON, TUE}


def test_an_obstacle_is_told_before_a_write_and_not_to_a_reader(lake: Lake) -> None:
    lake.ensure(DAILY_SALES, {"delta.appendOnly": "true"})
    lake.check_schemas()
    with pytest.raises(
        UsageError, match=f"table {lake.path(DAILY_SALES)}: property delta.appendOnly is true"
    ):
        lake.check_schemas(to_write=True)


@pytest.mark.parametrize("is_readable", [True, False])
def test_a_feature_that_delta_does_not_know_is_named(
    spark: SparkSession, lake: Lake, is_readable: bool
) -> None:
    lake.ensure(DAILY_SALES)
    protocol = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": [] if is_readable else ["notYetKnown"],
        "writerFeatures": ["appendOnly", "invariants", "notYetKnown"],
    }
    log = Path(lake.path(DAILY_SALES).removeprefix("file:")) / "_delta_log"
    (log / f"{1:020d}.json").write_text(json.dumps({"protocol": protocol}) + "\n")
    again = Lake(spark, lake.root)
    with pytest.raises(UsageError, match=f"table {lake.path(DAILY_SALES)}: .*notYetKnown"):
        again.check_schemas(to_write=True)
    if is_readable:
        again.check_schemas()


def test_what_others_turned_on_is_taken_off_again(spark: SparkSession, lake: Lake) -> None:
    spark.conf.set(MAPPED, "name")
    try:
        lake.ensure(LEDGER_RUNS)
    finally:
        spark.conf.unset(MAPPED)
    lake.append(LEDGER_RUNS, [{"run_id": "a"}, {"run_id": "b"}])
    path = lake.path(LEDGER_RUNS)
    spark.sql(f"ALTER TABLE delta.`{path}` ADD CONSTRAINT named CHECK (run_id IS NOT NULL)")
    (difference,) = lake.differences()
    statements = lake.foreign_statements(difference)
    assert [statement.partition("` ")[2] for statement in statements] == [
        "DROP CONSTRAINT `named`",
        "DROP FEATURE columnMapping",
    ]
    lake.drop_foreign(LEDGER_RUNS, statements)
    (difference,) = lake.differences()
    assert (lake.foreign_statements(difference), difference.obstacles) == ([], ())
    assert run_ids(lake) == ["a", "b"]
    assert sorted(row.run_id for row in spark.read.format("delta").load(path).collect()) == ["a", "b"]


def test_a_quote_in_a_path_ends_no_name() -> None:
    assert sql_name("/lake/a`; DROP TABLE b") == "delta.`/lake/a``; DROP TABLE b`"
