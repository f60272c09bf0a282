"""What the event log tells of a night's work, from a hand-made one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tools.benchmarks.nights.events import StepWork, work_of

_SQL = "org.apache.spark.sql.execution.ui."


def plan(*metrics: tuple[str, int], children: tuple[Any, ...] = ()) -> dict[str, Any]:
    named = [{"name": name, "accumulatorId": number} for name, number in metrics]
    return {"metrics": named, "children": list(children)}


def task(
    stage: int,
    records: int,
    written: int,
    memory: int = 0,
    reason: str = "Success",
    read: tuple[int, int] = (0, 0),
) -> dict[str, Any]:
    return {
        "Event": "SparkListenerTaskEnd",
        "Stage ID": stage,
        "Task End Reason": {"Reason": reason},
        "Task Metrics": {
            "Peak Execution Memory": memory,
            "Input Metrics": {"Records Read": read[0], "Bytes Read": read[1]},
            "Output Metrics": {"Bytes Written": written},
            "Shuffle Read Metrics": {"Total Records Read": records},
        },
    }


def job(step: str | None, *stages: int) -> dict[str, Any]:
    properties = None if step is None else {"spark.job.description": step}
    return {"Event": "SparkListenerJobStart", "Stage IDs": list(stages), "Properties": properties}


def write(folder: Path, *events: dict[str, Any]) -> Path:
    (folder / "local-1").write_text("".join(json.dumps(event) + "\n" for event in events))
    return folder


def test_files_lines_and_memory(tmp_path: Path) -> None:
    scan = plan(("number of files read", 7), ("number of output rows", 8))
    found = work_of(
        write(
            tmp_path,
            {"Event": f"{_SQL}SparkListenerSQLExecutionStart", "sparkPlanInfo": plan(children=(scan,))},
            {
                "Event": f"{_SQL}SparkListenerSQLAdaptiveExecutionUpdate",
                "sparkPlanInfo": plan(("number of files read", 9)),
            },
            # What another metric counts, and what a metric says again, is not added.
            {"Event": f"{_SQL}SparkListenerDriverAccumUpdates", "accumUpdates": [[7, 3], [8, 1000]]},
            {"Event": f"{_SQL}SparkListenerDriverAccumUpdates", "accumUpdates": [[7, 3], [9, 2]]},
            job("publishing 2026-11-27 in 3 partitions", 1, 2),
            job("ingesting 1 drops", 3),
            job(None, 4),
            job("issuing documents of 1 dates", 5),
            job("issuing documents of 1 dates, 3 s left", 6),
            task(1, 500, 0, memory=900),  # the map side writes no table
            task(2, 10, 99),
            task(2, 20, 99),
            task(2, 90, 99, memory=800),
            task(2, 77, 99, memory=9999, reason="ExecutorLostFailure"),
            task(3, 5000, 99, memory=700),
            task(4, 6000, 99),
            task(5, 0, 0, read=(40, 900)),
            task(6, 0, 0, read=(2, 100)),
            task(6, 0, 0, read=(1, 7)),
            task(6, 0, 0, read=(1, 7), reason="ExecutorLostFailure"),
        )
    )
    assert found.files_read == 5
    assert found.task_lines == (10, 20, 90)
    assert found.largest_to_median == 4.5
    assert found.task_memory_bytes == 900
    assert found.issue == StepWork(jobs=2, tasks=3, rows_read=43, bytes_read=1007)
