"""What a run made Spark do, counted: jobs, tasks, rows and bytes read, plans. The same on any machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from tests.support.plans import Node, executed_plans


@dataclass(frozen=True)
class StageWork:
    """What the tasks of a stage that ran did.

    Attributes:
        step: description of its job: what the run told, or what Delta did for it on a table's log.
        tasks: how many.
        rows_read: from files, tables and what is kept in memory; of a shuffle none.
        bytes_read: the same, in bytes.
        rows_written: to a table.
    """

    step: str
    tasks: int
    rows_read: int
    bytes_read: int
    rows_written: int


@dataclass(frozen=True)
class Work:
    """What a run made Spark do.

    Attributes:
        jobs: how many.
        stages: those that ran, in order; what a shuffle still held was not computed again and is not here.
        plans: of its queries, but Delta's own over its log, top down.
    """

    jobs: int
    stages: list[StageWork]
    plans: list[list[Node]]

    @property
    def tasks(self) -> int:
        """Tasks of all stages."""
        return sum(stage.tasks for stage in self.stages)

    def of_step(self, *starts: str) -> list[StageWork]:
        """The stages of the steps that begin so; Delta's own work for them is not among them."""
        return [stage for stage in self.stages if stage.step.startswith(starts)]


def counted(spark: SparkSession, run: Callable[[], None]) -> Work:
    """Runs something and counts what Spark did for it."""
    store = _store(spark)
    # By id: Spark forgets the oldest once there are a thousand, and their number tells nothing then.
    last_job = max((int(job.jobId()) for job in _listed(store.jobsList(None))), default=-1)
    last_stage = max((int(stage.stageId()) for stage in _stages(spark)), default=-1)
    plans = executed_plans(spark, run)
    jobs = [job for job in _listed(_store(spark).jobsList(None)) if int(job.jobId()) > last_job]
    stages = [stage for stage in _stages(spark) if int(stage.stageId()) > last_stage]
    ran = [stage for stage in stages if str(stage.status()) == "COMPLETE"]
    ran.sort(key=lambda stage: int(stage.stageId()))
    return Work(len(jobs), [_work(stage) for stage in ran], plans)


def _store(spark: SparkSession) -> Any:
    context: Any = spark.sparkContext._jsc.sc()
    context.listenerBus().waitUntilEmpty()
    return context.statusStore()


def _stages(spark: SparkSession) -> list[Any]:
    jvm: Any = spark._jvm
    gateway: Any = spark.sparkContext._gateway
    nothing = jvm.java.util.ArrayList()
    no_quantiles = gateway.new_array(jvm.double, 0)
    return _listed(_store(spark).stageList(nothing, False, False, no_quantiles, nothing))


def _listed(sequence: Any) -> list[Any]:
    return [sequence.apply(position) for position in range(sequence.size())]


def _work(stage: Any) -> StageWork:
    told = stage.description()
    return StageWork(
        step=str(told.get()) if told.isDefined() else "",
        tasks=int(stage.numCompleteTasks()),
        rows_read=int(stage.inputRecords()),
        bytes_read=int(stage.inputBytes()),
        rows_written=int(stage.outputRecords()),
    )
