"""Status: the progress of business dates, their margins to the deadlines, and whether billing may start."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from pipeline import clock
from pipeline.planning.date_progress import WAITING, DateProgress, LakeState, standings
from pipeline.planning.timetable import deadline_of
from pipeline.steps.context import Batch, DateRange
from pipeline.steps.gold import built_revisions
from schemas.states import DateProgressState, Stage

# Dates to show if none are requested.
_NIGHTS = 14
# Dates to name in a message.
_NAMED = 5


def status(batch: Batch) -> list[DateProgress]:
    """Finds the progress of the requested dates; if none are requested, of the last 14 known.

    If billing has to wait, the run fails: with 5 if dates are missing, not ingested or stale; with 4 if an
    audit holds them back; with 3 if they failed.

    Returns:
        The progress of each date, in order.
    """
    lake_state = _read_lake_state(batch)
    times = batch.ledger.first_done()
    dates = [_with_margins(batch, date, times) for date in standings(_dates(batch, lake_state), lake_state)]
    by_state: dict[DateProgressState, list[DateProgress]] = defaultdict(list)
    for date in dates:
        by_state[date.state].append(date)
    for state, code in WAITING.items():
        if by_state[state]:
            batch.outcome.fail(code, _describe_waiting(state, by_state[state]))
    return dates


def _read_lake_state(batch: Batch) -> LakeState:
    requested = batch.requested
    landing = batch.open_landing()
    if requested == DateRange():
        last = max([*batch.ledger.drops(), *landing.dates()], default=None)
        requested = DateRange(None if last is None else last - dt.timedelta(days=_NIGHTS - 1), last)
    landed = {} if requested == DateRange() else landing.drops(requested.first, requested.last)
    return LakeState(
        drops=batch.ledger.drops(),
        published=batch.ledger.dates(),
        built=[built_revisions(batch, table) for table in batch.lake.tables.gold],
        landed={drop.date: drop.fingerprint for drop in landed},
        reasons=batch.ledger.reasons(),
    )


def _dates(batch: Batch, lake_state: LakeState) -> list[dt.date]:
    requested = batch.requested.days()
    if requested:
        return requested
    known = {
        *lake_state.drops,
        *lake_state.landed,
        *(d for d, state in lake_state.published.items() if state.revision),
    }
    dates = sorted(date for date in known if date in batch.requested)
    return dates if batch.requested != DateRange() else dates[-_NIGHTS:]


def _with_margins(
    batch: Batch, progress: DateProgress, times: Mapping[Stage, Mapping[dt.date, dt.datetime]]
) -> DateProgress:
    """The progress of a date with its margins. History has no margins."""
    if batch.settings.late.is_history(progress.date):
        return progress
    zone = batch.settings.business_day.timezone
    margins: dict[Stage, float] = {}
    for stage, time in batch.settings.deadlines.by_stage().items():
        done = times[stage].get(progress.date) or clock.now()
        margins[stage] = (deadline_of(progress.date, time, zone) - done).total_seconds()
    return replace(progress, margins=margins)


def _describe_waiting(state: DateProgressState, waiting: list[DateProgress]) -> str:
    named = ", ".join(f"{progress.date} ({progress.reason})" for progress in waiting[:_NAMED])
    extra = f" and {len(waiting) - _NAMED:,} more" if len(waiting) > _NAMED else ""
    return f"billing has to wait: {len(waiting):,} {state}: {named}{extra}"
