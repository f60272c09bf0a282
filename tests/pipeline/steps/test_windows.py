"""Windows of dates: one commit each, and a date that fails stays behind alone."""

from __future__ import annotations

from typing import Any

import pytest

import pipeline.steps.publish_window
from jobs.ingest_sales import JOB as INGEST_SALES
from jobs.publish_sales import JOB as PUBLISH_SALES
from schemas.tables import LEDGER_DATES, SALES
from tests.jobs.shop import Shop, line


def days(*numbers: int) -> list[str]:
    return [f"2026-03-{number:02d}" for number in numbers]


def test_windows_failing_dates_and_the_limits_of_a_command(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for date in days(2, 3, 4, 5):
        shop.land(date, line("T", f"{date}T15:00:00Z"))
    shop.done(job=INGEST_SALES)
    sales = pipeline.steps.publish_window.PublishWindow.sales
    failing = set(days(4, 5))

    def fail(window: Any, plan: Any) -> Any:
        if failing & {str(date.date) for date in window.dates}:
            raise RuntimeError("a value of this date cannot be written\n\tat its.stack.Trace")
        return sales(window, plan)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline.steps.publish_window.PublishWindow, "sales", fail)
        # Business dates limit a publish; where nothing of it succeeds, the run did not partly fail.
        none = shop.run("--from", "2026-03-04", "--to", "2026-03-05", job=PUBLISH_SALES)
        assert none.code == 1
        assert none.date_status == dict.fromkeys(days(4, 5), "failed")
        assert none.error.count("a value of this date cannot be written") == 2
        failing.remove("2026-03-05")
        some = shop.run(job=PUBLISH_SALES)
    assert some.code == 3
    assert "date 2026-03-04 failed: a value of this date cannot be written" in some.error
    assert some.date_status == dict.fromkeys(days(2, 3, 5), "done") | {"2026-03-04": "failed"}
    assert shop.sales("business_date") == days(2, 3, 5)
    # The window of four failed before it wrote; then each date was a commit of its own.
    assert {row["silver_version"] for row in shop.rows(LEDGER_DATES, status="done")} == {1, 2, 3}

    for date in days(2, 3, 5):
        shop.land(date, line("T", f"{date}T15:00:00Z"), line("T2", f"{date}T15:00:00Z"))
    shop.done(job=INGEST_SALES)
    # Lines by date are 2, 2, 1, 2: two windows of at most four lines.
    shop.done("--set", "publish.max_lines_per_window=4", job=PUBLISH_SALES)
    last = {
        row["business_date"]: row
        for row in shop.rows(LEDGER_DATES, status="done")
        if row["silver_version"] > 3
    }
    assert {date: (row["revision"], row["silver_version"]) for date, row in last.items()} == {
        "2026-03-02": (2, 4),
        "2026-03-03": (2, 4),
        "2026-03-04": (1, 5),
        "2026-03-05": (2, 5),
    }
    assert shop.sales("business_date") == days(2, 2, 3, 3, 4, 5, 5)
    assert shop.versions()[SALES.name] == 5
