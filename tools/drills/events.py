"""A run from Spark's event log: every attempt of every task, and the lost executors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.lake.event_log import Event, ExecutorRemoved, StageSubmitted, TaskEnd, events_of, parse

Attempt = TaskEnd


@dataclass
class Stage:
    """A stage with all its attempts.

    Attributes:
        number: stage id.
        step: description of its job, as the run set it.
        tasks: number of its partitions.
        attempts: attempts of its tasks, in order of their end.
    """

    number: int
    step: str
    tasks: int
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def written(self) -> int:
        """Bytes that its tasks wrote to a table."""
        return sum(attempt.bytes_written for attempt in self.attempts if attempt.reason == "Success")

    @property
    def shuffled(self) -> int:
        """Bytes that its tasks wrote for a later stage."""
        return sum(attempt.shuffle_bytes_written for attempt in self.attempts if attempt.reason == "Success")

    def repeated(self) -> dict[int, list[Attempt]]:
        """Attempts of the partitions that ran more than once."""
        ran: dict[int, list[Attempt]] = defaultdict(list)
        for attempt in self.attempts:
            # A task whose map output is lost later ends a second time, as Resubmitted, without running again.
            if attempt.reason != "Resubmitted":
                ran[attempt.partition].append(attempt)
        return {partition: attempts for partition, attempts in ran.items() if len(attempts) > 1}


@dataclass
class EventLog:
    """The event log of one run.

    Attributes:
        stages: by stage id.
        lost: executors that were removed during the run, with the reason.
    """

    stages: dict[int, Stage] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)

    def writing(self, step: str) -> Stage | None:
        """The stage of a step that wrote most to a table; None if none wrote."""
        stages = [stage for stage in self.stages.values() if stage.step.startswith(step) and stage.written]
        return max(stages, key=lambda stage: stage.written, default=None)

    def feeding(self, stage: Stage) -> Stage | None:
        """The stage of the same step whose shuffle ``stage`` reads; None if it reads none."""
        # Under adaptive execution the parent that a stage names is a copy that never runs. So take the last
        # stage before it that shuffled.
        before = [s for s in self.stages.values() if s.step == stage.step and s.number < stage.number]
        return max((s for s in before if s.shuffled), key=lambda s: s.number, default=None)


def read_event_logs(folder: Path) -> EventLog:
    """Reads the newest event log of a folder, whole or cut off by a crash.

    Raises:
        FileNotFoundError: the folder has no event log.
    """
    files = sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise FileNotFoundError(f"no event log in {folder}")
    return read_events(events_of(files[-1]))


def read_events(events: Iterable[Event]) -> EventLog:
    """Builds an event log from events."""
    log = EventLog()
    for record in parse(events):
        match record:
            case StageSubmitted(number, step, tasks):
                # Later attempts of a stage contain only the tasks that are left: keep the first.
                log.stages.setdefault(number, Stage(number, step, tasks))
            case TaskEnd() if record.stage in log.stages:
                log.stages[record.stage].attempts.append(record)
            case ExecutorRemoved(executor, reason):
                log.lost[executor] = reason
    return log
