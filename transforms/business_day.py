"""Sale date and business date of a line. The session's time zone must be UTC (``pipeline.lake.session``)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F


def store_time_zone(store_id: Column, default: str, by_store: Mapping[str, str]) -> Column:
    """text: IANA time zone of a store.

    Args:
        store_id: text.
        default: zone of every store that has none of its own.
        by_store: zone by store_id.
    """
    zone = F.lit(default)
    for name in sorted(set(by_store.values())):
        stores = sorted(store for store, its_zone in by_store.items() if its_zone == name)
        zone = F.when(store_id.isin(stores), F.lit(name)).otherwise(zone)
    return zone


def sale_date(sold_at: Column, time_zone: Column, starts_at: dt.time) -> Column:
    """date: the store's local date of a sale, where a day starts at ``starts_at`` on the store's clock.

    Args:
        sold_at: timestamp.
        time_zone: text, IANA zone of the store.
        starts_at: local time at which a business day starts; what is sold before belongs to the day before.
    """
    local = F.from_utc_timestamp(sold_at, time_zone)
    minutes = starts_at.hour * 60 + starts_at.minute
    if minutes:
        local = local - F.make_dt_interval(F.lit(0), F.lit(0), F.lit(minutes))
    return F.to_date(local)


def is_adjustment(
    sale_date: Column, drop_date: Column, late_days: int, history_before: dt.date | None
) -> Column:
    """boolean: a line too late to restate its sale date, so that it belongs to the date of its drop.

    Args:
        sale_date: date.
        drop_date: date.
        late_days: days after its sale date up to which a line still restates it.
        history_before: lines of earlier sale dates are history being loaded, never late.
    """
    late = F.datediff(drop_date, sale_date) > late_days
    return late if history_before is None else late & (sale_date >= F.lit(history_before))


def business_date(sale_date: Column, drop_date: Column, is_adjustment: Column) -> Column:
    """date: the day under which a line is published."""
    return F.when(is_adjustment, drop_date).otherwise(sale_date)
