"""How the tasks of a Spark job went, chunk by chunk, read from Spark's own status store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import SparkSession

from schemas.partitions import PartitionSpan

_ALL_TASKS = 1_000_000


@dataclass
class ChunkTasks:
    """How the tasks of one chunk went.

    Attributes:
        partitions: Spark partitions of the chunk.
        tasks: task attempts, the failed ones among them.
        failed_attempts: attempts that failed.
        failures: first line of each distinct cause, with its host.
        task_seconds: time of all attempts.
        hosts: where they ran.
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
        """The columns of ``ledger/tasks``, but run_id and chunk."""
        return {
            "partitions": self.partitions,
            "tasks": self.tasks,
            "failed_attempts": self.failed_attempts,
            "failures": self.failures,
            "task_seconds": round(self.task_seconds, 3),
            "hosts": sorted(self.hosts),
        }


class TaskWatch:
    """Groups the Spark jobs of one write, to find its tasks again."""

    def __init__(self, spark: SparkSession, group: str, description: str) -> None:
        """Starts a group: Spark jobs of this thread belong to it from now on."""
        self._context = spark.sparkContext
        self._group = group
        self._context.setJobGroup(group, description)

    def chunk_tasks(self, spans: Mapping[str, PartitionSpan]) -> dict[str, ChunkTasks]:
        """How the tasks of each chunk went, in the stage of the group that wrote.

        Args:
            spans: Spark partitions by chunk.
        """
        found = {chunk: ChunkTasks(partitions=span.count) for chunk, span in spans.items()}
        chunk_of = {
            partition: chunk
            for chunk, span in spans.items()
            for partition in range(span.first, span.first + span.count)
        }
        for task in self._writing_tasks(len(chunk_of)):
            # The partition id, not the index: of a stage tried again the index counts only what is left.
            chunk = chunk_of.get(task.partitionId())
            if chunk is not None:
                _add_task(found[chunk], task)
        return found

    def _writing_tasks(self, partitions: int) -> list[Any]:
        context: Any = self._context._jsc.sc()
        store = context.statusStore()
        stages = [store.lastStageAttempt(stage) for stage in self._stages()]
        sized = [stage for stage in stages if stage.numTasks() == partitions] or stages
        if not sized:
            return []
        writing = max(sized, key=lambda stage: (stage.outputBytes(), stage.stageId()))
        tasks = []
        for attempt in range(writing.attemptId() + 1):
            listed = store.taskList(writing.stageId(), attempt, _ALL_TASKS)
            tasks += [listed.apply(position) for position in range(listed.size())]
        return tasks

    def _stages(self) -> list[int]:
        tracker = self._context.statusTracker()
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(self._group)]
        stages = {stage for job in jobs if job is not None for stage in job.stageIds}
        return [stage for stage in sorted(stages) if tracker.getStageInfo(stage) is not None]


def _add_task(chunk: ChunkTasks, task: Any) -> None:
    chunk.tasks += 1
    chunk.hosts.add(str(task.host()))
    duration = task.duration()
    chunk.task_seconds += duration.get() / 1000 if duration.isDefined() else 0.0
    if task.status() == "FAILED":
        chunk.failed_attempts += 1
        message = task.errorMessage()
        cause = str(message.get()).strip().splitlines()[0] if message.isDefined() else "no cause was told"
        failure = f"{task.host()}: {cause}"
        if failure not in chunk.failures:
            chunk.failures.append(failure)
