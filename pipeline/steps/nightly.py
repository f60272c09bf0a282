"""What follows an ingest, whatever brought it about: every stale date published, summed and billed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Iterable

from pipeline.steps.context import Batch, DateRange
from pipeline.steps.gold import build_all_gold
from pipeline.steps.publish import publish


def publish_and_build(
    batch: Batch, not_ready: Iterable[dt.date] = (), force: Container[dt.date] = ()
) -> None:
    """Publishes every stale date, then builds gold of every date that is done and not built.

    Args:
        batch: the run.
        not_ready: drops that were asked for and are not there yet; their own dates wait for them.
        force: business dates that are published again though their inputs are unchanged.
    """
    every_date = DateRange()
    publish(batch, every_date, not_ready, force)
    build_all_gold(batch, every_date)
