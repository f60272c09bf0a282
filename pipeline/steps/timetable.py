"""Times the stages of a run, estimates when they end, and compares them with their deadlines."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.planning.timetable import StageRun, deadline_of, estimated_seconds, format_duration
from schemas.states import Stage

_LOG = logging.getLogger(__name__)

History = Mapping[Stage, Sequence[StageRun]]
# A shorter rest is not worth a message.
_MIN_SHOWN_SECONDS = 60.0
# Fewer lines take minutes only: not worth reading the history of earlier runs.
_MANY_LINES = 1_000_000


@dataclass
class StageTimes:
    """One stage of a run.

    Attributes:
        stage: the stage.
        dates: number of business dates that it processes; of drop dates for an ingest.
        lines: number of lines that it processes; an estimate until an ingest has ended.
        started_at: start, in UTC.
        estimated_end: end that was expected at its start, in UTC; None if there is no estimate.
        deadline: the first deadline of its dates after the start of the run, in UTC; None if there is none.
        ended_at: end, in UTC; None while it runs, or if it failed.
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
        """Seconds from its end to its deadline, negative if it was late; None if it lacks one of them."""
        if self.deadline is None or self.ended_at is None:
            return None
        return (self.deadline - self.ended_at).total_seconds()

    def as_columns(self) -> dict[str, Any]:
        """The columns of ``ledger/stages``, without run_id."""
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


@dataclass(frozen=True)
class Position:
    """Where a run is.

    Attributes:
        stage: the current stage; None between stages.
        is_audit: whether the stage audits what it wrote.
        first: first date of the current window; None if the stage has not begun one.
        last: last date of the current window.
        deadline: deadline of the stage, in UTC; None if it has none.
        expected_end: when the stage is expected to end, in UTC; None if unknown.
    """

    stage: Stage | None = None
    is_audit: bool = False
    first: dt.date | None = None
    last: dt.date | None = None
    deadline: dt.datetime | None = None
    expected_end: dt.datetime | None = None


@dataclass
class Timetable:
    """The stages of one run.

    Attributes:
        began: start of the run, in UTC.
        clock: returns the current time, in UTC.
        deadlines: local time by stage, on the day after a business date.
        zone: IANA zone of the deadlines.
        history: reads the stages of earlier runs; called once at most, when an estimate is needed.
        warnings: warnings of the run; each is logged at once, while there is time to act.
        stages: stages of the job, in order.
        on_late: told of every stage that is or will be late.
        done: stages that ended.
    """

    began: dt.datetime
    clock: Callable[[], dt.datetime]
    deadlines: Mapping[Stage, dt.time]
    zone: str
    history: Callable[[], History]
    warnings: list[str]
    stages: Sequence[Stage] = ()
    on_late: Callable[[str], None] = lambda text: None
    done: list[StageTimes] = field(default_factory=list)
    _now: StageTimes | None = None
    _worked: int = 0
    _window: tuple[dt.date, dt.date] | None = None
    _is_audit: bool = False
    _history: History | None = None
    _warned: set[Stage] = field(default_factory=set)

    @contextmanager
    def stage(
        self, stage: Stage, dates: int, lines: int, due: Collection[dt.date] = ()
    ) -> Iterator[StageTimes]:
        """Times a stage. Warns if it was late, or if it or a later stage is expected to be late.

        Args:
            stage: the stage.
            dates: number of dates that it processes.
            lines: number of lines that it processes.
            due: those dates that have a deadline: they are done for the first time and are no history.
        """
        times = StageTimes(stage, dates, lines, self.clock())
        self._now, self._worked, self._window = times, 0, None
        self._look_ahead(times, due)
        try:
            yield times
            times.ended_at = self.clock()
            self.done.append(times)
            self._look_back(times)
        finally:
            self._now = None

    def begin_window(self, dates: Iterable[dt.date]) -> None:
        """Notes the dates that the stage works on from now on."""
        dates = list(dates)
        self._window = (min(dates), max(dates)) if dates else None

    @contextmanager
    def audit(self) -> Iterator[None]:
        """Notes that the stage audits what it wrote."""
        self._is_audit = True
        try:
            yield
        finally:
            self._is_audit = False

    def position(self) -> Position:
        """Where the run is, from what is known already. Another thread may ask: nothing is read for it."""
        times, window = self._now, self._window
        if times is None:
            return Position()
        first, last = window or (None, None)
        return Position(times.stage, self._is_audit, first, last, times.deadline, self._expected_end(times))

    def _expected_end(self, times: StageTimes) -> dt.datetime | None:
        if not self._worked:
            return times.estimated_end
        took = (self.clock() - times.started_at) / self._worked
        return times.started_at + took * max(times.lines, self._worked)

    def advance(self, lines: int) -> None:
        """Adds lines that the stage has processed."""
        self._worked += lines

    def left(self) -> str:
        """The time left as the end of a message: ``; about 12 min left``. Empty if unknown or short."""
        current = self._now
        if current is None or current.lines < _MANY_LINES:
            return ""
        lines_left = max(0, current.lines - self._worked)
        if self._worked:
            seconds: float | None = (
                (self.clock() - current.started_at).total_seconds() / self._worked * lines_left
            )
        else:
            seconds = self._estimated(current.stage, lines_left)
        if seconds is None:
            return ""
        seconds += sum(self._estimated(stage, current.lines) or 0.0 for stage in self._after(current.stage))
        return f"; about {format_duration(seconds)} left" if seconds >= _MIN_SHOWN_SECONDS else ""

    def _after(self, stage: Stage) -> list[Stage]:
        stages = list(self.stages)
        return stages[stages.index(stage) + 1 :] if stage in stages else []

    def _estimated(self, stage: Stage, lines: int) -> float | None:
        if self._history is None:
            self._history = self.history()
        return estimated_seconds(self._history.get(stage, ()), lines)

    def _look_ahead(self, times: StageTimes, due: Collection[dt.date]) -> None:
        """Sets estimate and deadline of the stage and warns of late stages; assumes equal work in each."""
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
            self._warn(
                f"{stage} is expected to end at {self._local(end)}, "
                f"{format_duration((end - deadline).total_seconds())} after its deadline "
                f"{self._local(deadline)}"
            )

    def _deadline(self, stage: Stage, due: Collection[dt.date]) -> dt.datetime | None:
        if stage not in self.deadlines:
            return None
        moments = {date: deadline_of(date, self.deadlines[stage], self.zone) for date in due}
        missed = sorted(date for date, moment in moments.items() if moment <= self.began)
        if missed and self._now is not None and self._now.stage is stage:
            self._warn(
                f"{stage}: the deadline of {len(missed)} dates had passed before this run began "
                f"({missed[0]} to {missed[-1]})"
            )
        return min((moment for moment in moments.values() if moment > self.began), default=None)

    def _look_back(self, times: StageTimes) -> None:
        margin = times.margin_seconds
        if margin is not None and margin < 0 and times.deadline is not None and times.ended_at is not None:
            self._warn(
                f"{times.stage} ended at {self._local(times.ended_at)}, {format_duration(-margin)} after its "
                f"deadline {self._local(times.deadline)}"
            )

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        _LOG.warning(text)
        self.on_late(text)

    def _local(self, moment: dt.datetime) -> str:
        return f"{moment.astimezone(ZoneInfo(self.zone)):%Y-%m-%d %H:%M:%S} ({self.zone})"
