"""The overview of all runs, of facts made by hand."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

from pipeline.report.pages.site import _latest, limited
from pipeline.report.pages.site_facts import ChunkLine, DateLine, RunLine, SiteFacts
from pipeline.report.pages.site_page import render_overview
from tests.pipeline.report.pages.made import BEGAN, MONDAY, TUESDAY
from tests.pipeline.report.pages.test_render import HOSTILE, Page, cells

OLD = dt.date(2024, 12, 31)


def run(run_id: str, days: int = 0, **fields: object) -> RunLine:
    made = RunLine(run_id, "run_batch", "done", 0, BEGAN + dt.timedelta(days=days), 60.0, 10, None, 120.0)
    return replace(made, **fields)  # type: ignore[arg-type]


FACTS = SiteFacts(
    lake="file:///lake",
    runs=[
        run("old", -427),
        run("one"),
        run("two", 1, status="failed", exit_code=3, error="it broke", margin_seconds=-60.0),
    ],
    dates=[
        DateLine(OLD, "billed", 1, 5, ["old"], None),
        DateLine(MONDAY, "billed", 2, 30, ["two", "one"], None),
        DateLine(TUESDAY, "failed", 1, 20, ["two"], "it broke"),
    ],
    sales={
        "USD": {MONDAY: {"Food": Decimal("10.50"), "Other": Decimal("1.25")}, TUESDAY: {"Food": Decimal(2)}}
    },
    rejected={MONDAY: (40, 10)},
    chunks=[ChunkLine("two", "A-G", 9.5, 2, 1)],
)


def test_tables_hold_the_numbers() -> None:
    html = render_overview(FACTS, None, [2024, 2026])
    assert "1 of them failed or are held back; readers see their previous revisions." in html
    assert cells(html, "Net sales by month and category, USD")[1:] == [["2026-03", "13.75", "12.50", "1.25"]]
    assert cells(html, "Rejected lines by drop")[1:] == [["2026-03-02", "40", "10", "25.0%"]]
    dates = [row[:5] for row in cells(html, "Business dates, newest first")[1:]]
    assert dates == [
        ["2026-03-03", "failed", "1", "20", "2.00"],
        ["2026-03-02", "billed", "2", "30", "11.75"],
        ["2024-12-31", "billed", "1", "5", ""],
    ]
    assert "1 of 3 runs with a deadline were late." in html
    assert "The last run, two, ended with exit code 3 after 1 min, at 2026-03-04 04:01:00 UTC." in html
    smallest = cells(html, "The smallest margins")[1]
    assert smallest[2] == "1 min LATE"
    assert 'href="runs/two.html" aria-label="2026-03-02 billed, revision 2"' in html
    assert "it broke" in cells(html, "The last 20 runs that failed or recorded no end, newest first")[1][3]
    assert 'href="2024.html"' in html


def test_a_year_holds_its_dates_and_their_runs_alone() -> None:
    year = limited(FACTS, dt.date(2026, 1, 1), dt.date(2026, 12, 31))
    assert [line.date for line in year.dates] == [MONDAY, TUESDAY]
    assert [line.run_id for line in year.runs] == ["one", "two"]
    assert limited(FACTS, OLD, OLD).sales == {"USD": {}}
    assert limited(FACTS, OLD, OLD).chunks == []


def test_delivered_text_is_shown_and_never_obeyed() -> None:
    facts = replace(
        FACTS,
        lake=HOSTILE,
        runs=[run(HOSTILE, error=HOSTILE, status="failed", exit_code=1)],
        dates=[DateLine(MONDAY, "failed", 1, 1, [HOSTILE], HOSTILE)],
        sales={"USD": {MONDAY: {HOSTILE: Decimal(1)}}},
        chunks=[ChunkLine(HOSTILE, HOSTILE, 1.0, 1, 1)],
    )
    html = render_overview(facts, "2026", [2026])
    page = Page(html)
    assert not page.tags["script"]
    assert not page.tags["img"]
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "A picture is left out" not in html
    assert page.tags["svg"] == 4


def test_a_lake_without_dates_has_an_overview() -> None:
    html = render_overview(SiteFacts("file:///lake", [], [], {}, {}, []), None, [])
    assert "The ledger records no business date yet." in html


def test_a_year_of_runs_each_hour_is_small() -> None:
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=n) for n in range(365)]
    runs = [run(f"{n:08d}T040000-run_batch-{n:08x}", n // 24, seconds=60.0 + n) for n in range(24 * 365)]
    facts = replace(
        FACTS,
        runs=runs,
        dates=[
            DateLine(day, "billed", 24, 5, [r.run_id for r in runs[24 * n : 24 * n + 24]], None)
            for n, day in enumerate(days)
        ],
    )
    html = render_overview(facts, None, [2026])
    assert len(html) < 1_000_000
    assert "The latest 800 of 8,760 runs are listed" in html
    assert cells(html, "Business dates, newest first")[1][-1].endswith("21 more")
    assert "Minutes of the longest run of each day" in html
    assert "The smallest of each day." in html


def test_the_last_run_is_named_whatever_its_clock_said() -> None:
    """The facts hold runs in their order; the last one began on a machine whose clock stood in 1970."""
    early = run("early", status="failed", exit_code=1, started_at=dt.datetime(1970, 1, 1, tzinfo=dt.UTC))
    latest = _latest(replace(FACTS, runs=[*FACTS.runs, early]))
    assert latest.runs[-1] == early
    assert "The last run, early, ended with exit code 1" in render_overview(latest, None, [2026])
