"""The life of a run: what is asked for, what it tells, what the ledger keeps of it."""

from __future__ import annotations

from typing import Any

from jobs.bill_customers import JOB as BILL_CUSTOMERS
from jobs.build_daily_sales import JOB as BUILD_DAILY_SALES
from jobs.ingest_sales import JOB as INGEST_SALES
from jobs.publish_sales import JOB as PUBLISH_SALES
from jobs.verify_sales import JOB as VERIFY_SALES
from schemas.gold import DAILY_SALES, INVOICES
from schemas.tables import LEDGER_RUNS, LEDGER_TASKS
from tests.jobs.shop import Shop, line

CONTRACT_KEYS = {"run_id", "job", "status", "exit_code", "drops", "dates", "chunks", "rejected", "error"}
DATE_KEYS = {"business_date", "status", "revision", "received", "published", "duplicates", "conflicts"}
SMALL_TASKS = ["--set", "chunks.target_rows_per_partition=2"]


def land(shop: Shop) -> None:
    for day in (2, 3, 4):
        date = f"2026-03-{day:02d}"
        apples = [line(f"{day}-{n}", f"{date}T15:00:00Z") for n in range(3)]
        shop.land(date, *apples, line(f"{day}-Z", f"{date}T15:00:00Z", product_name="Zebra"))


def test_a_night_step_by_step(shop: Shop) -> None:
    shop.arguments = SMALL_TASKS
    land(shop)

    dry = shop.run("--dry-run")
    assert (dry.code, dry.errors) == (0, [])
    assert "ingest drop 2026-03-02: 1 files, " in dry.stdout
    assert not shop.lake.exists()

    # Drop dates limit an ingest.
    ingested = shop.done("--from", "2026-03-02", "--to", "2026-03-03", job=INGEST_SALES)
    assert ingested.drop_status == {"2026-03-02": "ingested", "2026-03-03": "ingested"}
    assert ingested.result["status"] == "done"

    before = shop.versions(), sorted(shop.lake.rglob("*"))
    dry = shop.run("--dry-run", job=PUBLISH_SALES)
    assert dry.code == 0
    for told in (
        "publish 2026-03-02: 4 lines of 1 drops",
        "publish 2026-03-03: 4 lines of 1 drops",
        "chunk A-G: 6 lines, 3 partitions",
        "chunk V-Z: 2 lines, 1 partitions",
    ):
        assert told in dry.stdout
    assert (shop.versions(), sorted(shop.lake.rglob("*"))) == before

    # Business dates limit a publish, and what is built from it.
    published = shop.done("--date", "2026-03-03", job=PUBLISH_SALES)
    assert published.date_status == {"2026-03-03": "done"}
    _is_the_contract(published.result)
    unbuilt = shop.done("--date", "2026-03-02", job=BUILD_DAILY_SALES)
    assert unbuilt.result["status"] == "unchanged"
    assert shop.rows(DAILY_SALES) == []
    shop.done("--date", "2026-03-03", job=BILL_CUSTOMERS)
    assert {row["business_date"] for row in shop.rows(INVOICES)} == {"2026-03-03"}

    # run_batch ingests the drop asked for, and goes on with every stale date.
    batch = shop.done("--date", "2026-03-04")
    assert batch.drop_status == {"2026-03-04": "ingested"}
    assert batch.date_status == {"2026-03-02": "done", "2026-03-04": "done"}
    assert {row["business_date"] for row in shop.rows(DAILY_SALES)} == {
        "2026-03-02",
        "2026-03-03",
        "2026-03-04",
    }
    assert shop.run().result["status"] == "unchanged"
    missing = shop.run("--date", "2026-03-09")
    assert missing.code == 5
    assert "drop 2026-03-09 is not ready: no such folder in the landing" in missing.error
    verified = shop.done("--date", "2026-03-03", job=VERIFY_SALES)
    assert "1 dates from 2026-03-03 to 2026-03-03" in verified.stdout

    _are_told(shop, published.result["run_id"])
    _are_tasks(shop, published.result["run_id"], batch.result["run_id"])


def _is_the_contract(result: dict[str, Any]) -> None:
    assert set(result) >= CONTRACT_KEYS
    (date,) = result["dates"]
    assert {name: date[name] for name in DATE_KEYS} == {
        "business_date": "2026-03-03",
        "status": "done",
        "revision": 1,
        "received": 4,
        "published": 4,
        "duplicates": 0,
        "conflicts": 0,
    }
    chunks = {chunk["chunk"]: chunk for chunk in result["chunks"]}
    told = {
        name: (chunk["partitions"], chunk["tasks"], chunk["failed_attempts"])
        for name, chunk in chunks.items()
    }
    assert told == {"A-G": (2, 2, 0), "V-Z": (1, 1, 0)}
    assert (result["job"], result["status"], result["exit_code"], result["error"]) == (
        "publish_sales",
        "done",
        0,
        None,
    )


def _are_told(shop: Shop, run_id: str) -> None:
    runs = sorted(shop.rows(LEDGER_RUNS), key=lambda row: (row["started_at"], row["ended_at"] is not None))
    assert [(row["job"], row["status"], row["exit_code"]) for row in runs if row["status"] != "running"] == [
        ("ingest_sales", "done", 0),
        ("publish_sales", "done", 0),
        ("build_daily_sales", "unchanged", 0),
        ("bill_customers", "done", 0),
        ("run_batch", "done", 0),
        ("run_batch", "unchanged", 0),
        ("run_batch", "failed", 5),
    ]  # verify_sales writes nothing
    started = [row["run_id"] for row in runs if row["status"] == "running"]
    assert sorted(started) == sorted(row["run_id"] for row in runs if row["status"] != "running")
    running, done = (row for row in runs if row["run_id"] == run_id)
    assert (running["status"], running["exit_code"], running["ended_at"], running["error"]) == (
        "running",
        None,
        None,
        None,
    )
    assert done["ended_at"] > done["started_at"] == running["started_at"]
    assert done["application_id"] == shop.spark.sparkContext.applicationId
    assert len(done["config_hash"]) == 64
    assert done["code_version"].startswith("0.2.0+")
    assert "--date 2026-03-03" in done["arguments"]
    (failed,) = (row for row in runs if row["status"] == "failed")
    assert "drop 2026-03-09 is not ready" in failed["error"]


def _are_tasks(shop: Shop, one_date: str, two_dates: str) -> None:
    columns = ("partitions", "tasks", "failed_attempts", "failures")
    for run_id, partitions in ((one_date, {"A-G": 2, "V-Z": 1}), (two_dates, {"A-G": 3, "V-Z": 1})):
        found = {
            row["chunk"]: tuple(row[name] for name in columns)
            for row in shop.rows(LEDGER_TASKS, run_id=run_id)
        }
        assert found == {chunk: (count, count, 0, []) for chunk, count in partitions.items()}
    assert all(row["task_seconds"] > 0 and row["hosts"] for row in shop.rows(LEDGER_TASKS))
