"""The work of a run from Spark's event log: files that scans read, and the lines of each task."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from pipeline.lake.event_log import DriverMetrics, JobStart, PlanMetrics, TaskEnd, events_below, parse

_FILES_READ = "number of files read"
_PUBLISHING = "publishing "


@dataclass(frozen=True)
class Work:
    """Work of a run.

    Attributes:
        files_read: data files that scans of tables and of the landing read.
        task_lines: lines that each task of the publish's write read from the shuffle.
        task_memory_bytes: the most memory that any task of the run held for its sorts and hash tables.
    """

    files_read: int
    task_lines: tuple[int, ...]
    task_memory_bytes: int

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
    memory = 0
    for record in parse(events_below(folder)):
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
    return Work(read, tuple(largest), memory)
