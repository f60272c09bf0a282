"""A run's result as JSON, for the orchestrator, script or test that started the run."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from pipeline.lake.files import FileStore
from pipeline.planning.reconciliation import totals_by
from pipeline.steps.context import Outcome
from schemas.drops import IngestedDrop
from schemas.errors import UsageError
from schemas.states import RunStatus
from schemas.tables import RECONCILED_SHARES

# Sections that one job each fills; empty in the results of the other jobs.
_SECTIONS: Mapping[str, Any] = {
    "checks": [],
    "states": [],
    "replayed": [],
    "migrated": [],
    "repaired": [],
    "written_off": [],
    "comparison": None,
    "drill": [],
    "pages": [],
    "removed": {},
    "freed_bytes": {},
    "merged": {},
}


def result_of(
    run_id: str,
    job: str,
    status: RunStatus,
    outcome: Outcome,
    sections: Mapping[str, Any],
    page: str | None = None,
) -> dict[str, Any]:
    """Builds the result: amounts are strings, dates are ISO 8601.

    Args:
        run_id: run.
        job: its job.
        status: its final status.
        outcome: what it did.
        sections: sections of the result that its job returned.
        page: address of its HTML page; None if it has none.
    """
    return {
        "run_id": run_id,
        "job": job,
        "status": status.value,
        "exit_code": int(outcome.exit_code),
        "drops": [_drop(drop) for drop in sorted(outcome.drops, key=lambda ingested: ingested.drop.date)],
        "unchanged_drops": len(outcome.unchanged_drops),
        "dates": _dates(outcome),
        "chunks": _chunks(outcome),
        "totals": _totals(outcome),
        "rejected": dict(sorted(outcome.rejected.items())),
        "warned": dict(sorted(outcome.warned.items())),
        "built": {table: [date.isoformat() for date in dates] for table, dates in outcome.built.items()},
        "documents": outcome.documents,
        "last_numbers": outcome.last_numbers,
        "stages": [_stage(stage) for stage in outcome.stages],
        **_SECTIONS,
        **sections,
        "notices": [],
        "planned": outcome.planned,
        "warnings": outcome.warnings,
        "run_again": outcome.run_again,
        "page": page,
        "error": "; ".join(outcome.errors) or None,
    }


def begin_result(path: str, spark: SparkSession | None) -> None:
    """Checks, before any work, that the result can be written, and deletes the result of an earlier run.

    A killed run writes no result: an old file would pass for its result.

    Args:
        path: a local path, or a URI of any Hadoop file system.
        spark: opens a URI; None for a local path.

    Raises:
        UsageError: the result cannot be written, or the earlier one cannot be deleted.
    """
    if spark is None:
        _check_path(path)
    else:
        _check_uri(path, spark)


def _check_path(path: str) -> None:
    target = Path(path)
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if target.parent.exists() and not target.parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        target.parent.mkdir(parents=True, exist_ok=True)
        part = _part(target)
        part.touch()
        part.unlink()
        target.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"--result {path}: {error.strerror or error}") from None


def is_uri(path: str) -> bool:
    """Whether the path is a URI of a Hadoop file system, such as hdfs://HOST/results/1.json."""
    return "://" in path


def _check_uri(path: str, spark: SparkSession) -> None:
    folder_uri, _, name = path.rpartition("/")
    try:
        folder = FileStore(spark, folder_uri)
        folder.make_folder()
        folder.check_writable()
        folder.delete(name)
    except (OSError, UsageError) as error:
        raise UsageError(f"--result {path}: {error}") from None


def write_result(path: str, result: dict[str, Any], spark: SparkSession | None) -> None:
    """Writes a result, whole or not at all.

    Args:
        path: a local path, or a URI of any Hadoop file system.
        result: what to write.
        spark: opens a URI; None if Spark did not start.

    Raises:
        OSError: the file system refuses, or a URI is given and Spark did not start.
        UsageError: Spark knows no file system for the URI.
    """
    content = json.dumps(result, indent=2) + "\n"
    if is_uri(path):
        if spark is None:
            raise OSError("Spark did not start, and nothing else reaches a URI")
        folder, _, name = path.rpartition("/")
        FileStore(spark, folder).write(name, content.encode())
        return
    target = Path(path)
    part = _part(target)
    part.write_text(content, encoding="utf-8")
    part.replace(target)


def read_last_numbers(path: str | None, spark: SparkSession) -> dict[str, int]:
    """Reads the last number of each series of documents from the result file of an earlier run.

    Args:
        path: a local path, or a URI of any Hadoop file system; None for no file.
        spark: opens a URI.

    Raises:
        UsageError: the file cannot be read, or is no result of a run.
    """
    if path is None:
        return {}
    try:
        result = json.loads(_read(path, spark))
        return {str(series): int(number) for series, number in result["last_numbers"].items()}
    except OSError as error:
        raise UsageError(f"--numbers-of {path}: {error.strerror or error}") from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UsageError(f"--numbers-of {path}: not a result file with last_numbers") from None


def _read(path: str, spark: SparkSession) -> bytes:
    if not is_uri(path):
        return Path(path).read_bytes()
    folder, _, name = path.rpartition("/")
    files = FileStore(spark, folder)
    status = files.status(name)
    if status is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return files.read(path, status.size)


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _drop(ingested: IngestedDrop) -> dict[str, Any]:
    return {
        "drop_date": ingested.drop.date.isoformat(),
        "status": ingested.status.value,
        "files": len(ingested.drop.files),
        "bytes": ingested.drop.bytes,
        "lines": ingested.lines,
        "accepted": ingested.accepted,
        "rejected": ingested.rejected,
        "warned": dict(sorted(ingested.warned.items())),
        "blank_lines": ingested.blank_lines,
        "extra_columns": list(ingested.extra_columns),
        "reason": ingested.reason,
    }


def _dates(outcome: Outcome) -> list[dict[str, Any]]:
    rows = []
    for date, published in sorted(outcome.dates.items()):
        shares = published.shares
        counts = {name: getattr(shares, name).lines if shares else None for name in RECONCILED_SHARES}
        rows.append(
            {
                "business_date": date.isoformat(),
                "status": published.status.value,
                "revision": published.revision,
                **counts,
                "reason": published.reason,
            }
        )
    return rows


def _chunks(outcome: Outcome) -> list[dict[str, Any]]:
    lines = totals_by(outcome.cells, lambda cell: cell.chunk)
    rows = []
    for chunk in sorted(set(lines) | set(outcome.chunks) | set(outcome.spans)):
        row: dict[str, Any] = {"chunk": chunk}
        if chunk in lines:
            row |= {name: getattr(lines[chunk], name).lines for name in RECONCILED_SHARES}
        if chunk in outcome.chunks:
            row |= outcome.chunks[chunk].as_columns()
        elif chunk in outcome.spans:
            row["partitions"] = outcome.spans[chunk].count
        rows.append(row)
    return rows


def _stage(stage: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, dt.datetime) else value for name, value in stage.items()
    }


def _totals(outcome: Outcome) -> dict[str, dict[str, str]]:
    by_currency = totals_by(outcome.cells, lambda cell: cell.currency)
    totals = {}
    for currency, shares in sorted(by_currency.items()):
        totals[currency] = {name: str(getattr(shares, name).gross) for name in RECONCILED_SHARES}
        totals[currency]["left_over"] = str(shares.left_over)
    return totals
