"""Sums up the task attempts of chunks and decides about retries, on plain values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.partitions import PartitionSpan

# What Spark and the cluster managers report for a process that ran out of memory. Exit code 52 is Spark's
# own; 137 means that the kernel or the container runtime killed the process.
_LOST_TO_MEMORY = re.compile(
    r"OutOfMemoryError|exit(ed with)? code:? (52|137)\b|OOMKilled"
    r"|exceeding (physical|virtual|the) memory|running beyond (physical|virtual) memory"
)
_LOST_WORKER = re.compile(
    r"ExecutorLostFailure|Remote RPC client disassociated|worker lost|Worker shutting down"
    r"|Executor heartbeat timed out|Master removed our application|All masters are unresponsive"
    r"|FetchFailed|MetadataFetchFailedException|SparkContext was shut down"
)
_CAUSE_LENGTH = 300
# What a message quotes may come from a line: a value, a key, a customer. So may a long number.
# A cut cause may lack the closing quote.
_QUOTED = re.compile(r"'[^']*(?:'|$)|\"[^\"]*(?:\"|$)|`[^`]*(?:`|$)|\b\d{5,}\b")


@dataclass(frozen=True)
class TaskAttempt:
    """One attempt of a Spark task.

    Attributes:
        partition: id of its partition.
        host: where it ran.
        state: ``RUNNING``, ``SUCCESS``, ``FAILED`` or ``KILLED``.
        seconds: how long it ran.
        cause: why it failed, in Spark's words; None if it did not.
        started: its start, in seconds since the epoch.
        lines: lines that it wrote; 0 until it has ended.
        executor: id of its executor.
        submitted: when its stage could start, in seconds since the epoch.
    """

    partition: int
    host: str
    state: str
    seconds: float
    cause: str | None = None
    started: float = 0.0
    lines: int = 0
    executor: str = ""
    submitted: float = 0.0


@dataclass
class ChunkTasks:
    """The task attempts of one chunk, summed up.

    Attributes:
        partitions: Spark partitions of the chunk.
        tasks: task attempts, failed ones included.
        failed_attempts: attempts that failed.
        failures: each distinct cause, in one line, with its host.
        task_seconds: seconds of all attempts.
        hosts: hosts of the attempts.
    """

    partitions: int = 0
    tasks: int = 0
    failed_attempts: int = 0
    failures: list[str] = field(default_factory=list)
    task_seconds: float = 0.0
    hosts: set[str] = field(default_factory=set)

    def add(self, other: ChunkTasks) -> None:
        """Adds the tasks of another publication of the same run."""
        self.partitions += other.partitions
        self.tasks += other.tasks
        self.failed_attempts += other.failed_attempts
        self.failures += [failure for failure in other.failures if failure not in self.failures]
        self.task_seconds += other.task_seconds
        self.hosts |= other.hosts

    def as_columns(self) -> dict[str, Any]:
        """The columns of ``ledger/tasks``, except run_id and chunk."""
        return {
            "partitions": self.partitions,
            "tasks": self.tasks,
            "failed_attempts": self.failed_attempts,
            "failures": self.failures,
            "task_seconds": round(self.task_seconds, 3),
            "hosts": sorted(self.hosts),
        }


def tasks_by_chunk(
    attempts: Iterable[TaskAttempt], spans: Mapping[str, PartitionSpan]
) -> dict[str, ChunkTasks]:
    """Sums up the task attempts of each chunk.

    Args:
        attempts: attempts of the stage whose partitions are assigned to chunks.
        spans: Spark partitions by chunk.
    """
    tasks = {chunk: ChunkTasks(partitions=span.count) for chunk, span in spans.items()}
    chunk_of = _chunk_of(spans)
    for attempt in attempts:
        chunk = chunk_of.get(attempt.partition)
        if chunk is not None:
            _add_attempt(tasks[chunk], attempt)
    return tasks


def given_up(attempts: Iterable[TaskAttempt], spans: Mapping[str, PartitionSpan]) -> dict[str, str]:
    """Chunks that Spark gave up: those of the partitions that failed most often and never succeeded.

    Returns:
        Last cause by chunk, in Spark's words; empty if no task failed.
    """
    attempts = list(attempts)
    succeeded = {attempt.partition for attempt in attempts if attempt.state == "SUCCESS"}
    failed = [a for a in attempts if a.state == "FAILED" and a.partition not in succeeded]
    # Spark repeats a failed fetch by itself and does not count it against the task.
    counts = Counter(a.partition for a in failed if not (a.cause or "").startswith("FetchFailed"))
    most = max(counts.values(), default=0)
    chunk_of = _chunk_of(spans)
    return {
        chunk_of[a.partition]: a.cause or "no cause given"
        for a in failed
        if counts[a.partition] == most and most and a.partition in chunk_of
    }


def is_lost_to_memory(cause: str) -> bool:
    """Whether the task ran out of memory: retrying with smaller partitions may succeed."""
    return _LOST_TO_MEMORY.search(cause) is not None


def is_lost_worker(cause: str) -> bool:
    """Whether the cluster failed, not the data: the same command may succeed later."""
    return _LOST_WORKER.search(cause) is not None


def with_doubled(spans: Mapping[str, PartitionSpan], chunks: Iterable[str]) -> dict[str, PartitionSpan]:
    """Spans in which the given chunks have twice as many partitions."""
    to_double = set(chunks)
    doubled: dict[str, PartitionSpan] = {}
    first = 0
    for chunk, span in sorted(spans.items(), key=lambda item: item[1].first):
        count = span.count * 2 if chunk in to_double else span.count
        doubled[chunk] = PartitionSpan(first, count)
        first += count
    return doubled


def first_cause(cause: str) -> str:
    """The cause of a failure in one line: the root cause if the trace names several."""
    lines = [line.strip() for line in cause.strip().splitlines() if line.strip()]
    if not lines:
        return "no cause given"
    causes = [line.removeprefix("Caused by:").strip() for line in lines if line.startswith("Caused by:")]
    return (causes[-1] if causes else lines[0])[:_CAUSE_LENGTH]


def without_values(cause: str) -> str:
    """The cause without quoted text and long numbers, for readers who may not see lines of the data."""
    return _QUOTED.sub("…", cause)


def _chunk_of(spans: Mapping[str, PartitionSpan]) -> dict[int, str]:
    return {
        partition: chunk
        for chunk, span in spans.items()
        for partition in range(span.first, span.first + span.count)
    }


def _add_attempt(chunk: ChunkTasks, attempt: TaskAttempt) -> None:
    chunk.tasks += 1
    chunk.hosts.add(attempt.host)
    chunk.task_seconds += attempt.seconds
    if attempt.state == "FAILED":
        chunk.failed_attempts += 1
        failure = f"{attempt.host}: {first_cause(attempt.cause or '')}"
        if failure not in chunk.failures:
            chunk.failures.append(failure)
