"""The task attempts of a Spark write, while it runs and after it, from Spark's own status store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pyspark.sql import SparkSession

from pipeline.planning.recovery import TaskAttempt

_ALL_TASKS = 1_000_000


class TaskWatch:
    """Groups the Spark jobs of one write, to find its tasks again."""

    def __init__(self, spark: SparkSession, group: str, description: str, partitions: int) -> None:
        """Starts a group: Spark jobs of this thread belong to it from now on.

        Args:
            spark: session.
            group: id of the group, used once.
            description: what a person sees of it in Spark's UI.
            partitions: tasks of the stage that writes.
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
        """Task attempts, so far, of the stage of the group that writes; in order of their start."""
        context: Any = self._context._jsc.sc()
        store = context.statusStore()
        stages = [self._stage_attempts(store, stage) for stage in self._stages()]
        # All of a stage's partitions are in its first attempt; later ones hold what was still to be done.
        sized = [attempts for attempts in stages if attempts and attempts[0].numTasks() == self._partitions]
        if not sized:
            return []
        found: list[dict[str, Any]] = []
        for attempt in max(sized, key=_written):
            # As JSON, in one call: a call for each value of each task takes seconds for thousands.
            listed = store.taskList(attempt.stageId(), attempt.attemptId(), _ALL_TASKS)
            found += json.loads(self._mapper.writeValueAsString(listed))
        return [_attempt(task) for task in sorted(found, key=lambda task: task["taskId"])]

    def _stage_attempts(self, store: Any, stage: int) -> list[Any]:
        """All attempts of a stage, the first one first."""
        no_quantiles = self._gateway.new_array(self._jvm.double, 0)
        listed = store.stageData(stage, False, self._jvm.java.util.ArrayList(), False, no_quantiles)
        attempts = [listed.apply(position) for position in range(listed.size())]
        return sorted(attempts, key=lambda attempt: int(attempt.attemptId()))

    def _stages(self) -> list[int]:
        tracker = self._context.statusTracker()
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(self._group)]
        stages = {stage for job in jobs if job is not None for stage in job.stageIds}
        return [stage for stage in sorted(stages) if tracker.getStageInfo(stage) is not None]


def _written(attempts: list[Any]) -> tuple[int, int]:
    return sum(int(attempt.outputBytes()) for attempt in attempts), int(attempts[0].stageId())


def _attempt(task: Mapping[str, Any]) -> TaskAttempt:
    # The partition id, not the index: of a stage tried again the index counts only what is left.
    return TaskAttempt(
        partition=task["partitionId"],
        host=task["host"],
        state=task["status"],
        seconds=(task["duration"] or 0) / 1000,
        cause=task["errorMessage"],
    )
