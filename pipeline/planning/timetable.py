"""When the stages of a night end: estimated from the runs before, and held against their deadlines."""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

# The last runs tell most of the next: machines, data and code change.
RUNS_TO_LEARN_FROM = 20


@dataclass(frozen=True)
class StageRun:
    """A stage of an earlier run.

    Attributes:
        lines: lines that it worked on.
        seconds: how long it took.
    """

    lines: int
    seconds: float


def estimated_seconds(history: Sequence[StageRun], lines: int) -> float | None:
    """How long a stage will take: a fixed cost and a cost a line, by least squares over earlier runs.

    Args:
        history: earlier runs of the stage, oldest first; the last 20 count.
        lines: lines ahead.

    Returns:
        Seconds; None where no earlier run is known.
    """
    known = history[-RUNS_TO_LEARN_FROM:]
    if not known:
        return None
    sizes, seconds = [float(run.lines) for run in known], [run.seconds for run in known]
    if len(set(sizes)) == 1:
        # Of one size alone nobody knows what is fixed: a larger run is taken to cost as much more.
        return statistics.fmean(seconds) * max(1.0, lines / sizes[0] if sizes[0] else 1.0)
    slope, fixed = statistics.linear_regression(sizes, seconds)
    if slope < 0:
        return statistics.fmean(seconds)
    if fixed < 0:
        slope, fixed = statistics.linear_regression(sizes, seconds, proportional=True)
    return fixed + slope * lines


def deadline_of(date: dt.date, time: dt.time, zone: str) -> dt.datetime:
    """The moment, in UTC, by which a business date is to be done.

    Args:
        date: business date.
        time: local time of the day after it.
        zone: IANA zone. Of a time that a clock change repeats, the first; one that it skips is taken by the
            offset before the change.
    """
    local = dt.datetime.combine(date + dt.timedelta(days=1), time, ZoneInfo(zone))
    return local.astimezone(dt.UTC)


def in_words(seconds: float) -> str:
    """A duration for a person: ``45 s``, ``12 min``, ``3 h 05 min``, ``2 days 3 h``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} days {hours % 24} h"
