"""How far a run is at one moment, and the same as JSON for those who watch it from elsewhere."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError, field_validator

from pipeline.planning.recovery import without_values
from schemas.states import Stage

# A file of another version is told as unreadable, not misread.
VERSION = 1
# Name of the tasks of a step without chunks.
STEP = "step"
_EVENTS_KEPT = 50


class Phase(StrEnum):
    """The phases of a run as people see them, in order."""

    INGEST = "ingest"
    AUDIT = "audit"
    PUBLISH = "publish"
    TOTALS = "totals"
    BILLS = "bills"
    DOCUMENTS = "documents"


_PHASES_OF = {
    Stage.INGEST: (Phase.INGEST, Phase.AUDIT),
    Stage.PUBLISH: (Phase.PUBLISH,),
    Stage.DAILY_SALES: (Phase.TOTALS,),
    Stage.INVOICES: (Phase.BILLS,),
    Stage.DOCUMENTS: (Phase.DOCUMENTS,),
}


def phases_of(stages: Iterable[Stage]) -> tuple[Phase, ...]:
    """The phases of a job's stages, in order."""
    return tuple(phase for stage in stages for phase in _PHASES_OF[stage])


class EventKind(StrEnum):
    """What happened to an attempt of a task."""

    FAILED = "failed"
    RETRIED = "retried"
    RECOVERED = "recovered"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TaskEvent(_Value):
    """A failed attempt of a task, the retry after it, or the success of a retry.

    Attributes:
        kind: what happened.
        of: the chunk of its partition; for a step without chunks, the phase.
        partition: id of its partition.
        attempt: number of the attempt, from 1.
        host: where it ran.
        cause: why it failed, in one line; None if it did not.
    """

    kind: EventKind
    of: str
    partition: int
    attempt: int
    host: str
    cause: str | None = None

    def describe(self) -> str:
        """The event in one line."""
        who = f"{self.of}: attempt {self.attempt} of partition {self.partition}"
        if self.kind is EventKind.FAILED:
            return f"{who} failed on {self.host}: {self.cause}"
        return f"{who} {'runs' if self.kind is EventKind.RETRIED else 'succeeded'} on {self.host}"


class TaskProgress(_Value):
    """The tasks of one chunk, or of a step without chunks.

    Attributes:
        name: the chunk; ``step`` for a step without chunks.
        tasks: Spark partitions.
        done: partitions with a successful attempt.
        running: attempts that run now.
        retried: attempts after a failed one of the same partition.
        failed: attempts that failed.
        lines: lines that its finished tasks wrote; for a step without chunks, that its tasks read.
        lines_per_second: lines by second from its first attempt on; None before there are lines.
        share: share of its work that is done, from 0 to 1; running tasks count in part, by their time.
        end: end, in UTC: as it was if all tasks are done, else as expected; None if it cannot be told yet.
    """

    name: str
    tasks: int
    done: int
    running: int
    retried: int = 0
    failed: int
    lines: int
    lines_per_second: float | None = None
    share: float
    end: AwareDatetime | None = None

    @property
    def is_done(self) -> bool:
        """Whether every partition succeeded."""
        return self.done == self.tasks


class RunProgress(_Value):
    """A run at one moment. It holds no line, no path and no setting of the run.

    Attributes:
        version: version of this form.
        run_id: the run.
        job: its job.
        started_at: its start, in UTC.
        at: the moment, in UTC, by the clock of the run.
        ended: whether the run has ended.
        exit_code: its exit code; None while it runs, or if it was interrupted.
        phases: the phases of the job, in order.
        finished: those that have ended.
        phase: the current phase; None before, between and after them.
        step: the current step, as the run words it.
        first_date: first date of the current window; None outside of one.
        last_date: last date of the current window.
        workers: executors that are alive; on the local place 1. None before Spark answers.
        deadline: deadline of the current stage, in UTC; None if it has none.
        expected_end: when the current stage is expected to end, in UTC; None if unknown.
        zone: IANA zone in which people read the times.
        step_tasks: tasks of the current step; None if none runs, or if they are those of the chunks.
        chunks: the chunks of the current window, or of the last one that was published.
        events: the last failures and retries, oldest first.
    """

    version: int = VERSION
    run_id: str
    job: str
    started_at: AwareDatetime
    at: AwareDatetime
    ended: bool = False
    exit_code: int | None = None
    phases: tuple[Phase, ...] = ()
    finished: tuple[Phase, ...] = ()
    phase: Phase | None = None
    step: str = ""
    first_date: dt.date | None = None
    last_date: dt.date | None = None
    workers: int | None = None
    deadline: AwareDatetime | None = None
    expected_end: AwareDatetime | None = None
    zone: str = "UTC"
    step_tasks: TaskProgress | None = None
    chunks: tuple[TaskProgress, ...] = ()
    events: tuple[TaskEvent, ...] = ()

    @field_validator("zone")
    @classmethod
    def _is_known_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, OSError) as error:
            raise ValueError(f"{zone!r} is no time zone of this machine") from error
        return zone

    @property
    def margin_seconds(self) -> float | None:
        """Seconds from the expected end to the deadline, negative if late; None if one is unknown."""
        if self.deadline is None or self.expected_end is None:
            return None
        return (self.deadline - self.expected_end).total_seconds()

    def to_json(self) -> bytes:
        """The progress as others may read it: causes without the values that Spark quotes from the data."""
        events = [
            event.model_copy(update={"cause": event.cause and without_values(event.cause)})
            for event in self.events[-_EVENTS_KEPT:]
        ]
        return self.model_copy(update={"events": tuple(events)}).model_dump_json().encode()


def read_json(content: bytes) -> RunProgress | None:
    """Reads what :meth:`RunProgress.to_json` wrote; None for half a file, and for one of another version."""
    try:
        progress = RunProgress.model_validate_json(content)
    except ValidationError:
        return None
    return progress if progress.version == VERSION else None


def expected_end(progress: RunProgress, of_stage: dt.datetime | None) -> dt.datetime | None:
    """When a stage ends at the earliest: neither before its estimate, nor before the last of its chunks."""
    if progress.phase is not Phase.PUBLISH:
        return of_stage
    ends = [chunk.end for chunk in progress.chunks if chunk.end is not None]
    if len(ends) < len(progress.chunks):
        return of_stage
    return max([*ends, *([of_stage] if of_stage else [])], default=None)


def ended(progress: RunProgress, at: dt.datetime, exit_code: int | None) -> RunProgress:
    """The last progress of a run: nothing runs any more."""
    idle = tuple(
        chunk.model_copy(update={"running": 0, "end": chunk.end if chunk.is_done else None})
        for chunk in progress.chunks
    )
    return progress.model_copy(
        update={
            "at": at,
            "ended": True,
            "exit_code": exit_code,
            "phase": None,
            "step_tasks": None,
            "chunks": idle,
            "deadline": None,
            "expected_end": None,
        }
    )
