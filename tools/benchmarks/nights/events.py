"""Reads the work of a run from Spark's event log: files that scans read, and the lines of each task."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILES_READ = "number of files read"
_PUBLISHING = "publishing "


@dataclass(frozen=True)
class Work:
    """Work of a run.

    Attributes:
        files_read: data files that scans of tables and of the landing read.
        task_lines: lines that each task of the publish's write read from the shuffle.
        task_memory_bytes: the most memory that any task of the run held for its sorts and hash tables.
    """

    files_read: int
    task_lines: tuple[int, ...]
    task_memory_bytes: int

    @property
    def largest_to_median(self) -> float:
        """Lines of the largest task divided by those of the median task."""
        return max(self.task_lines) / statistics.median(self.task_lines)


def work_of(folder: Path) -> Work:
    """Reads the event log below a folder."""
    names: dict[int, str] = {}
    values: dict[int, int] = {}
    steps: dict[int, str] = {}
    lines: dict[int, list[int]] = {}
    memory = 0
    for event in _events(folder):
        kind = event["Event"]
        if kind.endswith(("SparkListenerSQLExecutionStart", "SparkListenerSQLAdaptiveExecutionUpdate")):
            names.update(_metrics(event["sparkPlanInfo"]))
        elif kind.endswith("SparkListenerDriverAccumUpdates"):
            values.update(dict(event["accumUpdates"]))
        elif kind == "SparkListenerJobStart":
            step = (event.get("Properties") or {}).get("spark.job.description") or ""
            steps.update(dict.fromkeys(event["Stage IDs"], step))
        elif kind == "SparkListenerTaskEnd" and event["Task End Reason"]["Reason"] == "Success":
            metrics = event["Task Metrics"]
            memory = max(memory, metrics["Peak Execution Memory"])
            if metrics["Output Metrics"]["Bytes Written"] and steps[event["Stage ID"]].startswith(
                _PUBLISHING
            ):
                read = metrics["Shuffle Read Metrics"]["Total Records Read"]
                lines.setdefault(event["Stage ID"], []).append(read)
    read = sum(value for number, value in values.items() if names.get(number) == _FILES_READ)
    largest = max(lines.values(), key=sum, default=[])
    return Work(read, tuple(largest), memory)


def _metrics(plan: Mapping[str, Any]) -> dict[int, str]:
    names = {metric["accumulatorId"]: metric["name"] for metric in plan["metrics"]}
    for child in plan["children"]:
        names |= _metrics(child)
    return names


def _events(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open(encoding="utf-8") as file:
            for text in file:
                yield json.loads(text)
