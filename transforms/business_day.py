"""Computes sale date and business date. The session time zone must be UTC (``pipeline.lake.session``)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F


def store_time_zone(store_id: Column, default: str, by_store: Mapping[str, str]) -> Column:
    """text: IANA time zone of a store.

    Args:
        store_id: text.
        default: zone of every store without its own zone.
        by_store: zone by store_id.
    """
    zone = F.lit(default)
    for name in sorted(set(by_store.values())):
        stores = sorted(store for store, its_zone in by_store.items() if its_zone == name)
        zone = F.when(store_id.isin(stores), F.lit(name)).otherwise(zone)
    return zone


def sale_date(sold_at: Column, time_zone: Column, starts_at: dt.time) -> Column:
    """date: the local date of a sale; a day starts at ``starts_at`` on the store's clock.

    Args:
        sold_at: timestamp.
        time_zone: text, IANA zone of the store.
        starts_at: local time at which a business day starts; an earlier sale belongs to the day before.
    """
    local = F.from_utc_timestamp(sold_at, time_zone)
    minutes = starts_at.hour * 60 + starts_at.minute
    if minutes:
        local = local - F.make_dt_interval(F.lit(0), F.lit(0), F.lit(minutes))
    return F.to_date(local)


def is_adjustment(
    sale_date: Column, drop_date: Column, late_days: int, history_before: dt.date | None
) -> Column:
    """boolean: whether a line is too late to restate its sale date and belongs to its drop date instead.

    Args:
        sale_date: date.
        drop_date: date.
        late_days: number of days after its sale date in which a line still restates that date.
        history_before: lines with an earlier sale date are history and never late; None for no history.
    """
    late = F.datediff(drop_date, sale_date) > late_days
    return late if history_before is None else late & (sale_date >= F.lit(history_before))


def business_date(sale_date: Column, drop_date: Column, is_adjustment: Column) -> Column:
    """date: the day under which a line is published."""
    return F.when(is_adjustment, drop_date).otherwise(sale_date)
