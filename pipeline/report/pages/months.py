"""The calendar of business dates: one table a month, each day with its state, revision and newest run."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.report.pages.site_facts import DateLine

# Sign and name of each state: a colour alone tells nothing to those who do not see it.
STATES = {
    "billed": ("✓", "billed"),
    "done": ("●", "published, not billed"),
    "blocked": ("!", "held back"),
    "failed": ("✗", "failed"),
}
WEEKDAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")


@dataclass(frozen=True)
class Day:
    """A day of the calendar; without a state nothing is known of it."""

    number: int
    state: str = ""
    sign: str = ""
    label: str = ""
    revision: int = 0
    link: str | None = None


@dataclass(frozen=True)
class Month:
    """A month as weeks of seven days; None for the days of other months."""

    name: str
    weeks: Sequence[Sequence[Day | None]]


def months_of(dates: Sequence[DateLine], link: Callable[[str], str | None]) -> list[Month]:
    """Returns the months from the first to the last date.

    Args:
        dates: business dates.
        link: address of a run's page; None if it has none.
    """
    by_date = {line.date: line for line in dates}
    if not by_date:
        return []
    months, month, last = [], min(by_date).replace(day=1), max(by_date)
    while month <= last:
        weeks = [
            [_day(month.replace(day=number), by_date, link) if number else None for number in week]
            for week in calendar.monthcalendar(month.year, month.month)
        ]
        months.append(Month(f"{calendar.month_name[month.month]} {month.year}", weeks))
        month = (month + dt.timedelta(days=31)).replace(day=1)
    return months


def _day(day: dt.date, by_date: dict[dt.date, DateLine], link: Callable[[str], str | None]) -> Day:
    line = by_date.get(day)
    if line is None:
        return Day(day.day)
    sign, name = STATES.get(line.state, ("?", line.state))
    revision = f", revision {line.revision}" if line.revision else ""
    address = link(line.runs[0]) if line.runs else None
    return Day(day.day, line.state, sign, f"{day} {name}{revision}", line.revision, address)
