"""How far a run is, from a status store whose values are made by hand, and from Spark's own."""

from __future__ import annotations

import datetime as dt
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from pyspark.sql import SparkSession

from pipeline.lake.tasks import StageTasks, StatusStore, Workers, _attempt
from pipeline.planning.progress import EventKind, Phase
from pipeline.planning.recovery import TaskAttempt
from pipeline.report.tracker import Tracker
from pipeline.steps.context import ChunkedWrite
from pipeline.steps.timetable import Timetable
from schemas.partitions import PartitionSpan
from schemas.states import Stage

MOMENT = dt.datetime(2026, 3, 3, 5, 0, tzinfo=dt.UTC)
DAY = dt.date(2026, 3, 2)


@dataclass
class Values:
    """The values of a status store, by hand."""

    stages: list[StageTasks] = field(default_factory=list)
    tasks: dict[tuple[int, int], list[TaskAttempt]] = field(default_factory=dict)

    def workers(self) -> Workers:
        return Workers(3, 6)

    def active_stages(self) -> list[StageTasks]:
        return self.stages

    def attempts(self, stage: int, attempt: int) -> list[TaskAttempt]:
        return self.tasks[stage, attempt]


@dataclass
class Write:
    """The tasks of a write, by hand."""

    stage: int
    tasks: list[TaskAttempt]

    def attempts(self) -> list[TaskAttempt]:
        return self.tasks


def task(partition: int, state: str, **more: Any) -> TaskAttempt:
    return TaskAttempt(partition, "h", state, 5.0, started=time.time() - 10, **more)


@pytest.fixture
def timetable() -> Timetable:
    return Timetable(
        began=MOMENT,
        clock=lambda: MOMENT,
        deadlines={Stage.PUBLISH: dt.time(6, 0)},
        zone="UTC",
        history=dict,
        warnings=[],
        stages=list(Stage),
    )


@pytest.fixture
def tracker(timetable: Timetable) -> Tracker:
    tracker = Tracker("r1", "run_batch", list(Stage), lambda: MOMENT)
    tracker._store, tracker._timetable = Values(), timetable  # type: ignore[assignment]
    return tracker


def test_before_spark_answers_only_the_step_is_known() -> None:
    tracker = Tracker("r1", "run_batch", list(Stage), lambda: MOMENT)
    tracker.step = "starting Spark"
    progress = tracker.look()
    assert (progress.step, progress.workers, progress.phase, progress.chunks) == (
        "starting Spark",
        None,
        None,
        (),
    )
    assert progress.phases == tuple(Phase)


def test_an_ingest_shows_its_window_and_the_tasks_of_its_step(tracker: Tracker, timetable: Timetable) -> None:
    values: Any = tracker._store
    values.stages = [StageTasks(7, 0, 10, 4, 2, 1, 500), StageTasks(8, 0, 2, 0, 0, 0, 0)]
    values.tasks = {(7, 0): [task(3, "FAILED", cause="x"), task(3, "RUNNING")]}
    with timetable.stage(Stage.INGEST, 2, 100):
        timetable.begin_window([DAY + dt.timedelta(days=1), DAY])
        progress = tracker.look()
        assert (progress.phase, progress.first_date, progress.last_date) == (
            Phase.INGEST,
            DAY,
            DAY + dt.timedelta(days=1),
        )
        step = progress.step_tasks
        assert step is not None
        assert (step.tasks, step.done, step.running, step.failed, step.lines) == (12, 4, 2, 1, 500)
        assert [(event.of, event.kind) for event in progress.events] == [
            ("ingest", EventKind.FAILED),
            ("ingest", EventKind.RETRIED),
        ]
        with timetable.audit():
            assert tracker.look().phase is Phase.AUDIT
        assert tracker.look().phase is Phase.INGEST
    progress = tracker.look()
    assert (progress.phase, progress.first_date) == (None, None)
    assert progress.finished == (Phase.INGEST, Phase.AUDIT)
    assert len(progress.events) == 2  # each once, however often it is looked at


def test_a_write_shows_its_chunks_and_keeps_them(tracker: Tracker, timetable: Timetable) -> None:
    spans, lines = {"A-G": PartitionSpan(0, 1), "H-N": PartitionSpan(1, 1)}, {"A-G": 10, "H-N": 10}
    tasks = [task(0, "SUCCESS", lines=10), task(1, "FAILED", cause="x")]
    values: Any = tracker._store
    values.stages = [StageTasks(9, 0, 2, 1, 0, 1, 0)]
    write: Any = Write(9, tasks)
    with timetable.stage(Stage.PUBLISH, 1, 20, [DAY]):
        with tracker.follow(ChunkedWrite(write, spans, lines)):
            progress = tracker.look()
            assert [(chunk.name, chunk.done, chunk.failed) for chunk in progress.chunks] == [
                ("A-G", 1, 0),
                ("H-N", 0, 1),
            ]
            assert progress.step_tasks is None  # the stage is that of the chunks
            assert progress.workers == 3
            assert progress.deadline == MOMENT + dt.timedelta(hours=1)
            assert progress.expected_end == max(chunk.end for chunk in progress.chunks if chunk.end)
            assert [event.of for event in progress.events] == ["H-N"]
            tasks.append(task(1, "SUCCESS", lines=10))
            assert [event.kind for event in tracker.look().events][1:] == [
                EventKind.RETRIED,
                EventKind.RECOVERED,
            ]
        # The stage may outlast the write that it belongs to: nothing is told twice.
        values.tasks = {(9, 0): tasks}
        assert len(tracker.look().events) == 3
        # The same failure in the next write is another one.
        following: Any = Write(10, tasks)
        with tracker.follow(ChunkedWrite(following, spans, lines)):
            assert len(tracker.look().events) == 6
    assert [chunk.done for chunk in tracker.look().chunks] == [1, 1]


def test_tasks_that_wait_for_a_core_are_noticed(tracker: Tracker) -> None:
    values: Any = tracker._store
    for running, is_waiting in ((0, True), (1, False)):
        values.stages = [StageTasks(7, 0, 10, 4, running, 0, 0)]
        tracker.look()
        assert tracker.is_waiting is is_waiting
    values.stages = []
    tracker.look()
    assert tracker.is_waiting is False


def test_a_stage_is_expected_to_end_at_the_pace_of_its_windows(timetable: Timetable) -> None:
    now = [MOMENT]
    timetable.clock = lambda: now[0]
    with timetable.stage(Stage.PUBLISH, 2, 400):
        assert timetable.position().expected_end is None  # nothing is known of its pace yet
        timetable.advance(100)
        now[0] += dt.timedelta(minutes=5)
        assert timetable.position().expected_end == MOMENT + dt.timedelta(minutes=20)
    assert timetable.position().stage is None


def test_a_task_of_spark_is_read_with_its_partition_lines_and_cause() -> None:
    values = {
        "taskId": 12,
        "index": 0,
        "attempt": 1,
        "partitionId": 7,
        "launchTime": 1_795_768_433_475,
        "duration": 238,
        "host": "10.0.0.3",
        "executorId": "3",
        "status": "SUCCESS",
        "errorMessage": None,
        "taskMetrics": {"outputMetrics": {"bytesWritten": 5, "recordsWritten": 42}},
    }
    assert _attempt(values) == TaskAttempt(
        7, "10.0.0.3", "SUCCESS", 0.238, None, started=1_795_768_433.475, lines=42, executor="3"
    )
    young = {**values, "duration": None, "status": "RUNNING", "taskMetrics": None}
    assert (_attempt(young).seconds, _attempt(young).lines) == (0.0, 0)


def test_sparks_own_store_tells_workers_and_running_stages(spark: SparkSession) -> None:
    store = StatusStore(spark)
    assert store.workers() == Workers(1, 2)  # local[2]: the driver is its own executor

    def slow(number: int) -> int:
        time.sleep(1.0)
        return number

    work = threading.Thread(target=spark.sparkContext.parallelize(range(4), 4).map(slow).count)
    work.start()
    seen = []
    while work.is_alive():
        seen += store.active_stages()
        time.sleep(0.1)
    work.join()
    assert {stage.tasks for stage in seen} == {4}
    assert max(stage.running for stage in seen) >= 1
    assert max(stage.done for stage in seen) >= 2
    assert store.active_stages() == []
    (stage,) = {stage.stage for stage in seen}
    assert [attempt.state for attempt in store.attempts(stage, 0)] == ["SUCCESS"] * 4
