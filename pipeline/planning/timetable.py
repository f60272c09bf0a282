"""Estimates from earlier runs when the stages of a night end, and computes their deadlines."""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

# Only recent runs predict the next one: machines, data and code change.
RUNS_TO_LEARN_FROM = 20


@dataclass(frozen=True)
class StageRun:
    """A stage of an earlier run.

    Attributes:
        lines: lines that it processed.
        seconds: how long it took.
    """

    lines: int
    seconds: float


def estimated_seconds(history: Sequence[StageRun], lines: int) -> float | None:
    """Estimates how long a stage takes: a fixed cost plus a cost per line, fitted to earlier runs.

    Args:
        history: earlier runs of the stage, oldest first; only the last 20 count.
        lines: lines to process.

    Returns:
        Seconds; None if no earlier run is known.
    """
    known = history[-RUNS_TO_LEARN_FROM:]
    if not known:
        return None
    sizes, seconds = [float(run.lines) for run in known], [run.seconds for run in known]
    if len(set(sizes)) == 1:
        # With a single input size, fixed cost and cost per line cannot be told apart; scale up linearly.
        return statistics.fmean(seconds) * max(1.0, lines / sizes[0] if sizes[0] else 1.0)
    slope, fixed = statistics.linear_regression(sizes, seconds)
    if slope < 0:
        return statistics.fmean(seconds)
    if fixed < 0:
        slope, fixed = statistics.linear_regression(sizes, seconds, proportional=True)
    return fixed + slope * lines


def deadline_of(date: dt.date, time: dt.time, zone: str) -> dt.datetime:
    """The deadline of a business date, in UTC.

    Args:
        date: business date.
        time: local time on the day after the business date.
        zone: IANA zone. If a clock change repeats the time, the first occurrence counts. If it skips the
            time, the offset before the change applies.
    """
    local = dt.datetime.combine(date + dt.timedelta(days=1), time, ZoneInfo(zone))
    return local.astimezone(dt.UTC)


def format_duration(seconds: float) -> str:
    """Formats a duration for people: ``45 s``, ``12 min``, ``3 h 05 min``, ``2 days 3 h``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} days {hours % 24} h"
