"""Reads Spark's event log as records. A field that an event lacks is 0, false or empty."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Event = Mapping[str, Any]


class Record:
    """What one event says."""


@dataclass(frozen=True)
class ApplicationEnd(Record):
    """The end of the application, in seconds since its start."""

    at: float


@dataclass(frozen=True)
class ExecutorAdded(Record):
    """A new executor, by id, and its number of cores."""

    executor: str
    cores: int


@dataclass(frozen=True)
class ExecutorRemoved(Record):
    """A lost executor, by id, and Spark's text of why."""

    executor: str
    reason: str


@dataclass(frozen=True)
class StageSubmitted(Record):
    """An attempt of a stage: stage id, description of its job, number of tasks that it runs."""

    stage: int
    step: str
    tasks: int


@dataclass(frozen=True)
class JobStart(Record):
    """A job: ids of its stages, and its description."""

    stages: tuple[int, ...]
    step: str


@dataclass(frozen=True)
class TaskEnd(Record):
    """An attempt of a task that ended.

    Attributes:
        stage: stage id.
        partition: id of its partition; -1 if unknown.
        executor: id of its executor.
        reason: ``Success``, or Spark's name of the failure (``ExecutorLostFailure``, ``FetchFailed``, ...).
        detail: text of the failure.
        launched: seconds since the application started.
        ended: seconds since the application started.
        speculative: whether it was a second copy of a slow task.
        input_rows: rows read from tables and files.
        input_bytes: bytes read from tables and files.
        shuffle_rows_read: rows read from earlier stages.
        rows_written: rows written to a table.
        bytes_written: bytes written to a table.
        shuffle_bytes_written: bytes written for later stages.
        cpu_seconds: CPU time of its thread: what the task takes on a core of its own.
        peak_memory_bytes: the most memory that it held for sorts and hash tables.
    """

    stage: int
    partition: int
    executor: str
    reason: str
    detail: str
    launched: float
    ended: float
    speculative: bool
    input_rows: int
    input_bytes: int
    shuffle_rows_read: int
    rows_written: int
    bytes_written: int
    shuffle_bytes_written: int
    cpu_seconds: float
    peak_memory_bytes: int

    @property
    def seconds(self) -> float:
        """From launch to end."""
        return self.ended - self.launched


@dataclass(frozen=True)
class PlanMetrics(Record):
    """Names of a SQL plan's metrics, by accumulator id."""

    names: Mapping[int, str]


@dataclass(frozen=True)
class DriverMetrics(Record):
    """Values of metrics that the driver measured, by accumulator id; the unit depends on the metric."""

    values: Mapping[int, int]


def events_of(file: Path) -> Iterator[Event]:
    """Events of one uncompressed log, in order."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):  # a killed driver may leave half a line at the end
                yield json.loads(line)


def events_below(folder: Path) -> Iterator[Event]:
    """Events of all logs below a folder, log by log, by name."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        yield from events_of(file)


def parse(events: Iterable[Event]) -> Iterator[Record]:
    """Yields a record for each event of a known kind, in order.

    Times count from the latest application start; without one, from 1970.
    """
    started = 0
    for event in events:
        kind = event["Event"].rpartition(".")[2]
        if kind == "SparkListenerApplicationStart":
            started = event["Timestamp"]
        elif kind in _PARSERS:
            yield _PARSERS[kind](event, started)


def _step(event: Event) -> str:
    return (event.get("Properties") or {}).get("spark.job.description") or ""


def _stage_submitted(event: Event, _: int) -> StageSubmitted:
    info = event["Stage Info"]
    return StageSubmitted(info["Stage ID"], _step(event), info.get("Number of Tasks", 0))


def _task_end(event: Event, started: int) -> TaskEnd:
    info, end = event.get("Task Info") or {}, event["Task End Reason"]
    metrics = event.get("Task Metrics") or {}
    output = metrics.get("Output Metrics", {})
    cpu = metrics.get("Executor CPU Time", 0) + metrics.get("Executor Deserialize CPU Time", 0)
    return TaskEnd(
        stage=event["Stage ID"],
        partition=info.get("Partition ID", -1),
        executor=info.get("Executor ID", ""),
        reason=end["Reason"],
        detail=str(end.get("Description") or end.get("Loss Reason") or end.get("Message") or ""),
        launched=(info.get("Launch Time", 0) - started) / 1000,
        ended=(info.get("Finish Time", 0) - started) / 1000,
        speculative=info.get("Speculative", False),
        input_rows=metrics.get("Input Metrics", {}).get("Records Read", 0),
        input_bytes=metrics.get("Input Metrics", {}).get("Bytes Read", 0),
        shuffle_rows_read=metrics.get("Shuffle Read Metrics", {}).get("Total Records Read", 0),
        rows_written=output.get("Records Written", 0),
        bytes_written=output.get("Bytes Written", 0),
        shuffle_bytes_written=metrics.get("Shuffle Write Metrics", {}).get("Shuffle Bytes Written", 0),
        cpu_seconds=cpu / 1e9,
        peak_memory_bytes=metrics.get("Peak Execution Memory", 0),
    )


def _names(plan: Event) -> dict[int, str]:
    names = {metric["accumulatorId"]: metric["name"] for metric in plan["metrics"]}
    for child in plan["children"]:
        names |= _names(child)
    return names


_PARSERS: Mapping[str, Callable[[Event, int], Record]] = {
    "SparkListenerApplicationEnd": lambda e, started: ApplicationEnd((e["Timestamp"] - started) / 1000),
    "SparkListenerExecutorAdded": lambda e, _: ExecutorAdded(
        e["Executor ID"], e["Executor Info"]["Total Cores"]
    ),
    "SparkListenerExecutorRemoved": lambda e, _: ExecutorRemoved(e["Executor ID"], e["Removed Reason"]),
    "SparkListenerStageSubmitted": _stage_submitted,
    "SparkListenerJobStart": lambda e, _: JobStart(tuple(e["Stage IDs"]), _step(e)),
    "SparkListenerTaskEnd": _task_end,
    "SparkListenerSQLExecutionStart": lambda e, _: PlanMetrics(_names(e["sparkPlanInfo"])),
    "SparkListenerSQLAdaptiveExecutionUpdate": lambda e, _: PlanMetrics(_names(e["sparkPlanInfo"])),
    "SparkListenerDriverAccumUpdates": lambda e, _: DriverMetrics(dict(e["accumUpdates"])),
}
