"""Deliveries whose files are gone: their lines as bronze kept them, validated again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from pyspark.sql import DataFrame

from batch.context import Batch
from batch.received import settled_version
from batch.receiving import receive
from lake.tables import filter_dates
from schemas.drops import Drop
from schemas.states import DropStatus
from schemas.tables import RECEIVED_SALES, REFUSED_SALES
from transforms.received import judge_received
from transforms.replay import received_again


def revalidate_kept(batch: Batch, dates: Iterable[dt.date]) -> None:
    """Validates and dates every kept line of drops again, under the settings of now, and ingests them."""
    known = batch.ledger.drops()
    drops = [Drop(date, files=(), known_fingerprint=known[date].fingerprint) for date in sorted(dates)]
    batch.tell(f"validating what bronze kept of {len(drops):,} drops that are landed no more")
    receive(batch, validated_kept(batch, [drop.date for drop in drops]), drops)


def validated_kept(batch: Batch, dates: Iterable[dt.date]) -> DataFrame:
    """Every kept line of drops, validated under the settings of now, as ``bronze/received_sales`` has it.

    Of a drop whose last delivery was refused, the lines of that delivery.
    """
    return judge_received(received_again(kept_lines(batch, dates)), batch.terms)


def kept_lines(batch: Batch, dates: Iterable[dt.date]) -> DataFrame:
    """Lines of the last delivery of drops, accepted and rejected, from where bronze keeps them."""
    known = batch.ledger.drops()
    dates = set(dates)
    refused = {
        date
        for date in dates
        if known[date].status is DropStatus.BLOCKED and batch.lake.exists(REFUSED_SALES)
    }
    received = batch.lake.read(RECEIVED_SALES, settled_version(batch))
    lines = filter_dates(received, "drop_date", dates - refused)
    if not refused:
        return lines
    apart = filter_dates(batch.lake.read(REFUSED_SALES), "drop_date", refused)
    return lines.unionByName(apart.select(RECEIVED_SALES.columns))
