"""A chunk that fails: named, with its cause, and only its date left behind."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.lake.tables import Lake
from pipeline.steps.publish_window import PublishWindow
from schemas.tables import LEDGER_RUNS, LEDGER_TASKS, RECEIVED_SALES, SALES
from tests.jobs.shop import Shop, line
from transforms.publication import ChunkPlan

GOOD, BAD = "2026-03-02", "2026-03-03"


def land(shop: Shop) -> None:
    for date in (GOOD, BAD):
        shop.land(
            date,
            line(f"{date}/a", f"{date}T15:00:00Z", product_name="Apple"),
            line(f"{date}/h", f"{date}T15:00:00Z", product_name="Honey"),
        )


def failing(text: str, partitions: set[int] | None = None) -> Any:
    """PublishWindow.sales whose Honey lines on the bad date fail, in plans of so many partitions."""
    real = PublishWindow.sales

    def sales(window: PublishWindow, plan: ChunkPlan) -> DataFrame:
        rows = real(window, plan)
        if partitions is not None and plan.partitions not in partitions:
            return rows
        is_bad = (F.col("business_date") == F.lit(BAD).cast("date")) & (F.col("product_name") == "Honey")
        return rows.withColumn(
            "channel", F.when(is_bad, F.raise_error(F.lit(text))).otherwise(F.col("channel"))
        )

    return sales


def test_only_the_failing_date_stays_behind(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    land(shop)
    with monkeypatch.context() as patched:
        patched.setattr(PublishWindow, "sales", failing("this honey is bad"))
        ran = shop.run()
    assert ran.code == 3
    assert ran.date_status == {GOOD: "done", BAD: "failed"}
    assert f"date {BAD} failed: chunk H-N failed: " in ran.error
    assert "this honey is bad" in ran.error
    assert ran.result["run_again"].startswith("scripts/submit.sh --place local run_batch --landing ")
    assert f"to finish the rest, run: {ran.result['run_again']}" in ran.stderr
    assert {row["transaction_id"] for row in shop.rows(SALES)} == {f"{GOOD}/a", f"{GOOD}/h"}
    # Two attempts each (local[2,2]): of the window, then of the date alone.
    tasks = {row["chunk"]: row for row in shop.rows(LEDGER_TASKS)}
    assert tasks["H-N"]["failed_attempts"] == 4
    assert tasks["A-G"]["failed_attempts"] == 0
    (failure,) = {text.split(": ", 1)[1] for text in tasks["H-N"]["failures"]}
    assert "this honey is bad" in failure
    bronze = shop.versions()[RECEIVED_SALES.name]
    # The same command, with nothing to remember, does only what is left.
    again = shop.done()
    assert again.date_status == {BAD: "done"}
    assert again.result["run_again"] is None
    assert shop.versions()[RECEIVED_SALES.name] == bronze
    assert len(shop.rows(SALES)) == 4


def test_where_nothing_could_be_published_the_run_failed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.land(BAD, line("h", f"{BAD}T15:00:00Z", product_name="Honey"))
    with monkeypatch.context() as patched:
        patched.setattr(PublishWindow, "sales", failing("this honey is bad"))
        ran = shop.run()
    assert ran.code == 1
    assert "chunk H-N failed: " in ran.error
    (row,) = shop.rows(LEDGER_RUNS, status="failed")
    assert row["exit_code"] == 1
    assert "chunk H-N failed" in row["error"]


def test_a_chunk_lost_to_memory_is_tried_in_twice_as_many_partitions(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both dates in one window: two partitions at first, three when H-N got twice as many."""
    land(shop)
    with monkeypatch.context() as patched:
        patched.setattr(PublishWindow, "sales", failing("java.lang.OutOfMemoryError: Java heap space", {2}))
        ran = shop.done()
    assert "tried once more in twice as many partitions" in ran.stderr
    assert ran.date_status == {GOOD: "done", BAD: "done"}
    tasks = {row["chunk"]: row for row in shop.rows(LEDGER_TASKS)}
    # Two partitions in the first write (one failed twice), three in the second.
    assert (tasks["H-N"]["partitions"], tasks["H-N"]["failed_attempts"]) == (3, 2)
    assert tasks["A-G"]["partitions"] == 2


def test_a_chunk_that_needs_still_more_memory_is_given_up(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(shop)
    with monkeypatch.context() as patched:
        patched.setattr(PublishWindow, "sales", failing("java.lang.OutOfMemoryError: Java heap space"))
        ran = shop.run()
    assert ran.code == 3
    assert f"date {BAD} failed: chunk H-N failed: " in ran.error
    assert ran.date_status == {GOOD: "done", BAD: "failed"}


def test_lost_workers_are_worth_another_try(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    land(shop)
    lost = "Job aborted due to stage failure: Task 0 in stage 9.0 failed 4 times, most recent failure: "
    lost += "ExecutorLostFailure (executor 7 exited unrelated to the running tasks) Reason: worker lost"
    real = Lake.replace

    def replace(lake: Lake, table: Any, *arguments: Any, **named: Any) -> Any:
        if table is SALES:
            raise RuntimeError(lost)
        return real(lake, table, *arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Lake, "replace", replace)
        ran = shop.run()
    assert ran.code == 75
    assert "workers were lost: Job aborted due to stage failure" in ran.error
    assert ran.result["run_again"] is not None
    shop.done()
