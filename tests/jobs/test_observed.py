"""What others see of a run: JSON lines, names in a catalog, a result at a URI."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from schemas.lake import TABLES
from tests.jobs.shop import Shop, line


def test_asked_for_json_everything_told_is_an_object_a_line(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shop.land("2026-03-02", line(), line("T-2", quantity="x"))
    monkeypatch.setenv("CYMBAL_LOG_FORMAT", "json")
    ran = shop.run()
    events = [json.loads(line) for line in ran.stderr.splitlines()]
    assert {"@timestamp", "log.level", "message", "service.name"} <= set.intersection(*map(set, events))
    assert any(event["message"] == "starting Spark" for event in events)
    (error,) = [event for event in events if event["log.level"] == "ERROR"]
    assert "2026-03-02" in error["message"]
    ended = json.loads(ran.stdout.splitlines()[-1])
    assert ended["cymbal.result"]["exit_code"] == ran.code == 4


def test_every_table_gets_a_name_in_the_catalog_once(shop: Shop, spark: SparkSession) -> None:
    shop.land("2026-03-02", line())
    shop.done("--set", "storage.catalog=named_sales")
    try:
        named = {row.tableName for row in spark.sql("SHOW TABLES IN named_sales").collect()}
        there = {table.name.replace("/", "_") for table in TABLES if (shop.lake / table.name).exists()}
        assert named == there
        assert {"silver_sales", "gold_invoices", "ledger_runs", "ledger_stages"} <= named
        assert spark.table("named_sales.silver_sales").count() == 1
        shop.land("2026-03-03", line("T-2", "2026-03-03T12:00:00Z"))
        shop.done("--set", "storage.catalog=named_sales")  # names that are there are no error
        assert spark.table("named_sales.silver_sales").count() == 2
    finally:
        spark.sql("DROP SCHEMA IF EXISTS named_sales CASCADE")


def test_a_catalog_that_is_not_there_ends_the_run_before_any_work(shop: Shop) -> None:
    shop.land("2026-03-02", line())
    ran = shop.run("--set", "storage.catalog=nowhere.sales")
    assert ran.code == 2
    assert ran.error.count("storage.catalog nowhere.sales") == 1  # not asked again at the end
    assert not (shop.lake / "bronze").exists()


def test_a_result_goes_to_a_uri_too(shop: Shop, tmp_path: Path) -> None:
    shop.land("2026-03-02", line())
    target = tmp_path / "results" / "one.json"
    code = shop.run("--result", target.as_uri()).code
    assert code == 0
    assert json.loads(target.read_text())["exit_code"] == 0


def test_a_result_at_a_uri_of_no_file_system_is_told(shop: Shop) -> None:
    shop.land("2026-03-02", line())
    ran = shop.run("--result", "nowhere://host/one.json")
    assert ran.code == 2
    assert '--result nowhere://host/one.json: nowhere://host: No FileSystem for scheme "nowhere"' in ran.error
    assert not shop.lake.exists()
