"""The registry of gold tables: each declaration is complete, and periods start where the calendar says."""

from __future__ import annotations

import datetime as dt

import pytest

from schemas.gold import GOLD_TABLES, SQL_FOLDER, Period
from schemas.lake import TABLES


@pytest.mark.parametrize(
    ("period", "date", "start"),
    [
        (Period.DAY, "2026-03-02", "2026-03-02"),
        (Period.WEEK, "2026-03-02", "2026-03-02"),  # a Monday
        (Period.WEEK, "2026-03-08", "2026-03-02"),  # the Sunday after it
        (Period.WEEK, "2026-03-09", "2026-03-09"),
        (Period.WEEK, "2027-01-01", "2026-12-28"),  # a week of two years
        (Period.MONTH, "2026-02-28", "2026-02-01"),
        (Period.MONTH, "2026-03-01", "2026-03-01"),
    ],
)
def test_a_period_starts(period: Period, date: str, start: str) -> None:
    assert period.start_of(dt.date.fromisoformat(date)) == dt.date.fromisoformat(start)


@pytest.mark.parametrize("table", GOLD_TABLES, ids=lambda table: table.name)
def test_each_declaration_is_complete(table: object) -> None:
    (declared,) = [one for one in GOLD_TABLES if one is table]
    assert {declared.period_column, *declared.grain, *declared.identifier} <= set(declared.columns)
    assert declared.query == (SQL_FOLDER / f"{declared.view}.sql").read_text(encoding="utf-8")
    assert declared in TABLES
    assert [one.name for one in GOLD_TABLES].count(declared.name) == 1
