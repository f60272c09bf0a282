"""Writes a run's result as Prometheus metrics: to a node_exporter textfile, or to a Pushgateway."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, push_to_gateway, write_to_textfile

from schemas.tables import RECONCILED_SHARES

_PUSH_SECONDS = 10.0


def write_metrics(target: str, result: Mapping[str, Any], took: dt.timedelta, ended: dt.datetime) -> None:
    """Writes the metrics of a run, completely or not at all.

    Args:
        target: path of a file (``*.prom``), or the address of a Pushgateway, http(s)://HOST:PORT.
        result: result of the run.
        took: how long it took.
        ended: when it ended.

    Raises:
        OSError: the file cannot be written, or the gateway cannot be reached.
    """
    registry = metrics_of(result, took, ended)
    if target.startswith(("http://", "https://")):
        push_to_gateway(target, f"cymbal_{result['job']}", registry, timeout=_PUSH_SECONDS)
    else:
        write_to_textfile(target, registry)


def metrics_of(result: Mapping[str, Any], took: dt.timedelta, ended: dt.datetime) -> CollectorRegistry:
    """Builds gauges for the last run of a job: seconds, and counts of lines, dates and drops."""
    registry = CollectorRegistry()
    job = {"job": result["job"]}
    _set(registry, "run_exit_code", "Exit code of the last run.", [(job, result["exit_code"])])
    _set(registry, "run_seconds", "Seconds that it took.", [(job, took.total_seconds())])
    _set(registry, "run_ended_timestamp_seconds", "When it ended.", [(job, ended.timestamp())])
    _set(registry, "drops", "Drops by what became of them.", _counted(job, result["drops"]))
    _set(registry, "dates", "Business dates by what became of them.", _counted(job, result["dates"]))
    _set(
        registry,
        "rejected_lines",
        "Rejected lines by reason.",
        [({**job, "reason": reason}, lines) for reason, lines in result["rejected"].items()],
    )
    _set(
        registry,
        "warned_lines",
        "Accepted lines by the rule of the config that warns of them.",
        [({**job, "rule": rule}, lines) for rule, lines in result["warned"].items()],
    )
    _set(
        registry,
        "lines",
        "Lines of the published dates, by chunk and by what became of them.",
        [
            ({**job, "chunk": row["chunk"], "share": share}, row[share])
            for row in result["chunks"]
            for share in RECONCILED_SHARES
            if share in row
        ],
    )
    _set(
        registry,
        "failed_attempts",
        "Attempts of a chunk's tasks that failed.",
        _by(job, result["chunks"], "chunk", "failed_attempts"),
    )
    _set(registry, "stage_seconds", "Seconds of a stage.", _by(job, result["stages"], "stage", "seconds"))
    _set(
        registry,
        "stage_margin_seconds",
        "Seconds from the end of a stage to its deadline; negative if it was late.",
        _by(job, result["stages"], "stage", "margin_seconds"),
    )
    return registry


def _set(
    registry: CollectorRegistry, name: str, help_text: str, values: Iterable[tuple[dict[str, str], float]]
) -> None:
    values = list(values)
    if not values:
        return
    gauge = Gauge(f"cymbal_{name}", help_text, list(values[0][0]), registry=registry)
    for labels, value in values:
        gauge.labels(**labels).set(value)


def _counted(job: dict[str, str], rows: Iterable[Mapping[str, Any]]) -> list[tuple[dict[str, str], float]]:
    counts = Counter(row["status"] for row in rows)
    return [({**job, "status": status}, count) for status, count in sorted(counts.items())]


def _by(
    job: dict[str, str], rows: Iterable[Mapping[str, Any]], label: str, value: str
) -> list[tuple[dict[str, str], float]]:
    return [({**job, label: row[label]}, row[value]) for row in rows if row.get(value) is not None]
