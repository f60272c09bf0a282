"""A run from Spark's event log: tasks with their slots and rows, and the driver's time between them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.lake.event_log import (
    ApplicationEnd,
    Event,
    ExecutorAdded,
    StageSubmitted,
    TaskEnd,
    events_of,
    parse,
)

_INGESTING = "ingesting "
# Delta adds a prefix and a suffix of its own to the job description that the run set.
_DELTAS_OWN = re.compile(r"^(?:Delta: )*(?P<step>.*?)(?:: (?:Filtering files|Compute snapshot).*)?$")


# An attempt that succeeded.
Task = TaskEnd


@dataclass
class Stage:
    """A stage: the first successful attempt of each partition, in order of launch.

    Attributes:
        step: step that the run reported.
        tasks: one task per partition.
    """

    step: str
    tasks: list[Task] = field(default_factory=list)

    @property
    def rows_read(self) -> int:
        """Rows that all its tasks read."""
        return sum(task.input_rows + task.shuffle_rows_read for task in self.tasks)

    @property
    def rows_written(self) -> int:
        """Rows that all its tasks wrote to a table."""
        return sum(task.rows_written for task in self.tasks)

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of all its tasks."""
        return sum(task.cpu_seconds for task in self.tasks)

    @property
    def shuffled(self) -> int:
        """Bytes that all its tasks wrote for later stages."""
        return sum(task.shuffle_bytes_written for task in self.tasks)

    def lanes(self, cores: Mapping[str, int]) -> list[list[Task]]:
        """Groups its tasks by slot.

        The next task of a slot may start some milliseconds before the driver records the end of the last.

        Args:
            cores: cores of each executor.
        """
        lanes: dict[str, list[list[Task]]] = defaultdict(list)
        for task in sorted(self.tasks, key=lambda task: task.launched):
            own = lanes[task.executor]
            lane = min(own, key=lambda lane: lane[-1].ended, default=None)
            if lane is None or (len(own) < cores.get(task.executor, 1) and lane[-1].ended > task.launched):
                own.append([task])
            else:
                lane.append(task)
        return [lane for own in lanes.values() for lane in own]


@dataclass(frozen=True)
class Phase:
    """Stages that ran at the same time, and the driver's time before them.

    Attributes:
        step: step of the first stage.
        driver_seconds: seconds since the last task of the previous phase.
        stages: stages, in order of their first task.
        seconds: from the start of the first task to the end of the last.
    """

    step: str
    driver_seconds: float
    stages: Sequence[Stage]
    seconds: float

    @property
    def writes(self) -> bool:
        """Whether it wrote rows to a table: a commit follows."""
        return any(stage.rows_written for stage in self.stages)


@dataclass(frozen=True)
class Recorded:
    """A recorded run.

    Attributes:
        phases: phases, in order.
        last_driver_seconds: driver time after the last task.
        executors: cores of each executor that ran tasks.
        is_whole: whether the log contains the end of the run.
    """

    phases: Sequence[Phase]
    last_driver_seconds: float
    executors: Mapping[str, int]
    is_whole: bool = True

    @property
    def seconds(self) -> float:
        """From the start of the application to its end."""
        return self.driver_seconds + sum(phase.seconds for phase in self.phases)

    @property
    def driver_seconds(self) -> float:
        """Seconds in which no task ran."""
        return self.last_driver_seconds + sum(phase.driver_seconds for phase in self.phases)

    @property
    def stages(self) -> list[Stage]:
        """All stages, in order."""
        return [stage for phase in self.phases for stage in phase.stages]

    @property
    def lines(self) -> int:
        """Lines that it ingested: the rows that its ingest wrote, in one window or several.

        For a run without an ingest: the most rows that one step wrote.
        """
        written: dict[str, int] = defaultdict(int)
        for stage in self.stages:
            written[stage.step] = max(written[stage.step], stage.rows_written)
        ingested = sum(rows for step, rows in written.items() if step.startswith(_INGESTING))
        return ingested or max(written.values(), default=0)

    @property
    def steps(self) -> list[str]:
        """The completed steps, in order."""
        steps = list(dict.fromkeys(phase.step for phase in self.phases))
        return steps if self.is_whole else steps[:-1]

    def of_steps(self, steps: Sequence[str]) -> Recorded:
        """The run limited to these steps; the whole run if it has no others."""
        if set(steps) >= set(self.steps) and self.is_whole:
            return self
        phases = [phase for phase in self.phases if phase.step in steps]
        return Recorded(phases, 0.0, self.executors)

    def on_cpu_clock(self) -> Recorded:
        """The same run as if every task had its own core; the driver's time is unchanged."""
        phases = [self._phase_on_cpu_clock(phase) for phase in self.phases]
        return Recorded(phases, self.last_driver_seconds, self.executors, self.is_whole)

    def _phase_on_cpu_clock(self, phase: Phase) -> Phase:
        spent: dict[str, float] = defaultdict(float)
        stages = []
        for stage in phase.stages:
            tasks: list[Task] = []
            for lane in stage.lanes(self.executors):
                clock = lane[0].launched
                for task in lane:
                    tasks.append(replace(task, launched=clock, ended=clock + task.cpu_seconds))
                    clock += task.cpu_seconds
                    spent[task.executor] += task.cpu_seconds / self.executors.get(task.executor, 1)
            stages.append(Stage(stage.step, _in_order(tasks)))
        return replace(phase, stages=stages, seconds=max(spent.values()))


def read_event_log(path: Path) -> Recorded:
    """Reads an event log, one uncompressed file.

    Raises:
        ValueError: the log contains no successful task.
    """
    try:
        return read_events(events_of(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_events(events: Iterable[Event]) -> Recorded:
    """Builds a run from events.

    Raises:
        ValueError: the events contain no successful task.
    """
    ended = 0.0
    cores: dict[str, int] = {}
    steps: dict[int, str] = {}
    tasks: dict[int, dict[int, Task]] = defaultdict(dict)
    for record in parse(events):
        match record:
            case ApplicationEnd():
                ended = record.at
            case ExecutorAdded():
                cores[record.executor] = record.cores
            case StageSubmitted():
                steps.setdefault(record.stage, step_of(record.step))
            case TaskEnd(reason="Success"):
                # Spark recomputes a lost map output under the same id. Count the first attempt only, as in a
                # healthy run.
                tasks[record.stage].setdefault(record.partition, record)
    if not tasks:
        raise ValueError("no task that succeeded: is this an event log, uncompressed?")
    stages = [Stage(steps.get(number, ""), _in_order(first.values())) for number, first in tasks.items()]
    stages.sort(key=lambda stage: stage.tasks[0].launched)
    last_end = max(task.ended for stage in stages for task in stage.tasks)
    used = {task.executor for stage in stages for task in stage.tasks}
    executors = {name: count for name, count in cores.items() if name in used}
    return Recorded(_phases(stages), max(0.0, ended - last_end), executors, is_whole=ended > 0)


def step_of(description: str) -> str:
    """The step that a run reported, without what Delta adds to the description of its own jobs."""
    match = _DELTAS_OWN.match(description)
    return match["step"] if match else description


def _in_order(tasks: Iterable[Task]) -> list[Task]:
    return sorted(tasks, key=lambda task: task.launched)


def _phases(stages: Sequence[Stage]) -> list[Phase]:
    """Stages that overlap in time are one phase: they shared the slots."""
    phases: list[Phase] = []
    together: list[Stage] = []
    last_end = end = 0.0
    for stage in stages:
        if together and stage.tasks[0].launched >= end:
            phases.append(_phase(together, last_end, end))
            last_end, together = end, []
        together.append(stage)
        end = max(end, *(task.ended for task in stage.tasks))
    phases.append(_phase(together, last_end, end))
    return phases


def _phase(stages: Sequence[Stage], last_end: float, end: float) -> Phase:
    first = stages[0].tasks[0].launched
    return Phase(stages[0].step, first - last_end, tuple(stages), end - first)
