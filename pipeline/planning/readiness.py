"""Decides from the listing of a drop's folder and its manifest whether the drop can be read."""

from __future__ import annotations

import datetime as dt

from schemas.drops import Drop

# deploy/airflow/cymbal_airflow/readiness.py says the same.
NOT_READ = (
    "is not read: a drop holds *.csv, *.json and *.parquet files, files of a delivery profile, and no "
    "sub-folder"
)


def why_not_ready(drop: Drop, last_date: dt.date | None = None) -> str | None:
    """Returns what a drop lacks, or which file in it no ingest would read.

    Args:
        drop: the drop, with its manifest read.
        last_date: latest drop date that may be read; None for any.

    Returns:
        The reason; None if the drop can be read. A drop with an invalid manifest counts as ready: waiting
        would not help, so its ingest fails.
    """
    if last_date is not None and drop.date > last_date:
        return (
            f"its date is after {last_date}, the latest that landing.max_days_ahead allows today: rename the "
            "folder if its year is mistyped"
        )
    if drop.problem is not None:
        return None
    if drop.missing_files:
        return f"file {drop.missing_files[0]} of the manifest is not there"
    return _file_left_out(drop) or _nothing_there(drop)


def _file_left_out(drop: Drop) -> str | None:
    if drop.unrecognized_files:
        return f"{drop.unrecognized_files[0]} {NOT_READ}"
    if drop.is_closed and drop.files:
        return f"the manifest says closed, but file {drop.files[0].name} is there"
    if drop.unlisted_files:
        return f"file {drop.unlisted_files[0]} is not in the manifest's list of files"
    return None


def _nothing_there(drop: Drop) -> str | None:
    if drop.files or drop.is_closed:
        return None
    return "no file, and no manifest that says it is closed"
