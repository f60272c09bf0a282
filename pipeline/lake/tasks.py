"""Reads stages, tasks and workers from Spark's status store, while Spark works and afterwards."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Self

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from pipeline.planning.attempts import spans_as_text
from pipeline.planning.recovery import TaskAttempt
from schemas.partitions import PartitionSpan

_ALL_TASKS = 1_000_000
# Property of the Spark jobs of a write.
CHUNKS_PROPERTY = "cymbal.chunks"
_GROUP_PROPERTY = "spark.jobGroup.id"


@dataclass(frozen=True)
class StageTasks:
    """The tasks of a stage that runs.

    Attributes:
        stage: id of the stage.
        attempt: id of the attempt of the stage.
        tasks: tasks of the attempt.
        done: tasks that succeeded.
        running: tasks that run.
        failed: task attempts that failed.
        lines: rows that its tasks have read.
    """

    stage: int
    attempt: int
    tasks: int
    done: int
    running: int
    failed: int
    lines: int


@dataclass(frozen=True)
class Workers:
    """The executors that are alive.

    Attributes:
        count: their number; the driver counts only if it is its own executor.
        cores: tasks that they run at once.
    """

    count: int
    cores: int


class StatusStore:
    """The status store of a session."""

    def __init__(self, spark: SparkSession) -> None:
        """Opens the status store of a session."""
        jvm: Any = spark._jvm
        self._jvm = jvm
        self._gateway: Any = spark.sparkContext._gateway
        self._context: Any = spark.sparkContext._jsc.sc()
        jackson = jvm.com.fasterxml.jackson
        scala = jackson.module.scala.DefaultScalaModule()
        self._mapper = jackson.databind.ObjectMapper().registerModule(scala)

    def active_stages(self) -> list[StageTasks]:
        """Returns the stages that run now, in order of their ids."""
        stages = [
            StageTasks(
                stage=stage["stageId"],
                attempt=stage["attemptId"],
                tasks=stage["numTasks"],
                done=stage["numCompletedIndices"],
                running=stage["numActiveTasks"],
                failed=stage["numFailedTasks"],
                lines=stage["inputRecords"] + stage["shuffleReadRecords"],
            )
            for stage in self._values(self._store.activeStages())
        ]
        return sorted(stages, key=lambda stage: (stage.stage, stage.attempt))

    def workers(self) -> Workers:
        """Returns the executors that are alive."""
        executors = self._values(self._store.executorList(True))
        remote = [executor for executor in executors if executor["id"] != "driver"]
        counted = executors if self._context.isLocal() else remote
        return Workers(len(counted), sum(executor["maxTasks"] for executor in counted))

    def attempts(self, stage: int, attempt: int) -> list[TaskAttempt]:
        """Returns the task attempts so far of an attempt of a stage, in order of their start."""
        tasks = self._values(self._store.taskList(stage, attempt, _ALL_TASKS))
        return [_attempt(task) for task in sorted(tasks, key=lambda task: task["taskId"])]

    def stage_attempts(self, stage: int) -> list[Any]:
        """Returns Spark's data of all attempts of a stage, oldest first."""
        no_quantiles = self._gateway.new_array(self._jvm.double, 0)
        listed = self._store.stageData(stage, False, self._jvm.java.util.ArrayList(), False, no_quantiles)
        attempts = [listed.apply(position) for position in range(listed.size())]
        return sorted(attempts, key=lambda attempt: int(attempt.attemptId()))

    def wait_for_events(self) -> None:
        """Waits until the store holds what Spark has done so far; for ten seconds at most."""
        with suppress(Py4JJavaError):
            self._context.listenerBus().waitUntilEmpty()

    @property
    def _store(self) -> Any:
        return self._context.statusStore()

    def _values(self, sequence: Any) -> list[dict[str, Any]]:
        # Convert to JSON in one call: one call for each value takes seconds for thousands of tasks.
        values: list[dict[str, Any]] = json.loads(self._mapper.writeValueAsString(sequence))
        return values


class RowWatch:
    """Counts the rows that one write reads and writes, as Spark counts them: no row costs more for it."""

    def __init__(self, spark: SparkSession) -> None:
        """Opens the watch; it counts the Spark jobs of this thread from ``with`` on."""
        self._context = spark.sparkContext
        self._store = StatusStore(spark)
        self._group = f"rows-{uuid.uuid4()}"
        self._group_before: str | None = None

    def __enter__(self) -> Self:
        """Puts the jobs of this thread in a group."""
        self._group_before = self._context.getLocalProperty(_GROUP_PROPERTY)
        self._context.setLocalProperty(_GROUP_PROPERTY, self._group)
        return self

    def __exit__(self, *error: object) -> None:
        """Restores the group of this thread."""
        self._context._jsc.setLocalProperty(_GROUP_PROPERTY, self._group_before)

    def left_out(self) -> int | None:
        """Returns how many rows the stage that writes read and did not write.

        None if that cannot be said: no stage wrote, several did, or a task of it failed and counts twice.
        """
        self._store.wait_for_events()
        tracker = self._context.statusTracker()
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(self._group)]
        stages = sorted({stage for job in jobs if job is not None for stage in job.stageIds})
        attempts = [attempt for stage in stages for attempt in self._store.stage_attempts(stage)]
        writing = [attempt for attempt in attempts if int(attempt.outputRecords())]
        if len(writing) != 1 or writing[0].numFailedTasks() or writing[0].attemptId():
            return None
        return int(writing[0].inputRecords()) - int(writing[0].outputRecords())


class TaskWatch:
    """Groups the Spark jobs of one write, so that its tasks can be found.

    Attributes:
        stage: id of the stage that writes, as last looked up; None before it has begun.
    """

    def __init__(
        self, spark: SparkSession, group: str, description: str, spans: Mapping[str, PartitionSpan]
    ) -> None:
        """Starts a group: from now on, all Spark jobs of this thread belong to it.

        Args:
            spark: session.
            group: unique id of the group.
            description: text for Spark's UI.
            spans: partitions of the stage that writes, by chunk. The event log keeps them, so that the
                attempts of a killed run can be told apart by chunk.
        """
        self._context = spark.sparkContext
        self._store = StatusStore(spark)
        self._group = group
        self._partitions = sum(span.count for span in spans.values())
        self.stage: int | None = None
        self._context.setJobGroup(group, description)
        self._context.setLocalProperty(CHUNKS_PROPERTY, spans_as_text(spans))

    def attempts(self) -> list[TaskAttempt]:
        """Returns the task attempts so far of the stage that writes, in order of their start."""
        attempts = self._stage_that_writes()
        self.stage = int(attempts[0].stageId()) if attempts else None
        return [
            replace(task, submitted=_submitted(attempt))
            for attempt in attempts
            for task in self._store.attempts(int(attempt.stageId()), int(attempt.attemptId()))
        ]

    def _stage_that_writes(self) -> list[Any]:
        """Returns all attempts of the stage, oldest first; empty before it has begun."""
        stages = [self._store.stage_attempts(stage) for stage in self._stages()]
        # The first attempt of a stage has all partitions. Later attempts have only the unfinished ones.
        sized = [attempts for attempts in stages if attempts and attempts[0].numTasks() == self._partitions]
        return max(sized, key=_written_bytes, default=[])

    def _stages(self) -> list[int]:
        tracker = self._context.statusTracker()
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(self._group)]
        stages = {stage for job in jobs if job is not None for stage in job.stageIds}
        return [stage for stage in sorted(stages) if tracker.getStageInfo(stage) is not None]


def _written_bytes(attempts: list[Any]) -> tuple[int, int]:
    """Returns the bytes that a stage wrote; between equal stages, the later one counts as larger."""
    return sum(int(attempt.outputBytes()) for attempt in attempts), int(attempts[0].stageId())


def _submitted(attempt: Any) -> float:
    """Returns when an attempt of a stage could start, in seconds since the epoch; 0 if it is not known."""
    submitted = attempt.submissionTime()
    return float(submitted.get().getTime()) / 1000 if submitted.isDefined() else 0.0


def _attempt(task: Mapping[str, Any]) -> TaskAttempt:
    metrics = task["taskMetrics"] or {}
    # Use the partition id: in a retried stage, the index counts only the remaining tasks.
    return TaskAttempt(
        partition=task["partitionId"],
        host=task["host"],
        state=task["status"],
        seconds=(task["duration"] or 0) / 1000,
        cause=task["errorMessage"],
        started=task["launchTime"] / 1000,
        lines=metrics.get("outputMetrics", {}).get("recordsWritten", 0),
        executor=task["executorId"],
    )
