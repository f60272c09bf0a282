"""Reads accepted lines of bronze, limited to the drops that a step needs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from pyspark.sql import DataFrame

from pipeline.steps.context import Batch
from pipeline.steps.receiving import JOB as INGEST
from schemas.tables import RECEIVED_SALES
from transforms.ingest_counts import filter_accepted


def settled_version(batch: Batch) -> int | None:
    """The latest version of bronze whose deliveries are all audited; None if there is no table."""
    last = max(batch.ledger.recorded_versions(RECEIVED_SALES), default=-1)
    for commit in batch.unrecorded_commits(RECEIVED_SALES, INGEST):
        # An ingest that is not audited yet. Only read-only jobs meet one: other runs complete it first.
        if commit.version > last:
            return commit.version - 1
    return batch.lake.version(RECEIVED_SALES)


def read_accepted(batch: Batch, version: int | None, drop_dates: Iterable[dt.date]) -> DataFrame:
    """Accepted lines of some drops; other drops are not read.

    Args:
        batch: the run.
        version: version of bronze; None for the latest.
        drop_dates: the drops.
    """
    return filter_accepted(batch.lake.read_dates(RECEIVED_SALES, drop_dates, version))
