"""Reads the task attempts of a Spark write from Spark's status store, during and after the write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pyspark.sql import SparkSession

from pipeline.planning.recovery import TaskAttempt

_ALL_TASKS = 1_000_000


class TaskWatch:
    """Groups the Spark jobs of one write, so that its tasks can be found."""

    def __init__(self, spark: SparkSession, group: str, description: str, partitions: int) -> None:
        """Starts a group: from now on, all Spark jobs of this thread belong to it.

        Args:
            spark: session.
            group: unique id of the group.
            description: text for Spark's UI.
            partitions: number of tasks of the stage that writes.
        """
        self._context = spark.sparkContext
        jvm: Any = spark._jvm
        self._jvm = jvm
        self._gateway: Any = spark.sparkContext._gateway
        jackson = jvm.com.fasterxml.jackson
        scala = jackson.module.scala.DefaultScalaModule()
        self._mapper = jackson.databind.ObjectMapper().registerModule(scala)
        self._group = group
        self._partitions = partitions
        self._context.setJobGroup(group, description)

    def attempts(self) -> list[TaskAttempt]:
        """Returns the task attempts so far of the stage that writes, in order of their start."""
        context: Any = self._context._jsc.sc()
        store = context.statusStore()
        stages = [self._stage_attempts(store, stage) for stage in self._stages()]
        # The first attempt of a stage has all partitions. Later attempts have only the unfinished ones.
        sized = [attempts for attempts in stages if attempts and attempts[0].numTasks() == self._partitions]
        if not sized:
            return []
        tasks: list[dict[str, Any]] = []
        for attempt in max(sized, key=_written_bytes):
            # Convert to JSON in one call: one call for each value takes seconds for thousands of tasks.
            task_list = store.taskList(attempt.stageId(), attempt.attemptId(), _ALL_TASKS)
            tasks += json.loads(self._mapper.writeValueAsString(task_list))
        return [_attempt(task) for task in sorted(tasks, key=lambda task: task["taskId"])]

    def _stage_attempts(self, store: Any, stage: int) -> list[Any]:
        """Returns all attempts of a stage, oldest first."""
        no_quantiles = self._gateway.new_array(self._jvm.double, 0)
        listed = store.stageData(stage, False, self._jvm.java.util.ArrayList(), False, no_quantiles)
        attempts = [listed.apply(position) for position in range(listed.size())]
        return sorted(attempts, key=lambda attempt: int(attempt.attemptId()))

    def _stages(self) -> list[int]:
        tracker = self._context.statusTracker()
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(self._group)]
        stages = {stage for job in jobs if job is not None for stage in job.stageIds}
        return [stage for stage in sorted(stages) if tracker.getStageInfo(stage) is not None]


def _written_bytes(attempts: list[Any]) -> tuple[int, int]:
    """Returns the bytes that a stage wrote; between equal stages, the later one counts as larger."""
    return sum(int(attempt.outputBytes()) for attempt in attempts), int(attempts[0].stageId())


def _attempt(task: Mapping[str, Any]) -> TaskAttempt:
    # Use the partition id: in a retried stage, the index counts only the remaining tasks.
    return TaskAttempt(
        partition=task["partitionId"],
        host=task["host"],
        state=task["status"],
        seconds=(task["duration"] or 0) / 1000,
        cause=task["errorMessage"],
    )
