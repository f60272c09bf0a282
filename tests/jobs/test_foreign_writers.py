"""Another Spark writes to the tables: its housekeeping does no harm, and what does harm is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobs.migrate_tables import JOB as MIGRATE_TABLES
from jobs.run_batch import JOB as RUN_BATCH
from jobs.status import JOB as STATUS
from jobs.verify_sales import JOB as VERIFY_SALES
from schemas.gold import DAILY_SALES, INVOICES
from schemas.tables import (
    LEDGER_BUILDS,
    LEDGER_DATES,
    LEDGER_DROPS,
    LEDGER_RUNS,
    LEDGER_STAGES,
    RECEIVED_SALES,
    SALES,
    Table,
)
from tests.jobs.shop import DATA_TABLES, Shop, line
from tests.support.tables import table_path

DATES = [f"2026-03-0{day}" for day in range(2, 7)]
# What a Spark sets that nobody told otherwise: it writes times as INT96.
_TIMES = "spark.sql.parquet.outputTimestampType"


@contextmanager
def another_spark(shop: Shop) -> Iterator[None]:
    """The settings of a Spark of which nobody set any."""
    before = shop.spark.conf.get(_TIMES)
    shop.spark.conf.set(_TIMES, "INT96")
    try:
        yield
    finally:
        shop.spark.conf.set(_TIMES, str(before))


def name(shop: Shop, table: Table) -> str:
    return f"delta.`{table_path(shop.lake, table)}`"


def land(shop: Shop, date: str) -> None:
    shop.land(
        date, *(line(f"{product}-{date}", f"{date}T15:00:00Z", product_name=product) for product in "AHOV")
    )


def test_optimize_of_every_table_between_two_nights_changes_nothing(shop: Shop) -> None:
    for date in DATES[:2]:
        land(shop, date)
        shop.done()
    with another_spark(shop):
        for table in (*_LEDGER, RECEIVED_SALES, SALES, DAILY_SALES, INVOICES):
            merged = shop.spark.sql(f"OPTIMIZE {name(shop, table)}").collect()[0].metrics
            assert merged.numFilesRemoved > 0 or table.partition_by, table.name
    assert shop.done().result["status"] == "unchanged"
    for date in DATES[2:4]:
        land(shop, date)
        assert shop.done().date_status == {date: "done"}
    states = shop.done("--date", DATES[2], job=STATUS).result["states"]
    assert [state["state"] for state in states] == ["billed"]
    assert shop.done(job=VERIFY_SALES).result["error"] is None
    clean = shop.other("clean")
    clean.done()
    for table in DATA_TABLES:
        assert shop.content()[table.name] == clean.content()[table.name]


_LEDGER = (LEDGER_DROPS, LEDGER_DATES, LEDGER_BUILDS, LEDGER_RUNS, LEDGER_STAGES)


@pytest.fixture
def changed(shop: Shop) -> Shop:
    """A lake of two nights that others protected, constrained and upgraded, and a new drop."""
    for date in DATES[:2]:
        land(shop, date)
        shop.done()
    upgraded = "'delta.columnMapping.mode'='name','delta.minReaderVersion'='2','delta.minWriterVersion'='5'"
    with another_spark(shop):
        for table, change in (
            (SALES, "SET TBLPROPERTIES ('delta.appendOnly'='true')"),
            (SALES, "ADD CONSTRAINT few CHECK (quantity < 3)"),
            (INVOICES, "ADD COLUMN paid BOOLEAN"),
            (DAILY_SALES, "SET TBLPROPERTIES ('delta.setTransactionRetentionDuration'='interval 1 days')"),
            (LEDGER_RUNS, "SET TBLPROPERTIES ('delta.enableDeletionVectors'='true')"),
            (LEDGER_DATES, f"SET TBLPROPERTIES ({upgraded})"),
        ):
            shop.spark.sql(f"ALTER TABLE {name(shop, table)} {change}")
        shop.spark.sql(f"DELETE FROM {name(shop, LEDGER_RUNS)} WHERE status = 'done'")
        shop.spark.sql(f"OPTIMIZE {name(shop, LEDGER_DATES)}")
    land(shop, DATES[2])
    return shop


def test_what_keeps_a_night_from_working_is_told_with_its_remedy_and_taken_off_on_request(
    changed: Shop,
) -> None:
    versions = changed.versions()
    refused = changed.run(job=RUN_BATCH)
    assert refused.code == 2
    for told in (
        "property delta.appendOnly is true: the batch replaces dates; remove it: ALTER TABLE delta.`",
        "constraint few is quantity < 3: ",
        "DROP CONSTRAINT `few`",
        "UNSET TBLPROPERTIES ('delta.setTransactionRetentionDuration')",
    ):
        assert told in refused.error
    assert changed.versions() == versions

    planned = changed.done("--drop-foreign", "--dry-run", job=MIGRATE_TABLES).result["planned"]
    assert changed.versions() == versions
    done = changed.done("--drop-foreign", job=MIGRATE_TABLES).result["migrated"]
    assert done == planned
    assert sorted(statement.partition("` ")[2] for statement in done) == [
        "DROP CONSTRAINT `few`",
        "DROP FEATURE columnMapping",
        "DROP FEATURE deletionVectors",
        "UNSET TBLPROPERTIES ('delta.appendOnly')",
        "UNSET TBLPROPERTIES ('delta.setTransactionRetentionDuration')",
    ]
    assert changed.done("--drop-foreign", job=MIGRATE_TABLES).result["status"] == "unchanged"


def test_after_it_the_lake_goes_on_as_if_nobody_had_touched_it(changed: Shop) -> None:
    changed.done("--drop-foreign", job=MIGRATE_TABLES)
    assert changed.done().date_status == {DATES[2]: "done"}
    assert changed.done().result["status"] == "unchanged"
    assert changed.done(job=VERIFY_SALES).result["error"] is None
    clean = changed.other("clean")
    clean.done()
    for table in DATA_TABLES:
        own = [text.replace(", 'paid': None", "") for text in changed.content()[table.name]]
        assert own == clean.content()[table.name]
