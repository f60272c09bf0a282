"""Publishes every stale date, then builds its gold tables: what every job that ingests does next."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Iterable

from pipeline.steps.context import Batch, DateRange
from pipeline.steps.gold import build_all_gold
from pipeline.steps.publish import publish


def publish_and_build(
    batch: Batch, not_ready: Iterable[dt.date] = (), force: Container[dt.date] = ()
) -> None:
    """Publishes every stale date, then builds every gold table that is behind its published dates.

    Args:
        batch: the run.
        not_ready: requested drops that have not arrived yet; their own dates wait for them.
        force: business dates to publish again even if their inputs are unchanged.
    """
    every_date = DateRange()
    publish(batch, every_date, not_ready, force)
    build_all_gold(batch, every_date)
