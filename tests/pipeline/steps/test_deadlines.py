"""Deadlines: warned of while there is time, told when missed, and written down."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pytest

import pipeline.clock
from jobs.ingest_sales import JOB as INGEST_SALES
from pipeline.planning.timetable import StageRun
from pipeline.steps.timetable import Timetable
from schemas.states import Stage
from schemas.tables import LEDGER_STAGES
from tests.jobs.shop import Shop, line

DATE = "2026-03-02"
UTC = ("--set", "business_day.timezone=UTC")
AT_SIX = ("--set", "deadlines.ingest_sales='06:00'", "--set", "deadlines.publish_sales='06:30'")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[dt.datetime]:
    """The moment that it is, for every clock of a run; a test moves it."""
    moment = [dt.datetime(2026, 3, 3, 5, 0, tzinfo=dt.UTC)]
    monkeypatch.setattr(pipeline.clock, "now", lambda: moment[0])
    return moment


def test_a_run_in_time_keeps_its_margins(shop: Shop, clock: list[dt.datetime]) -> None:
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"))
    ran = shop.done(*UTC, *AT_SIX)
    assert "warning" not in ran.stderr
    rows = {row["stage"]: row for row in shop.rows(LEDGER_STAGES)}
    assert rows["ingest_sales"]["margin_seconds"] == 3600
    assert rows["publish_sales"]["margin_seconds"] == 5400
    assert rows["bill_customers"]["margin_seconds"] is None
    assert [stage["margin_seconds"] for stage in ran.result["stages"]] == [3600, 5400, None, None, None]
    assert "1 h 30 min left" in ran.stdout


def test_a_deadline_that_had_passed_is_told_once_and_stops_nothing(
    shop: Shop, clock: list[dt.datetime]
) -> None:
    clock[0] = dt.datetime(2026, 3, 4, 5, 0, tzinfo=dt.UTC)
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"))
    ran = shop.done(*UTC, *AT_SIX)
    told = [text for text in ran.result["warnings"] if "had passed" in text]
    assert told == [
        f"{stage}: the deadline of 1 dates had passed before this run began ({DATE} to {DATE})"
        for stage in ("ingest_sales", "publish_sales")
    ]
    # A restatement is due at no time.
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"), line("B", f"{DATE}T15:00:00Z"))
    assert shop.done(*UTC, *AT_SIX).result["warnings"] == []


def test_history_has_no_deadline(shop: Shop, clock: list[dt.datetime]) -> None:
    clock[0] = dt.datetime(2026, 3, 4, 5, 0, tzinfo=dt.UTC)
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"))
    ran = shop.done(*UTC, *AT_SIX, "--set", "late.history_before=2026-03-03", job=INGEST_SALES)
    assert ran.result["warnings"] == []
    assert shop.rows(LEDGER_STAGES)[0]["deadline"] is None


class Hours:
    """A timetable whose clock stands where the test puts it."""

    def __init__(self, history: dict[Stage, list[StageRun]]) -> None:
        self.now = dt.datetime(2026, 3, 3, 5, 0, tzinfo=dt.UTC)
        self.warnings: list[str] = []
        self.table = Timetable(
            began=self.now,
            clock=lambda: self.now,
            deadlines={Stage.INGEST: dt.time(6, 0), Stage.PUBLISH: dt.time(6, 0)},
            zone="UTC",
            history=lambda: history,
            warnings=self.warnings,
            stages=list(Stage),
        )

    def pass_by(self, minutes: float) -> None:
        self.now += dt.timedelta(minutes=minutes)


def test_a_stage_to_come_is_warned_of_while_there_is_time() -> None:
    hours = Hours({Stage.INGEST: [StageRun(100, 1200.0)], Stage.PUBLISH: [StageRun(100, 3000.0)]})
    date = dt.date(2026, 3, 2)
    with hours.table.stage(Stage.INGEST, 1, 100, [date]) as times:
        assert times.estimated_end == hours.now + dt.timedelta(minutes=20)
        assert hours.warnings == [
            "publish_sales is expected to end at 2026-03-03 06:10:00 (UTC), 10 min after its deadline "
            "2026-03-03 06:00:00 (UTC)"
        ]
        hours.pass_by(15)
    with hours.table.stage(Stage.PUBLISH, 1, 100, [date]) as times:
        assert len(hours.warnings) == 1  # told once
        hours.pass_by(47)
    assert times.margin_seconds == -120
    assert hours.warnings[1].startswith("publish_sales ended at 2026-03-03 06:02:00 (UTC), 2 min after")


def test_without_earlier_runs_nothing_is_expected() -> None:
    hours = Hours({})
    with hours.table.stage(Stage.INGEST, 1, 100, [dt.date(2026, 3, 2)]) as times:
        assert times.estimated_end is None
        assert hours.table.left() == ""
    assert hours.warnings == []
    assert hours.table.done[0].margin_seconds == 3600


def test_what_is_left_follows_from_the_pace_and_from_the_stages_to_come() -> None:
    millions = 4_000_000
    hours = Hours({Stage.PUBLISH: [StageRun(millions, 600.0)], Stage.INVOICES: [StageRun(millions, 60.0)]})
    left = []
    with hours.table.stage(Stage.INGEST, 4, millions, []):
        for _ in range(4):
            hours.pass_by(10)
            hours.table.advance(millions // 4)
            left.append(hours.table.left())
    # 30, 20, 10, 0 minutes of this stage, and 11 of those to come.
    assert left == [f"; about {minutes} min left" for minutes in (41, 31, 21, 11)]
    assert all(a != b for a, b in pairwise(left))


def test_of_few_lines_nothing_is_told_and_no_earlier_run_is_looked_up() -> None:
    hours = Hours({})
    hours.table.deadlines = {}
    hours.table.history = lambda: pytest.fail("looked up")
    with hours.table.stage(Stage.INGEST, 1, 999_999, []):
        assert hours.table.left() == ""


def test_a_stage_that_fails_is_no_measure() -> None:
    hours = Hours({})
    with pytest.raises(RuntimeError), hours.table.stage(Stage.INGEST, 1, 1):
        raise RuntimeError
    assert hours.table.done == []
