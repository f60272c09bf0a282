"""Attempts from Spark's event log, on events made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from pipeline.lake.attempt_log import attempts_of_run, read_attempts
from pipeline.lake.files import FileStore

RUN = "20260303T040000-run_batch-0a0b0c0d"


def job(group: str = f"{RUN} 1 publishing", stages: tuple[int, ...] = (3, 4)) -> dict[str, Any]:
    properties = {"spark.jobGroup.id": group, "cymbal.chunks": '{"A-G": [0, 1], "other": [1, 1]}'}
    return {"Event": "SparkListenerJobStart", "Stage IDs": list(stages), "Properties": properties}


def stage(number: int, tasks: int) -> dict[str, Any]:
    info = {"Stage ID": number, "Stage Attempt ID": 0, "Number of Tasks": tasks, "Submission Time": 5_000}
    return {"Event": "SparkListenerStageSubmitted", "Stage Info": info}


def started(task: int, partition: int, at: int, number: int = 4) -> dict[str, Any]:
    info = {"Task ID": task, "Partition ID": partition, "Executor ID": "7", "Host": "h", "Launch Time": at}
    return {"Event": "SparkListenerTaskStart", "Stage ID": number, "Stage Attempt ID": 0, "Task Info": info}


def ended(
    task: int, partition: int, at: int, end: int, reason: str = "Success", *, number: int = 4
) -> dict[str, Any]:
    event = started(task, partition, at, number)
    event["Event"] = "SparkListenerTaskEnd"
    event["Task Info"]["Finish Time"] = end
    event["Task End Reason"] = {"Reason": reason, "Description": "it broke"}
    event["Task Metrics"] = {"Output Metrics": {"Bytes Written": 10, "Records Written": 6}}
    return event


EVENTS = [
    job(),
    job(group="other-run 1 publishing", stages=(9,)),
    stage(3, 2),
    stage(4, 2),
    stage(9, 2),
    ended(1, 0, 5_000, 6_000, number=3) | {"Task Metrics": {}},
    ended(2, 0, 6_000, 7_000, "ExceptionFailure"),
    ended(5, 0, 6_000, 7_000, number=9),
    started(3, 0, 7_500),
    ended(3, 0, 7_500, 9_500),
    started(4, 1, 8_000),
]


def test_attempts_of_a_killed_driver_end_with_its_log() -> None:
    found = attempts_of_run(EVENTS, RUN)
    assert [
        (a.chunk, a.partition, a.number, a.state, a.ready_ms, a.started_ms, a.ended_ms) for a in found
    ] == [
        ("A-G", 0, 1, "FAILED", 5_000, 6_000, 7_000),
        ("A-G", 0, 2, "SUCCESS", 7_000, 7_500, 9_500),
        ("other", 1, 1, "CUT_OFF", 5_000, 8_000, 9_500),
    ]
    assert [(a.lines, a.cause) for a in found] == [(6, "it broke"), (6, None), (0, None)]
    assert found[0].worker == "7 on h"


def test_another_run_is_not_in_it() -> None:
    assert attempts_of_run(EVENTS, "run-of-nobody") == []


@pytest.mark.parametrize("cut", [0, 20])
def test_a_compressed_log_is_read_as_far_as_it_goes(spark: SparkSession, tmp_path: Path, cut: int) -> None:
    filler = [{"Event": "SparkListenerOther", "text": str(n)} for n in range(20_000)]
    text = "".join(json.dumps(event) + "\n" for event in [*EVENTS, *filler]).encode()
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(text)
    content = sink.getvalue().to_pybytes()
    (tmp_path / "local-1.zstd.inprogress").write_bytes(content[: len(content) - cut])
    (tmp_path / "local-2.zstd").write_bytes(b"another application")
    found = read_attempts(FileStore(spark, str(tmp_path)), "local-1", RUN)
    assert [a.state for a in found] == ["FAILED", "SUCCESS", "CUT_OFF"]


def test_a_folder_without_the_log_says_so(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no event log of local-1"):
        read_attempts(FileStore(spark, str(tmp_path)), "local-1", RUN)
