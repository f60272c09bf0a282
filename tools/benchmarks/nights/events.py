"""The work of a run from Spark's event log: files that scans read, the lines of each task, and the issue."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.lake.event_log import (
    DriverMetrics,
    JobStart,
    PlanMetrics,
    Record,
    TaskEnd,
    events_below,
    parse,
)

_FILES_READ = "number of files read"
_PUBLISHING = "publishing "
_ISSUING = "issuing "


@dataclass(frozen=True)
class StepWork:
    """Work of one step of a run: its Spark jobs, their tasks, and what these read from tables."""

    jobs: int = 0
    tasks: int = 0
    rows_read: int = 0
    bytes_read: int = 0


@dataclass(frozen=True)
class Work:
    """Work of a run.

    Attributes:
        files_read: data files that scans of tables and of the landing read.
        task_lines: lines that each task of the publish's write read from the shuffle.
        task_memory_bytes: the most memory that any task of the run held for its sorts and hash tables.
        issue: work of the step that issues documents.
    """

    files_read: int
    task_lines: tuple[int, ...]
    task_memory_bytes: int
    issue: StepWork = StepWork()

    @property
    def largest_to_median(self) -> float:
        """Lines of the largest task divided by those of the median task."""
        return max(self.task_lines) / statistics.median(self.task_lines)


def work_of(folder: Path) -> Work:
    """Reads the event log below a folder."""
    names: dict[int, str] = {}
    values: dict[int, int] = {}
    steps: dict[int, str] = {}
    lines: dict[int, list[int]] = defaultdict(list)
    memory, records = 0, list(parse(events_below(folder)))
    for record in records:
        match record:
            case PlanMetrics():
                names.update(record.names)
            case DriverMetrics():
                values.update(record.values)
            case JobStart():
                steps.update(dict.fromkeys(record.stages, record.step))
            case TaskEnd(reason="Success"):
                memory = max(memory, record.peak_memory_bytes)
                if record.bytes_written and steps[record.stage].startswith(_PUBLISHING):
                    lines[record.stage].append(record.shuffle_rows_read)
    read = sum(value for number, value in values.items() if names.get(number) == _FILES_READ)
    largest = max(lines.values(), key=sum, default=[])
    return Work(read, tuple(largest), memory, _issue_of(records))


def _issue_of(records: Iterable[Record]) -> StepWork:
    jobs, stages, tasks = 0, set[int](), list[TaskEnd]()
    for record in records:
        match record:
            case JobStart(step=step) if step.startswith(_ISSUING):
                jobs += 1
                stages.update(record.stages)
            case TaskEnd(reason="Success") if record.stage in stages:
                tasks.append(record)
    rows, read = sum(task.input_rows for task in tasks), sum(task.input_bytes for task in tasks)
    return StepWork(jobs, len(tasks), rows, read)
