"""The reader of Spark's event log, on lines made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.lake.event_log import (
    ApplicationEnd,
    DriverMetrics,
    ExecutorAdded,
    ExecutorRemoved,
    JobStart,
    PlanMetrics,
    StageSubmitted,
    TaskEnd,
    events_below,
    events_of,
    parse,
)

START = {"Event": "SparkListenerApplicationStart", "Timestamp": 1_000_000}
END = {"Event": "SparkListenerApplicationEnd", "Timestamp": 1_009_500}
STEP = {"Properties": {"spark.job.description": "publishing"}}
METRICS = {
    "Executor CPU Time": 1_500_000_000,
    "Executor Deserialize CPU Time": 500_000_000,
    "Peak Execution Memory": 64,
    "Input Metrics": {"Bytes Read": 9, "Records Read": 1},
    "Shuffle Read Metrics": {"Total Records Read": 2},
    "Output Metrics": {"Bytes Written": 30, "Records Written": 3},
    "Shuffle Write Metrics": {"Shuffle Bytes Written": 40},
}


def task(reason: dict[str, Any], **more: Any) -> dict[str, Any]:
    info = {"Partition ID": 5, "Executor ID": "7", "Launch Time": 1_001_000, "Finish Time": 1_003_250}
    return {
        "Event": "SparkListenerTaskEnd",
        "Stage ID": 4,
        "Task Info": {**info, "Speculative": True},
        "Task End Reason": reason,
        **more,
    }


def write(path: Path, *events: dict[str, Any], cut: str = "") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(event) + "\n" for event in events) + cut)
    return path


def test_a_log_may_end_in_half_a_line(tmp_path: Path) -> None:
    log = write(tmp_path / "app-1", START, END, cut='{"Event": "SparkLis')
    assert list(events_of(log)) == [START, END]


def test_the_logs_below_a_folder_are_read_by_name(tmp_path: Path) -> None:
    write(tmp_path / "b", END)
    write(tmp_path / "a" / "log", START, cut="{")
    assert list(events_below(tmp_path)) == [START, END]


def test_a_line_that_is_no_event_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Expecting"):
        list(events_of(write(tmp_path / "app-1", cut="no event\n")))


def test_unknown_events_are_skipped() -> None:
    unknown = [
        {"Event": kind} for kind in ("SparkListenerLogStart", "SparkListenerTaskStart", "org.other.Event")
    ]
    assert list(parse([*unknown, START, *unknown, END])) == [ApplicationEnd(9.5)]


def test_executors_come_and_are_lost() -> None:
    added = {
        "Event": "SparkListenerExecutorAdded",
        "Executor ID": "7",
        "Executor Info": {"Total Cores": 4},
    }
    removed = {"Event": "SparkListenerExecutorRemoved", "Executor ID": "7", "Removed Reason": "worker lost"}
    assert list(parse([added, removed])) == [ExecutorAdded("7", 4), ExecutorRemoved("7", "worker lost")]


def test_stages_and_jobs_have_the_step_of_the_run() -> None:
    stage = {
        "Event": "SparkListenerStageSubmitted",
        "Stage Info": {"Stage ID": 4, "Number of Tasks": 8},
        **STEP,
    }
    job = {"Event": "SparkListenerJobStart", "Stage IDs": [3, 4]}
    assert list(parse([stage, {**job, **STEP}, {**job, "Properties": None}])) == [
        StageSubmitted(4, "publishing", 8),
        JobStart((3, 4), "publishing"),
        JobStart((3, 4), ""),
    ]


def test_a_task_has_its_times_and_metrics() -> None:
    (record,) = parse([START, task({"Reason": "Success"}, **{"Task Metrics": METRICS})])
    assert record == TaskEnd(
        stage=4,
        partition=5,
        executor="7",
        reason="Success",
        detail="",
        launched=1.0,
        ended=3.25,
        speculative=True,
        input_rows=1,
        input_bytes=9,
        shuffle_rows_read=2,
        rows_written=3,
        bytes_written=30,
        shuffle_bytes_written=40,
        cpu_seconds=2.0,
        peak_memory_bytes=64,
    )
    assert record.seconds == 2.25


@pytest.mark.parametrize(
    ("reason", "detail"),
    [
        ({"Reason": "ExceptionFailure", "Description": "1 / 0", "Message": "other"}, "1 / 0"),
        ({"Reason": "ExecutorLostFailure", "Loss Reason": "worker lost"}, "worker lost"),
        ({"Reason": "FetchFailed", "Message": "no such block"}, "no such block"),
        ({"Reason": "TaskKilled"}, ""),
    ],
)
@pytest.mark.parametrize("metrics", [{}, {"Task Metrics": None}])
def test_a_failed_attempt_has_a_reason_and_may_lack_metrics(
    reason: dict[str, Any], detail: str, metrics: dict[str, Any]
) -> None:
    (record,) = parse([START, task(reason, **metrics)])
    assert isinstance(record, TaskEnd)
    assert (record.reason, record.detail, record.seconds) == (reason["Reason"], detail, 2.25)
    assert (record.bytes_written, record.cpu_seconds, record.peak_memory_bytes) == (0, 0, 0)


@pytest.mark.parametrize("kind", ["SQLExecutionStart", "SQLAdaptiveExecutionUpdate"])
def test_metrics_of_a_plan_and_their_values(kind: str) -> None:
    def plan(number: int, *children: Any) -> dict[str, Any]:
        metrics = [{"name": f"metric {number}", "accumulatorId": number}]
        return {"metrics": metrics, "children": list(children)}

    package = "org.apache.spark.sql.execution.ui.SparkListener"
    start = {"Event": package + kind, "sparkPlanInfo": plan(1, plan(2, plan(3)), plan(4))}
    values = {"Event": f"{package}DriverAccumUpdates", "accumUpdates": [[1, 30], [4, 40]]}
    assert list(parse([start, values])) == [
        PlanMetrics({n: f"metric {n}" for n in (1, 2, 4, 3)}),
        DriverMetrics({1: 30, 4: 40}),
    ]
