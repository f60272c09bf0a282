"""Accepted lines of bronze, narrowed to the drops and business dates that a step is about."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from pyspark.sql import DataFrame

from batch.context import Batch
from lake.tables import filter_dates
from schemas.tables import RECEIVED_SALES
from transforms.receipts import filter_accepted


def read_accepted(batch: Batch, version: int | None) -> DataFrame:
    """Accepted lines of every drop.

    Args:
        batch: the run.
        version: version of bronze; None for the latest.
    """
    return filter_accepted(batch.lake.read(RECEIVED_SALES, version))


def read_accepted_of(
    batch: Batch, version: int | None, drop_dates: Iterable[dt.date], business_dates: Iterable[dt.date]
) -> DataFrame:
    """Accepted lines of some business dates.

    Args:
        batch: the run.
        version: version of bronze; None for the latest.
        drop_dates: the drops that hold them, so that no other is read.
        business_dates: the dates.
    """
    held = filter_dates(read_accepted(batch, version), "drop_date", drop_dates)
    return filter_dates(held, "business_date", business_dates)
