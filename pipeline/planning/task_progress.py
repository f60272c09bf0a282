"""Computes how far the chunks of a write are, from the attempts of its tasks."""

from __future__ import annotations

import datetime as dt
import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.planning.progress import STEP, EventKind, TaskEvent, TaskProgress
from pipeline.planning.recovery import TaskAttempt, first_cause
from schemas.partitions import PartitionSpan

# A running task never counts as a whole one.
_MOST_OF_A_TASK = 0.95


def chunk_progress(
    attempts: Iterable[TaskAttempt],
    spans: Mapping[str, PartitionSpan],
    lines: Mapping[str, int],
    cores: int,
    now: float,
) -> tuple[TaskProgress, ...]:
    """Computes how far each chunk of a write is.

    Args:
        attempts: attempts of its tasks so far, in order of their start.
        spans: Spark partitions by chunk.
        lines: lines to write by chunk, by which a task's time is estimated.
        cores: tasks that run at once, for the estimate.
        now: seconds since the epoch.

    Returns:
        The chunks in order of their partitions.
    """
    by_partition: dict[int, list[TaskAttempt]] = defaultdict(list)
    for attempt in attempts:
        by_partition[attempt.partition].append(attempt)
    tasks = [
        _Task(chunk, lines.get(chunk, 0) / span.count, by_partition.get(partition, []))
        for chunk, span in sorted(spans.items(), key=lambda item: item[1].first)
        for partition in range(span.first, span.first + span.count)
    ]
    ends = _expected_ends(tasks, cores, now)
    per_line = _seconds_per_line(tasks)
    by_chunk: dict[str, list[int]] = defaultdict(list)
    for number, task in enumerate(tasks):
        by_chunk[task.chunk].append(number)
    return tuple(
        _of_chunk(chunk, [tasks[n] for n in numbers], [ends[n] for n in numbers], per_line, now)
        for chunk, numbers in by_chunk.items()
    )


def task_events(
    attempts: Iterable[TaskAttempt], spans: Mapping[str, PartitionSpan], otherwise: str = STEP
) -> list[TaskEvent]:
    """The failures of tasks and the retries after them, in order of the attempts' start.

    Args:
        attempts: attempts of the tasks of one stage, in order of their start.
        spans: Spark partitions by chunk; empty for a step without chunks.
        otherwise: what the events of partitions without a chunk name.
    """
    events = []
    counts: dict[int, int] = defaultdict(int)
    failed: set[int] = set()
    for attempt in attempts:
        partition = attempt.partition
        counts[partition] += 1
        of = next((chunk for chunk, span in spans.items() if partition in span), otherwise)
        event = TaskEvent(
            kind=EventKind.RETRIED,
            of=of,
            partition=partition,
            attempt=counts[partition],
            host=attempt.host,
        )
        if partition in failed:
            events.append(event)
        if attempt.state == "FAILED":
            failed.add(partition)
            cause = first_cause(attempt.cause or "")
            events.append(event.model_copy(update={"kind": EventKind.FAILED, "cause": cause}))
        elif attempt.state == "SUCCESS" and partition in failed:
            events.append(event.model_copy(update={"kind": EventKind.RECOVERED}))
    return events


@dataclass(frozen=True)
class _Task:
    """One partition: its chunk, the lines that it should hold, and its attempts in order."""

    chunk: str
    lines: float
    attempts: Sequence[TaskAttempt]

    @property
    def success(self) -> TaskAttempt | None:
        return next((attempt for attempt in self.attempts if attempt.state == "SUCCESS"), None)

    @property
    def running(self) -> TaskAttempt | None:
        return next((attempt for attempt in self.attempts if attempt.state == "RUNNING"), None)

    @property
    def retried(self) -> int:
        failed = [number for number, a in enumerate(self.attempts) if a.state == "FAILED"]
        return len(self.attempts) - 1 - failed[0] if failed else 0


def _seconds_per_line(tasks: Iterable[_Task]) -> float | None:
    """Task seconds for a line, from the tasks that are done; None if there is none with lines."""
    done = [(task.lines, task.success.seconds) for task in tasks if task.success is not None]
    lines = sum(lines for lines, _ in done)
    return sum(seconds for _, seconds in done) / lines if lines else None


def _expected_ends(tasks: Sequence[_Task], cores: int, now: float) -> list[float | None]:
    """Seconds since the epoch at which each task ends: Spark starts waiting tasks in order on free cores."""
    per_line = _seconds_per_line(tasks)
    ends: list[float | None] = [_end_of_done(task) for task in tasks]
    if per_line is None:
        return ends
    free = []
    waiting = []
    for number, task in enumerate(tasks):
        if task.success is not None:
            continue
        if task.running is None:
            waiting.append(number)
            continue
        ends[number] = max(now, task.running.started + task.lines * per_line)
        free.append(ends[number] or now)
    free += [now] * max(0, cores - len(free))
    heapq.heapify(free)
    for number in waiting if free else ():
        end = heapq.heappop(free) + tasks[number].lines * per_line
        ends[number] = end
        heapq.heappush(free, end)
    return ends


def _end_of_done(task: _Task) -> float | None:
    return None if task.success is None else task.success.started + task.success.seconds


def _of_chunk(
    chunk: str, tasks: Sequence[_Task], ends: Sequence[float | None], per_line: float | None, now: float
) -> TaskProgress:
    attempts = [attempt for task in tasks for attempt in task.attempts]
    done = sum(task.success is not None for task in tasks)
    lines = sum(task.success.lines for task in tasks if task.success is not None)
    known = [end for end in ends if end is not None]
    until = max(known) if done == len(tasks) else now
    began = min((attempt.started for attempt in attempts), default=until)
    return TaskProgress(
        name=chunk,
        tasks=len(tasks),
        done=done,
        running=sum(attempt.state == "RUNNING" for attempt in attempts),
        retried=sum(task.retried for task in tasks),
        failed=sum(attempt.state == "FAILED" for attempt in attempts),
        lines=lines,
        lines_per_second=lines / (until - began) if lines and until > began else None,
        share=sum(_share(task, per_line, now) for task in tasks) / len(tasks),
        end=dt.datetime.fromtimestamp(max(known), dt.UTC) if len(known) == len(tasks) else None,
    )


def _share(task: _Task, per_line: float | None, now: float) -> float:
    if task.success is not None:
        return 1.0
    if task.running is None or per_line is None or not task.lines:
        return 0.0
    return min(_MOST_OF_A_TASK, max(0.0, now - task.running.started) / (task.lines * per_line))
