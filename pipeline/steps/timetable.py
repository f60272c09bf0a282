"""The stages of a run against the clock: what is left, when it ends, how that stands to a deadline."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.planning.timetable import StageRun, deadline_of, estimated_seconds, in_words
from schemas.states import Stage

History = Mapping[Stage, Sequence[StageRun]]
# Below this nobody waits for an answer.
_WORTH_TELLING_SECONDS = 60.0
# Fewer lines are a matter of minutes: not worth a look at the runs before.
_MANY_LINES = 1_000_000


@dataclass
class StageTimes:
    """One stage of a run.

    Attributes:
        stage: the stage.
        dates: business dates (of an ingest: drop dates) that it works on.
        lines: lines that it works on; of an ingest estimated until it has ended.
        started_at: moment, UTC.
        estimated_end: moment that was expected at its start; None where no earlier run tells.
        deadline: the first of its dates' deadlines that was still ahead when the run began; None for none.
        ended_at: moment, UTC; None while it is at work, or where it failed.
    """

    stage: Stage
    dates: int
    lines: int
    started_at: dt.datetime
    estimated_end: dt.datetime | None = None
    deadline: dt.datetime | None = None
    ended_at: dt.datetime | None = None

    @property
    def margin_seconds(self) -> float | None:
        """Seconds from its end to its deadline, negative where it was late; None where it has none."""
        if self.deadline is None or self.ended_at is None:
            return None
        return (self.deadline - self.ended_at).total_seconds()

    def as_columns(self) -> dict[str, Any]:
        """The columns of ``ledger/stages`` but run_id."""
        ended = self.ended_at or self.started_at
        return {
            "stage": self.stage.value,
            "dates": self.dates,
            "lines": self.lines,
            "started_at": self.started_at,
            "ended_at": ended,
            "seconds": (ended - self.started_at).total_seconds(),
            "estimated_end": self.estimated_end,
            "deadline": self.deadline,
            "margin_seconds": self.margin_seconds,
        }


@dataclass
class Timetable:
    """The stages of one run.

    Attributes:
        began: when the run began.
        clock: the time, in UTC.
        deadlines: local time by stage, on the day after a business date.
        zone: IANA zone of the deadlines.
        history: looks the runs before up; asked once, and only where an estimate is wanted.
        warn: notes what a user must know.
        stages: stages of the job, in order.
        done: stages that ended.
    """

    began: dt.datetime
    clock: Callable[[], dt.datetime]
    deadlines: Mapping[Stage, dt.time]
    zone: str
    history: Callable[[], History]
    warn: Callable[[str], None]
    stages: Sequence[Stage] = ()
    done: list[StageTimes] = field(default_factory=list)
    _now: StageTimes | None = None
    _worked: int = 0
    _history: History | None = None
    _warned: set[Stage] = field(default_factory=set)

    @contextmanager
    def stage(
        self, stage: Stage, dates: int, lines: int, due: Collection[dt.date] = ()
    ) -> Iterator[StageTimes]:
        """Times a stage, and warns where it, or one after it, is expected to be late, or was.

        Args:
            stage: the stage.
            dates: how many dates it works on.
            lines: lines ahead.
            due: those of the dates that have a deadline at all: done for the first time, and no history.
        """
        times = StageTimes(stage, dates, lines, self.clock())
        self._now, self._worked = times, 0
        self._look_ahead(times, due)
        try:
            yield times
            times.ended_at = self.clock()
            self.done.append(times)
            self._look_back(times)
        finally:
            self._now = None

    def advance(self, lines: int) -> None:
        """Notes that so many lines of the stage are done."""
        self._worked += lines

    def left(self) -> str:
        """What is left of the run, to stand behind a step: ``; about 12 min left``; empty where unknown."""
        now = self._now
        if now is None or now.lines < _MANY_LINES:
            return ""
        ahead = max(0, now.lines - self._worked)
        if self._worked:
            seconds: float | None = (self.clock() - now.started_at).total_seconds() / self._worked * ahead
        else:
            seconds = self._estimated(now.stage, ahead)
        if seconds is None:
            return ""
        seconds += sum(self._estimated(stage, now.lines) or 0.0 for stage in self._after(now.stage))
        return f"; about {in_words(seconds)} left" if seconds >= _WORTH_TELLING_SECONDS else ""

    def _after(self, stage: Stage) -> list[Stage]:
        stages = list(self.stages)
        return stages[stages.index(stage) + 1 :] if stage in stages else []

    def _estimated(self, stage: Stage, lines: int) -> float | None:
        if self._history is None:
            self._history = self.history()
        return estimated_seconds(self._history.get(stage, ()), lines)

    def _look_ahead(self, times: StageTimes, due: Collection[dt.date]) -> None:
        """Sets what the stage is held against; each stage to come is taken to have the same work."""
        end: dt.datetime | None = times.started_at
        for stage in [times.stage, *self._after(times.stage)]:
            deadline = self._deadline(stage, due)
            if end is not None and self.deadlines:
                seconds = self._estimated(stage, times.lines)
                end = None if seconds is None else end + dt.timedelta(seconds=seconds)
            if stage is times.stage:
                times.estimated_end = end if self.deadlines else None
                times.deadline = deadline
            if end is None or deadline is None or end <= deadline or stage in self._warned:
                continue
            self._warned.add(stage)
            self.warn(
                f"{stage} is expected to end at {self._local(end)}, "
                f"{in_words((end - deadline).total_seconds())} after its deadline {self._local(deadline)}"
            )

    def _deadline(self, stage: Stage, due: Collection[dt.date]) -> dt.datetime | None:
        if stage not in self.deadlines:
            return None
        moments = {date: deadline_of(date, self.deadlines[stage], self.zone) for date in due}
        past = sorted(date for date, moment in moments.items() if moment <= self.began)
        if past and self._now is not None and self._now.stage is stage:
            self.warn(
                f"{stage}: the deadline of {len(past)} dates had passed before this run began "
                f"({past[0]} to {past[-1]})"
            )
        return min((moment for moment in moments.values() if moment > self.began), default=None)

    def _look_back(self, times: StageTimes) -> None:
        margin = times.margin_seconds
        if margin is not None and margin < 0 and times.deadline is not None and times.ended_at is not None:
            self.warn(
                f"{times.stage} ended at {self._local(times.ended_at)}, {in_words(-margin)} after its "
                f"deadline {self._local(times.deadline)}"
            )

    def _local(self, moment: dt.datetime) -> str:
        return f"{moment.astimezone(ZoneInfo(self.zone)):%Y-%m-%d %H:%M:%S} ({self.zone})"
