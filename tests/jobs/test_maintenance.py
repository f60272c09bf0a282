"""Files that nothing refers to go, and never beside a run."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

import pipeline.steps.maintain
from jobs.maintain_tables import JOB as MAINTAIN_TABLES
from jobs.publish_sales import JOB as PUBLISH_SALES
from jobs.verify_sales import JOB as VERIFY_SALES
from pipeline.lake.ledger import Ledger
from pipeline.lake.lock import STALE_SECONDS, LakeLock
from pipeline.lake.tables import Lake
from schemas.lake import LakeTables
from schemas.tables import LEDGER_DATES, LEDGER_DROPS, LEDGER_RUNS, LEDGER_STAGES, RECEIVED_SALES, SALES
from tests.jobs.shop import DATA_TABLES, Shop, line

DATE = "2026-03-02"
NOW = ("--retain-hours", "0")


def data_files(shop: Shop) -> set[str]:
    return {str(path) for path in shop.lake.rglob("*.parquet") if "_delta_log" not in path.parts}


@contextmanager
def at_work(shop: Shop) -> Iterator[str]:
    lock = LakeLock(Lake(shop.spark, str(shop.lake)).files, "20260302T010203-another")
    lock.begin()
    yield "20260302T010203-another"
    lock.end()


def locks(shop: Shop) -> list[Path]:
    return sorted((shop.lake / "ledger" / "_running").glob("lock.*"))


def test_what_nothing_refers_to_goes_and_all_else_stays(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LakeTables, "every", DATA_TABLES)
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"))
    shop.done()
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"), line("B", f"{DATE}T15:00:00Z"))
    shop.done()
    orphan = shop.lake / "silver" / "sales" / f"business_date={DATE}" / "part-00000-of-a-killed-run.parquet"
    orphan.write_bytes(b"half a file")
    content, before = shop.content(), data_files(shop)
    # Within the days that are safe for everybody, nothing goes.
    assert sum(shop.done(job=MAINTAIN_TABLES).result["removed"].values()) == 0
    told = shop.done(*NOW, "--dry-run", job=MAINTAIN_TABLES)
    # Replaced: a file each of bronze, sales, daily sales and invoices.
    assert "silver/sales: 2 files would be deleted" in told.result["planned"]
    assert "silver/conflicts: 0 files would be deleted" in told.result["planned"]
    assert data_files(shop) >= before
    ran = shop.done(*NOW, job=MAINTAIN_TABLES)
    assert {table: count for table, count in ran.result["removed"].items() if count} == {
        "bronze/received_sales": 1,
        "silver/sales": 2,
        "gold/daily_sales": 1,
        "gold/invoices": 1,
    }
    assert not orphan.exists()
    assert len(before - data_files(shop)) == 5
    assert shop.content() == content
    assert shop.run().result["status"] == "unchanged"
    assert len(locks(shop)) == 1  # the last one, free


def test_maintenance_and_runs_keep_out_of_each_others_way(shop: Shop) -> None:
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"))
    shop.done()
    runs = len(shop.rows(LEDGER_RUNS))
    with at_work(shop) as other:
        for job, arguments in ((MAINTAIN_TABLES, NOW), (PUBLISH_SALES, ())):
            refused = shop.run(*arguments, job=job)
            assert refused.code == 75
            assert f"run {other} is at work in this lake" in refused.error
        # What reads alone needs no lock.
        shop.done(job=VERIFY_SALES)
        shop.done(*NOW, "--dry-run", job=MAINTAIN_TABLES)
    assert len(shop.rows(LEDGER_RUNS)) == runs  # of what was refused there was no run


def test_the_lock_of_a_killed_run_goes_stale(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LakeTables, "every", (SALES,))
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"))
    shop.done()
    held = {"run_id": "of-a-killed-run", "machine": "another", "pid": 1, "started": 0}
    dead = shop.lake / "ledger" / "_running" / "lock.000000000999"
    dead.write_text(json.dumps(held))
    refused = shop.run(*NOW, job=MAINTAIN_TABLES)
    assert (refused.code, "run of-a-killed-run is at work" in refused.error) == (75, True)
    then = time.time() - STALE_SECONDS - 1
    os.utime(dead, (then, then))
    ran = shop.done(*NOW, job=MAINTAIN_TABLES)
    # It may be alive: what it has written and not committed stays.
    assert "files of the last 168 hours are kept" in ran.result["warnings"][0]
    running = shop.lake / "ledger" / "_running"
    # The file of a run goes with its lock.
    assert sorted(p.name for p in running.iterdir()) == ["lock.000000001000", "progress.000000001000"]
    assert shop.done(*NOW, job=MAINTAIN_TABLES).result["warnings"] == []


def test_what_a_killed_run_left_to_be_recorded_is_recorded_before_its_files_go(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"))
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "record_dates", lambda *rows: kill() if rows[-1] else None)
        with pytest.raises(Killed):
            shop.run()
    assert shop.rows(LEDGER_DATES) == []
    assert len(shop.rows(SALES)) == 1
    shop.done(*NOW, job=MAINTAIN_TABLES)
    assert [row["status"] for row in shop.rows(LEDGER_DATES)] == ["done"]
    assert shop.done().date_status == {}


def test_it_takes_no_dates(spark: SparkSession, shop: Shop) -> None:
    refused = shop.run("--date", DATE, job=MAINTAIN_TABLES)
    assert refused.code == 2
    assert "maintain_tables works on whole tables: it takes no dates" in refused.error


def test_small_files_are_merged_where_they_are_many(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        shop.land(DATE, *[line(f"{n}", f"{DATE}T15:00:00Z") for n in range(number + 1)])
        shop.done()
    content = shop.content()
    monkeypatch.setattr(pipeline.steps.maintain, "_FEW_LEDGER_FILES", 2)
    tables = (LEDGER_DROPS, LEDGER_STAGES, SALES)  # each takes seconds: of every kind one or two
    monkeypatch.setattr(LakeTables, "every", tables)
    ran = shop.done(job=MAINTAIN_TABLES)
    merged = {table for table, count in ran.result["merged"].items() if count}
    assert merged == {"ledger/drops", "ledger/stages"}
    assert len(DeltaTable(str(shop.lake / "ledger" / "drops")).file_uris()) == 1
    # A checkpoint of each, so that a reader need not go through every commit.
    for table in tables:
        assert list((shop.lake / table.name / "_delta_log").glob("*.checkpoint*.parquet")), table.name
    assert shop.content() == content
    assert shop.run().result["status"] == "unchanged"
    freed = shop.done(*NOW, job=MAINTAIN_TABLES).result
    assert freed["removed"]["ledger/drops"] == 3
    assert all(freed["freed_bytes"][table] > 0 for table in merged)
    assert shop.content() == content


def test_dates_in_many_small_files_are_merged_and_no_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        shop.land(DATE, line(f"{number}", f"{DATE}T15:00:00Z"), name=f"{number}.csv")
    shop.land("2026-03-03", line("other", "2026-03-03T15:00:00Z"))
    shop.spark.conf.set("spark.sql.files.openCostInBytes", str(2**30))
    try:
        shop.done()
    finally:
        shop.spark.conf.unset("spark.sql.files.openCostInBytes")
    content = shop.content()
    monkeypatch.setattr(pipeline.steps.maintain, "_FEW_FILES", 4)
    monkeypatch.setattr(LakeTables, "every", (RECEIVED_SALES,))
    told = shop.done("--dry-run", job=MAINTAIN_TABLES).result["planned"]
    assert [text for text in told if "merged" in text] == [
        "bronze/received_sales: small files of 1 dates would be merged"
    ]
    assert shop.done(job=MAINTAIN_TABLES).result["merged"]["bronze/received_sales"] == 5
    assert shop.content() == content
    assert shop.run().result["status"] == "unchanged"
