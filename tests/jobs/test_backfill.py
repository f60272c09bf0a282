"""Years of drops: read in windows, published in windows, resumed, and told date by date what failed."""

from __future__ import annotations

from typing import Any

import pytest

import pipeline.steps.publish_window
from jobs.backfill_sales import JOB as BACKFILL_SALES
from schemas.tables import LEDGER_DROPS, LEDGER_STAGES
from tests.jobs.shop import Shop, line

RANGE = ("--from", "2026-03-01", "--to", "2026-03-31")
SMALL = ("--set", "ingest.max_bytes_per_window=700", "--set", "publish.max_lines_per_window=4")


def land_days(shop: Shop, *numbers: int) -> None:
    for number in numbers:
        date = f"2026-03-{number:02d}"
        shop.land(date, line(f"{number}-1", f"{date}T15:00:00Z"), line(f"{number}-2", f"{date}T15:00:00Z"))


def test_many_drops_in_windows_of_bytes_and_of_lines_come_out_as_in_one(shop: Shop) -> None:
    land_days(shop, *range(2, 8))
    ran = shop.done(*RANGE, *SMALL, job=BACKFILL_SALES)
    assert ran.date_status == {f"2026-03-{day:02d}": "done" for day in range(2, 8)}
    # A drop has some 330 bytes, and two lines.
    versions = [row["bronze_version"] for row in shop.rows(LEDGER_DROPS, status="ingested")]
    assert sorted(versions) == [1, 1, 2, 2, 3, 3]
    assert shop.versions()["silver/sales"] == 3
    # Days of the range without a folder are told once, and are no failure.
    assert "warning: 25 days have no folder in the landing, from 2026-03-01 to 2026-03-31" in ran.stderr
    whole = shop.other("whole")
    whole.done("--set", "billing.issue=false")  # a backfill issues no documents
    assert whole.content() == shop.content()
    again = shop.done(*RANGE, *SMALL, job=BACKFILL_SALES)
    assert again.result["status"] == "unchanged"
    stages = shop.rows(LEDGER_STAGES, "stage", "dates", "lines")
    assert sorted((row["stage"], row["dates"], row["lines"]) for row in stages) == [
        ("bill_customers", 6, 12),
        ("build_daily_sales", 6, 12),
        ("ingest_sales", 6, 12),
        ("publish_sales", 6, 12),
    ]


def test_of_many_dates_a_failing_one_stays_behind(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    land_days(shop, *range(1, 13))
    sales = pipeline.steps.publish_window.PublishWindow.sales
    tried: list[int] = []

    def fail(window: Any, plan: Any) -> Any:
        tried.append(len(window.dates))
        if "2026-03-07" in {str(date.date) for date in window.dates}:
            raise RuntimeError("a value of this date cannot be written")
        return sales(window, plan)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline.steps.publish_window.PublishWindow, "sales", fail)
        ran = shop.run(*RANGE, job=BACKFILL_SALES)
    assert ran.code == 3
    assert [date for date, status in ran.date_status.items() if status != "done"] == ["2026-03-07"]
    assert "  2026-03-07 failed: a value of this date cannot be written" in ran.stdout
    # All twelve, then its halves; of the failing half each date alone.
    assert tried == [12, 6, 6, 1, 1, 1, 1, 1, 1]
    assert "scripts/submit.sh --place local backfill_sales" in ran.result["run_again"]
    assert shop.done(*RANGE, job=BACKFILL_SALES).date_status == {"2026-03-07": "done"}


def test_a_broken_drop_of_a_window_stays_behind(shop: Shop) -> None:
    land_days(shop, 2, 4)
    shop.land_bytes("2026-03-03", b"store_id,transaction_id\n1,2\n")
    ran = shop.run(*RANGE, job=BACKFILL_SALES)
    assert ran.code == 4
    assert ran.drop_status == {"2026-03-02": "ingested", "2026-03-03": "failed", "2026-03-04": "ingested"}
    assert ran.date_status == {"2026-03-02": "done", "2026-03-04": "done"}


def test_it_needs_both_ends(shop: Shop) -> None:
    land_days(shop, 2)
    ran = shop.run("--from", "2026-03-01", job=BACKFILL_SALES)
    assert ran.code == 2
    assert "backfill_sales needs --from and --to" in ran.error


def test_a_misspelled_drop_in_the_range_is_not_skipped(shop: Shop) -> None:
    shop.land("2026-03-02", line("A", "2026-03-02T12:00:00Z"))
    (shop.landing / "Drop_date=2026-03-03").mkdir()
    ran = shop.run("--from", "2026-03-02", "--to", "2026-03-04", job=BACKFILL_SALES)
    assert ran.code == 5
    assert "is 'Drop_date=2026-03-03' meant? Rename it" in ran.error
    assert "1 day has no folder in the landing, from 2026-03-04 to 2026-03-04: skipped" in ran.stderr
