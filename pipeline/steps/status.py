"""Status: how far each business date is, its margin to the deadlines, and whether billing may start."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from pipeline.lake.ledger import now
from pipeline.planning.date_progress import WAITING, DateProgress, LakeState, standings
from pipeline.planning.timetable import deadline_of
from pipeline.steps.context import Batch, DateRange
from schemas.gold import GOLD_TABLES
from schemas.states import DateProgressState, Stage

# Without dates asked for, as many nights as anyone looks back on.
_NIGHTS = 14
_NAMED = 5


def status(batch: Batch) -> list[DateProgress]:
    """Finds how far the dates asked for are; without any, the last 14 that are known.

    The run fails with the code that tells why billing has to wait: 5 where dates are not there yet, or not
    published from what is there; 4 where an audit holds them; 3 where they failed.
    """
    known = _known(batch)
    times = batch.ledger.first_done()
    found = [_with_margins(batch, one, times) for one in standings(_dates(batch, known), known)]
    by_state: dict[DateProgressState, list[DateProgress]] = defaultdict(list)
    for one in found:
        by_state[one.state].append(one)
    for state, code in WAITING.items():
        if by_state[state]:
            batch.outcome.fail(code, _in_words(state, by_state[state]))
    return found


def _known(batch: Batch) -> LakeState:
    requested = batch.requested
    landing = batch.open_landing()
    if requested == DateRange():
        last = max([*batch.ledger.drops(), *landing.dates()], default=None)
        requested = DateRange(None if last is None else last - dt.timedelta(days=_NIGHTS - 1), last)
    landed = {} if requested == DateRange() else landing.drops(requested.first, requested.last)
    return LakeState(
        drops=batch.ledger.drops(),
        published=batch.ledger.dates(),
        built=[batch.ledger.built_revisions(table) for table in GOLD_TABLES],
        landed={drop.date: drop.fingerprint for drop in landed},
        reasons=batch.ledger.reasons(),
    )


def _dates(batch: Batch, known: LakeState) -> list[dt.date]:
    requested = batch.requested.days()
    if requested:
        return requested
    there = {*known.drops, *known.landed, *(d for d, state in known.published.items() if state.revision)}
    within = sorted(date for date in there if date in batch.requested)
    return within if batch.requested != DateRange() else within[-_NIGHTS:]


def _with_margins(
    batch: Batch, one: DateProgress, times: Mapping[Stage, Mapping[dt.date, dt.datetime]]
) -> DateProgress:
    """A date with its margins; history has none."""
    if batch.settings.late.is_history(one.date):
        return one
    zone = batch.settings.business_day.timezone
    margins: dict[Stage, float] = {}
    for stage, time in batch.settings.deadlines.by_stage().items():
        done = times[stage].get(one.date) or now()
        margins[stage] = (deadline_of(one.date, time, zone) - done).total_seconds()
    return replace(one, margins=margins)


def _in_words(state: DateProgressState, found: list[DateProgress]) -> str:
    named = ", ".join(f"{one.date} ({one.reason})" for one in found[:_NAMED])
    extra = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    return f"billing has to wait: {len(found):,} {state}: {named}{extra}"
