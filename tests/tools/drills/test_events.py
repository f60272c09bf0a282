"""The evidence, from event logs made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.partitions import PartitionSpan
from tools.drills.events import EventLog, read_event_logs, read_events
from tools.drills.evidence import COPY, FAILED, FETCH, LOST, UNEXPLAINED, repeats_of

SPANS = {"A-G": PartitionSpan(0, 2), "H-N": PartitionSpan(2, 1)}


def stage(number: int, tasks: int, step: str = "publishing 2026-11-20", attempt: int = 0) -> dict[str, Any]:
    info = {"Stage ID": number, "Stage Attempt ID": attempt, "Number of Tasks": tasks}
    return {
        "Event": "SparkListenerStageSubmitted",
        "Stage Info": info,
        "Properties": {"spark.job.description": step},
    }


def task(
    number: int,
    partition: int,
    executor: str = "1",
    reason: str = "Success",
    *,
    written: int = 0,
    shuffled: int = 0,
    speculative: bool = False,
) -> dict[str, Any]:
    return {
        "Event": "SparkListenerTaskEnd",
        "Stage ID": number,
        "Task Info": {
            "Partition ID": partition,
            "Executor ID": executor,
            "Launch Time": 1000,
            "Finish Time": 3000,
            "Speculative": speculative,
        },
        "Task End Reason": {"Reason": reason},
        "Task Metrics": {
            "Output Metrics": {"Bytes Written": written},
            "Shuffle Write Metrics": {"Shuffle Bytes Written": shuffled},
        },
    }


def lost(executor: str) -> dict[str, Any]:
    return {"Event": "SparkListenerExecutorRemoved", "Executor ID": executor, "Removed Reason": "gone"}


def healthy() -> list[dict[str, Any]]:
    return [
        stage(8, 3),  # as many tasks as the write, and no write
        *[task(8, p) for p in range(3)],
        stage(9, 2),
        *[task(9, p, shuffled=50) for p in range(2)],
        stage(10, 1),  # between the two, and of no shuffle
        task(10, 0),
        stage(11, 3),
        *[task(11, p, written=100) for p in range(3)],
    ]


def test_a_healthy_run_repeats_nothing() -> None:
    found = repeats_of(read_events(healthy()), SPANS)
    assert (found.chunks, found.map_side, found.elsewhere, dict(found.causes)) == (
        {"A-G": 0, "H-N": 0},
        (0, 2),
        {},
        {},
    )
    assert (found.seconds, found.task_seconds) == (0, 18)


def test_a_killed_worker_costs_its_tasks_and_its_map_outputs() -> None:
    events = [
        *healthy()[:-3],
        task(11, 0, written=100),
        task(11, 2, "2", "ExecutorLostFailure"),
        lost("2"),
        task(11, 1, "1", "FetchFailed"),
        stage(9, 1, attempt=1),  # a later attempt of a stage has only what is left
        task(9, 1, "3", shuffled=50),
        stage(11, 2, attempt=1),
        task(11, 1, "3", written=100),
        task(11, 2, "3", written=100),
    ]
    # The map output of partition 1 was on the lost executor.
    events = [
        {**e, "Task Info": {**e["Task Info"], "Executor ID": "2"}} if e is events[6] else e for e in events
    ]
    found = repeats_of(read_events(events), SPANS)
    assert found.chunks == {"A-G": 1, "H-N": 1}
    assert found.map_side == (1, 2)
    assert found.causes == {LOST: 2, FETCH: 1}
    assert found.seconds == 6


def test_a_second_write_in_more_partitions_is_not_the_one_that_was_planned() -> None:
    events = [*healthy(), task(11, 2, "1", "ExceptionFailure"), stage(12, 4)]
    events += [task(12, p, written=500) for p in range(4)]
    assert repeats_of(read_events(events), SPANS).chunks == {"A-G": 0, "H-N": 1}


def test_every_repeat_has_a_cause() -> None:
    events = [
        *healthy(),
        task(11, 0, "3", "ExceptionFailure"),
        task(11, 1, "3", "TaskKilled", speculative=True),
        task(8, 0, "4"),
    ]
    found = repeats_of(read_events(events), SPANS)
    assert found.causes == {FAILED: 1, COPY: 1, UNEXPLAINED: 1}
    assert found.elsewhere == {"publishing": 1}


def test_a_lost_map_output_that_ends_a_second_time_did_not_run_again() -> None:
    log = read_events([*healthy(), task(9, 0, "2", "Resubmitted")])
    assert log.stages[9].repeated() == {}


def test_the_log_of_a_killed_driver_may_end_in_half_a_line(tmp_path: Path) -> None:
    lines = [json.dumps(event) for event in healthy()]
    (tmp_path / "app-1").write_text("\n".join(lines) + '\n{"Event": "SparkLis')
    found = read_event_logs(tmp_path)
    written = found.writing("publishing")
    assert written is not None
    assert (written.number, written.tasks, written.written) == (11, 3, 300)
    feeding = found.feeding(written)
    assert feeding is not None
    assert feeding.number == 9


def test_no_log_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no event log in"):
        read_event_logs(tmp_path)
    assert EventLog().writing("ingesting") is None
