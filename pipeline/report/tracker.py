"""Finds out how far a run is, from Spark's status store and the run's timetable."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from pyspark.sql import SparkSession

from pipeline.lake.tasks import StageTasks, StatusStore, Workers
from pipeline.planning.progress import (
    STEP,
    Phase,
    RunProgress,
    TaskEvent,
    TaskProgress,
    expected_end,
    phases_of,
)
from pipeline.planning.task_progress import chunk_progress, task_events
from pipeline.steps.context import ChunkedWrite
from pipeline.steps.timetable import Position, Timetable
from schemas.states import Stage

_WORKERS_SECONDS = 5.0


class Tracker:
    """How far one run is. It only looks: it never asks the run to do anything.

    Attributes:
        step: the current step, as the run words it; the run sets it.
        is_waiting: whether tasks wait and none runs, when it was last asked.
    """

    def __init__(
        self, run_id: str, job: str, stages: Sequence[Stage], clock: Callable[[], dt.datetime]
    ) -> None:
        """Prepares for a run.

        Args:
            run_id: the run.
            job: its job.
            stages: stages of the job.
            clock: returns the current time, in UTC.
        """
        self._clock = clock
        self._bare = RunProgress(
            run_id=run_id, job=job, started_at=clock(), at=clock(), phases=phases_of(stages)
        )
        self.step = ""
        self._store: StatusStore | None = None
        self._timetable: Timetable | None = None
        self._workers: Workers | None = None
        self._workers_at = 0.0
        self._write: ChunkedWrite | None = None
        self._chunks: tuple[TaskProgress, ...] = ()
        self._events: list[TaskEvent] = []
        self._seen: set[tuple[object, ...]] = set()
        self.is_waiting = False

    def watch(self, spark: SparkSession, timetable: Timetable) -> None:
        """Also looks at the tasks of a session, and at the run's timetable, from now on."""
        self._store, self._timetable = StatusStore(spark), timetable

    @contextmanager
    def follow(self, write: ChunkedWrite) -> Iterator[None]:
        """Looks at the tasks of a write as those of chunks while the context is open."""
        self._write = write
        try:
            yield
        finally:
            self._write = None

    def look(self) -> RunProgress:
        """How far the run is now.

        Raises:
            Exception: Spark does not answer: its session starts or stops, or its driver is in trouble.
        """
        position = self._timetable.position() if self._timetable is not None else Position()
        phase = _phase(position)
        progress = self.known().model_copy(
            update={"phase": phase, "first_date": position.first, "last_date": position.last}
        )
        if self._store is None:
            return progress
        workers = self._alive(self._store)
        self._look_at_chunks(workers.cores)
        step = self._look_at_stages(self._store, phase or STEP)
        progress = progress.model_copy(
            update={
                "workers": workers.count,
                "deadline": position.deadline,
                "step_tasks": step,
                "chunks": self._chunks,
                "events": tuple(self._events),
            }
        )
        return progress.model_copy(update={"expected_end": expected_end(progress, position.expected_end)})

    def known(self) -> RunProgress:
        """How far the run is, without asking Spark."""
        times = self._timetable.done if self._timetable is not None else []
        return self._bare.model_copy(
            update={
                "at": self._clock(),
                "step": self.step,
                "zone": self._timetable.zone if self._timetable is not None else "UTC",
                "finished": phases_of(dict.fromkeys(done.stage for done in times)),
                "chunks": self._chunks,
                "events": tuple(self._events),
            }
        )

    def _alive(self, store: StatusStore) -> Workers:
        """The workers, asked for every few seconds: of all answers of Spark, this one costs most."""
        now = time.monotonic()
        if self._workers is None or now - self._workers_at >= _WORKERS_SECONDS:
            self._workers, self._workers_at = store.workers(), now
        return self._workers

    def _look_at_chunks(self, cores: int) -> None:
        write = self._write
        if write is None:
            return
        attempts = write.watch.attempts()
        self._chunks = chunk_progress(attempts, write.spans, write.lines, cores, time.time())
        self._add_events(write.watch.stage, 0, task_events(attempts, write.spans))

    def _look_at_stages(self, store: StatusStore, name: str) -> TaskProgress | None:
        """The tasks of the stages that run, without the one of the chunks; None if no other one runs."""
        write = self._write
        active = store.active_stages()
        self.is_waiting = bool(active) and not any(stage.running for stage in active)
        others = [stage for stage in active if write is None or stage.stage != write.watch.stage]
        for stage in others:
            if stage.failed:
                attempts = store.attempts(stage.stage, stage.attempt)
                self._add_events(stage.stage, stage.attempt, task_events(attempts, {}, name))
        return _of_step(others) if others else None

    def _add_events(self, stage: int | None, attempt: int, events: Iterable[TaskEvent]) -> None:
        """Adds what is new of a stage. The phase may change while the stage runs, so it does not count."""
        for event in events:
            key = (stage, attempt, event.partition, event.attempt, event.kind)
            if key not in self._seen:
                self._seen.add(key)
                self._events.append(event)


def _phase(position: Position) -> Phase | None:
    if position.stage is None:
        return None
    if position.is_audit:
        return Phase.AUDIT
    return phases_of([position.stage])[0]


def _of_step(stages: Sequence[StageTasks]) -> TaskProgress:
    tasks = sum(stage.tasks for stage in stages)
    done = sum(stage.done for stage in stages)
    return TaskProgress(
        name=STEP,
        tasks=tasks,
        done=done,
        running=sum(stage.running for stage in stages),
        failed=sum(stage.failed for stage in stages),
        lines=sum(stage.lines for stage in stages),
        share=done / tasks if tasks else 0.0,
    )
