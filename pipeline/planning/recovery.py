"""How the tasks of chunks went, and what follows from it: decisions on plain values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.partitions import PartitionSpan

# What Spark and the cluster managers say of a process that ran out of memory; 52 is Spark's own exit code for
# it, 137 the kernel's or a container's kill.
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


@dataclass(frozen=True)
class TaskAttempt:
    """One attempt of a Spark task.

    Attributes:
        partition: id of its partition.
        host: where it ran.
        state: ``RUNNING``, ``SUCCESS``, ``FAILED`` or ``KILLED``.
        seconds: how long it ran.
        cause: why it failed, as Spark tells it; None where it did not.
    """

    partition: int
    host: str
    state: str
    seconds: float
    cause: str | None = None


@dataclass
class ChunkTasks:
    """How the tasks of one chunk went.

    Attributes:
        partitions: Spark partitions of the chunk.
        done: partitions that are worked.
        tasks: task attempts, the failed ones among them.
        failed_attempts: attempts that failed.
        failures: first line of each distinct cause, with its host.
        task_seconds: time of all attempts.
        hosts: where they ran.
    """

    partitions: int = 0
    done: int = 0
    tasks: int = 0
    failed_attempts: int = 0
    failures: list[str] = field(default_factory=list)
    task_seconds: float = 0.0
    hosts: set[str] = field(default_factory=set)

    def add(self, other: ChunkTasks) -> None:
        """Adds the tasks of another publication of the same run."""
        self.partitions += other.partitions
        self.done += other.done
        self.tasks += other.tasks
        self.failed_attempts += other.failed_attempts
        self.failures += [failure for failure in other.failures if failure not in self.failures]
        self.task_seconds += other.task_seconds
        self.hosts |= other.hosts

    def as_columns(self) -> dict[str, Any]:
        """The columns of ``ledger/tasks``, but run_id and chunk."""
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
    """How the tasks of each chunk went.

    Args:
        attempts: attempts of the stage whose partitions the chunks were given.
        spans: Spark partitions by chunk.
    """
    found = {chunk: ChunkTasks(partitions=span.count) for chunk, span in spans.items()}
    chunk_of = _chunk_of(spans)
    worked = set()
    for attempt in attempts:
        chunk = chunk_of.get(attempt.partition)
        if chunk is None:
            continue
        _add_attempt(found[chunk], attempt)
        if attempt.state == "SUCCESS" and attempt.partition not in worked:
            worked.add(attempt.partition)
            found[chunk].done += 1
    return found


def given_up(attempts: Iterable[TaskAttempt], spans: Mapping[str, PartitionSpan]) -> dict[str, str]:
    """Chunks for which Spark gave up: those of the partitions that failed most often and never succeeded.

    Returns:
        Last cause, as Spark tells it, by chunk; none where no task failed.
    """
    attempts = list(attempts)
    worked = {attempt.partition for attempt in attempts if attempt.state == "SUCCESS"}
    failed = [a for a in attempts if a.state == "FAILED" and a.partition not in worked]
    # An attempt that could not fetch is Spark's to repeat: it counts against no task.
    counts = Counter(a.partition for a in failed if not (a.cause or "").startswith("FetchFailed"))
    most = max(counts.values(), default=0)
    chunk_of = _chunk_of(spans)
    return {
        chunk_of[a.partition]: a.cause or "no cause was told"
        for a in failed
        if counts[a.partition] == most and most and a.partition in chunk_of
    }


def is_lost_to_memory(cause: str) -> bool:
    """Whether a failure is one of memory: half as many lines a task may pass."""
    return _LOST_TO_MEMORY.search(cause) is not None


def is_lost_worker(cause: str) -> bool:
    """Whether a failure is of the cluster, not of the data: the same command may succeed later."""
    return _LOST_WORKER.search(cause) is not None


def with_doubled(spans: Mapping[str, PartitionSpan], chunks: Iterable[str]) -> dict[str, PartitionSpan]:
    """Spans in which some chunks have twice as many partitions."""
    extra = set(chunks)
    doubled: dict[str, PartitionSpan] = {}
    first = 0
    for chunk, span in sorted(spans.items(), key=lambda item: item[1].first):
        count = span.count * 2 if chunk in extra else span.count
        doubled[chunk] = PartitionSpan(first, count)
        first += count
    return doubled


def first_cause(cause: str) -> str:
    """What went wrong, in one line: the first cause where a trace names several."""
    lines = [line.strip() for line in cause.strip().splitlines() if line.strip()]
    if not lines:
        return "no cause was told"
    causes = [line.removeprefix("Caused by:").strip() for line in lines if line.startswith("Caused by:")]
    return (causes[-1] if causes else lines[0])[:_CAUSE_LENGTH]


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
