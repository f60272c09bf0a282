"""Reads Spark's event log of a run: every attempt of every task, and the lost executors."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Attempt:
    """One attempt of a task.

    Attributes:
        partition: id of its partition.
        executor: id of its executor.
        reason: ``Success``, or Spark's name of the failure (``ExecutorLostFailure``, ``FetchFailed``, ...).
        detail: text of the failure; empty for none.
        seconds: from launch to end.
        speculative: whether it was a second copy of a slow task.
    """

    partition: int
    executor: str
    reason: str
    detail: str
    seconds: float
    speculative: bool


@dataclass
class Stage:
    """A stage with all its attempts.

    Attributes:
        number: stage id.
        step: description of its job, as the run set it.
        tasks: number of its partitions.
        attempts: attempts of its tasks, in order of their end.
        written: bytes that its tasks wrote to a table.
        shuffled: bytes that its tasks wrote for a later stage.
    """

    number: int
    step: str
    tasks: int
    attempts: list[Attempt] = field(default_factory=list)
    written: int = 0
    shuffled: int = 0

    def by_partition(self) -> dict[int, list[Attempt]]:
        """Attempts of each partition."""
        by_partition: dict[int, list[Attempt]] = defaultdict(list)
        for attempt in self.attempts:
            by_partition[attempt.partition].append(attempt)
        return dict(by_partition)

    def repeated(self) -> dict[int, list[Attempt]]:
        """Attempts of the partitions that ran more than once."""
        # A task whose map output is lost later ends a second time, as Resubmitted, without running again.
        ran = {
            partition: [attempt for attempt in attempts if attempt.reason != "Resubmitted"]
            for partition, attempts in self.by_partition().items()
        }
        return {partition: attempts for partition, attempts in ran.items() if len(attempts) > 1}


@dataclass
class EventLog:
    """The event log of one run.

    Attributes:
        stages: by stage id.
        lost: executors that were removed during the run, with the reason.
    """

    stages: dict[int, Stage] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)

    def writing(self, step: str) -> Stage | None:
        """The stage of a step that wrote most to a table; None if none wrote."""
        stages = [stage for stage in self.stages.values() if stage.step.startswith(step) and stage.written]
        return max(stages, key=lambda stage: stage.written, default=None)

    def feeding(self, stage: Stage) -> Stage | None:
        """The stage of the same step whose shuffle ``stage`` reads; None if it reads none."""
        # Under adaptive execution the parent that a stage names is a copy that never runs. So take the last
        # stage before it that shuffled.
        before = [s for s in self.stages.values() if s.step == stage.step and s.number < stage.number]
        return max((s for s in before if s.shuffled), key=lambda s: s.number, default=None)


def read_event_logs(folder: Path) -> EventLog:
    """Reads the newest event log of a folder, whole or cut off by a crash.

    Raises:
        FileNotFoundError: the folder has no event log.
    """
    files = sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise FileNotFoundError(f"no event log in {folder}")
    return read_events(events_of(files[-1]))


def read_events(events: Iterable[Mapping[str, Any]]) -> EventLog:
    """Builds an event log from events."""
    log = EventLog()
    for event in events:
        kind = event["Event"]
        if kind == "SparkListenerStageSubmitted":
            _add_stage(log, event)
        elif kind == "SparkListenerTaskEnd":
            _add_attempt(log, event)
        elif kind == "SparkListenerExecutorRemoved":
            log.lost[event["Executor ID"]] = event["Removed Reason"]
    return log


def events_of(path: Path) -> Iterator[dict[str, Any]]:
    """Events of one uncompressed log, in order."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):  # a killed driver may leave half a line at the end
                yield json.loads(line)


def _add_stage(log: EventLog, event: Mapping[str, Any]) -> None:
    info = event["Stage Info"]
    step = (event.get("Properties") or {}).get("spark.job.description") or ""
    number = info["Stage ID"]
    # Later attempts of a stage contain only the tasks that are left: keep the first.
    log.stages.setdefault(number, Stage(number, step, info["Number of Tasks"]))


def _add_attempt(log: EventLog, event: Mapping[str, Any]) -> None:
    stage, info, end = log.stages.get(event["Stage ID"]), event["Task Info"], event["Task End Reason"]
    if stage is None:
        return
    stage.attempts.append(
        Attempt(
            partition=info["Partition ID"],
            executor=info["Executor ID"],
            reason=end["Reason"],
            detail=str(end.get("Description") or end.get("Loss Reason") or end.get("Message") or ""),
            seconds=(info["Finish Time"] - info["Launch Time"]) / 1000,
            speculative=info["Speculative"],
        )
    )
    if end["Reason"] == "Success":
        metrics = event.get("Task Metrics") or {}
        stage.written += metrics["Output Metrics"]["Bytes Written"]
        stage.shuffled += metrics["Shuffle Write Metrics"]["Shuffle Bytes Written"]
