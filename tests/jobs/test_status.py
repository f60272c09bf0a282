"""How far each date is, and whether billing may start."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

import pipeline.clock
import pipeline.steps.publish_window
from jobs.build_daily_sales import JOB as BUILD_DAILY_SALES
from jobs.ingest_sales import JOB as INGEST_SALES
from jobs.publish_sales import JOB as PUBLISH_SALES
from jobs.status import JOB as STATUS
from tests.jobs.shop import Ran, Shop, line

DATE = "2026-03-02"
SOLD = line("A", f"{DATE}T15:00:00Z")


def states(ran: Ran) -> dict[str, str]:
    return {state["business_date"]: state["state"] for state in ran.result["states"]}


def test_a_night_step_by_step(shop: Shop) -> None:
    ask = ("--date", DATE)
    missing = shop.run(*ask, job=STATUS)
    assert (missing.code, states(missing)) == (5, {DATE: "missing"})
    assert f"billing has to wait: 1 missing: {DATE} (its drop is not there)" in missing.error
    assert list(shop.lake.rglob("*")) == []  # it writes nothing, and makes no table
    shop.land(DATE, SOLD)
    landed = shop.run(*ask, job=STATUS)
    assert (landed.code, states(landed)) == (5, {DATE: "landed"})
    shop.done(job=INGEST_SALES)
    stale = shop.run(*ask, job=STATUS)
    assert (stale.code, states(stale)) == (5, {DATE: "stale"})
    shop.done(job=PUBLISH_SALES)
    done = shop.done(*ask, job=STATUS)
    assert states(done) == {DATE: "done"}
    shop.done(job=BUILD_DAILY_SALES)
    assert states(shop.done(*ask, job=STATUS)) == {DATE: "done"}
    shop.done()
    billed = shop.done(*ask, job=STATUS)
    assert states(billed) == {DATE: "billed"}
    assert billed.result["run_again"] is None
    shop.land(DATE, SOLD, line("B", f"{DATE}T15:00:00Z"))
    assert states(shop.run(*ask, job=STATUS)) == {DATE: "landed"}
    shop.done(job=INGEST_SALES)
    restated = shop.run(*ask, job=STATUS)
    assert (restated.code, states(restated)) == (5, {DATE: "stale"})
    assert restated.result["states"][0]["revision"] == 1
    assert restated.result["states"][0]["lines"] == 2


def test_what_an_audit_holds_and_what_failed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.land(DATE, SOLD, *[line(f"R{number}", f"{DATE}T15:00:00Z", quantity="x") for number in range(9)])
    shop.land("2026-03-03", line("C", "2026-03-03T15:00:00Z"))

    def fail(window: Any, plan: Any) -> Any:
        raise RuntimeError("a value of this date cannot be written")

    with monkeypatch.context() as patched:
        patched.setattr(pipeline.steps.publish_window.PublishWindow, "sales", fail)
        shop.run()
    ran = shop.run(job=STATUS)
    assert states(ran) == {DATE: "blocked", "2026-03-03": "failed"}
    assert ran.code == 4
    assert ran.result["states"][1]["reason"] == "a value of this date cannot be written"
    failed = shop.run("--date", "2026-03-03", job=STATUS)
    assert (failed.code, failed.result["run_again"]) == (3, None)


def test_without_dates_the_last_two_weeks_are_shown(shop: Shop) -> None:
    for day in range(1, 21):
        shop.land(f"2026-03-{day:02d}", line(f"{day}", f"2026-03-{day:02d}T15:00:00Z"))
    shop.done()
    shop.land("2026-03-22", line("22", "2026-03-22T15:00:00Z"))
    ran = shop.run(job=STATUS)
    assert states(ran) == {f"2026-03-{day:02d}": "billed" for day in range(8, 21)} | {"2026-03-22": "landed"}
    assert ran.code == 5
    assert "13 billed, 1 landed" in ran.stdout


def test_an_empty_shop_has_nothing_to_wait_for(shop: Shop) -> None:
    assert "no business date is known yet" in shop.done(job=STATUS).stdout


def test_margins(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.land(DATE, SOLD)
    shop.done(job=INGEST_SALES)
    now = dt.datetime(2026, 3, 3, 5, 0, tzinfo=dt.UTC)
    monkeypatch.setattr(pipeline.clock, "now", lambda: now)
    settings = ("--set", "business_day.timezone=UTC", "--set", "deadlines.ingest_sales='06:00'")
    ran = shop.run(*settings, "--set", "deadlines.bill_customers='04:00'", job=STATUS)
    margins = ran.result["states"][0]["margin_seconds"]
    assert margins["bill_customers"] == -3600  # not done, and an hour late by now
    assert margins["ingest_sales"] < -86400  # done long after: today
    assert "1 h 00 min LATE" in ran.stdout
    history = shop.run(*settings, "--set", "late.history_before=2026-03-03", job=STATUS)
    assert history.result["states"][0]["margin_seconds"] == {}
