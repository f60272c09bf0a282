"""Replay: validates rejected lines again under today's config and publishes the dates that change."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame

from pipeline.landing.landing import Landing
from pipeline.planning.staleness import DropState
from pipeline.steps.context import Batch
from pipeline.steps.ingest import ingest_drops, read_headers
from pipeline.steps.kept import kept_lines, revalidate_last, validated_kept
from pipeline.steps.nightly import publish_and_build
from schemas.drops import Drop
from schemas.states import DropStatus
from transforms.received import validate_received
from transforms.replay import count_quarantine

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Replayed:
    """A drop before and after its lines were validated again.

    Attributes:
        drop_date: drop.
        rejected_before: lines that were rejected for the reason, with or without other reasons.
        rejected_after: lines that are still rejected for it.
        accepted_before: accepted lines before.
        accepted_after: accepted lines now.
        is_landed: whether its files were read again; if not, its lines come from bronze.
    """

    drop_date: dt.date
    rejected_before: int
    rejected_after: int
    accepted_before: int
    accepted_after: int
    is_landed: bool

    def as_json(self) -> dict[str, Any]:
        """The drop in the result."""
        return {
            "drop_date": self.drop_date.isoformat(),
            "rejected_before": self.rejected_before,
            "rejected_after": self.rejected_after,
            "accepted_before": self.accepted_before,
            "accepted_after": self.accepted_after,
            "source": "landing" if self.is_landed else "bronze",
        }


def replay(batch: Batch, reason: str) -> list[Replayed]:
    """Validates requested drops again if they hold lines rejected for a reason, then publishes stale dates.

    A drop that is still in the landing is ingested again, with all its lines. If its files are gone, all its
    lines are validated again from bronze, under the column names that its ingest used. A refused delivery is
    validated again like any other.

    Args:
        batch: the run; its requested dates are drop dates.
        reason: reject reason.

    Returns:
        The drops, by date; in a dry run with the counts that a replay would give.
    """
    before = _count_quarantined(batch, reason)
    landing = batch.open_landing()
    landed = [drop for drop in _landed(landing, before) if _is_of_landing(batch, landing, drop)]
    gone = sorted(set(before) - {drop.date for drop in landed})
    if batch.dry_run:
        after = _count(_validated(batch, landing, landed, gone), reason) if before else {}
    else:
        if landed:
            ingest_drops(batch, landing, landed)
        if gone:
            revalidate_last(batch, gone)
        after = _count(kept_lines(batch, before), reason) if before else {}
        # Publish even if no drop was left to validate: an interrupted replay may have left stale dates.
        publish_and_build(batch)
    landed_dates = {drop.date for drop in landed}
    return [
        Replayed(date, rejected, still_rejected, accepted, now_accepted, date in landed_dates)
        for date, (accepted, rejected) in sorted(before.items())
        for now_accepted, still_rejected in [after.get(date, (0, 0))]
    ]


Counts = dict[dt.date, tuple[int, int]]


def _count_quarantined(batch: Batch, reason: str) -> Counts:
    """Accepted lines, and lines rejected for the reason, of each requested drop that has such rejects."""
    _LOG.info(f"looking for lines rejected for {reason}")
    drops = batch.ledger.drops()
    dates = [date for date, drop in drops.items() if _is_kept(drop) and date in batch.requested]
    if not dates:
        return {}
    counted = _count(kept_lines(batch, dates), reason)
    return {date: counts for date, counts in counted.items() if counts[1]}


def _is_kept(drop: DropState) -> bool:
    return drop.accepted is not None or drop.status is DropStatus.BLOCKED


def _is_of_landing(batch: Batch, landing: Landing, drop: Drop) -> bool:
    """Whether a drop was ingested from this landing: another landing may hold a drop of the same date."""
    accepted = batch.ledger.drops()[drop.date].accepted
    return accepted is None or batch.ledger.landing_of(accepted.run_id) in (None, landing.root)


def _count(received: DataFrame, reason: str) -> Counts:
    rows = count_quarantine(received, reason).collect()
    return {row.drop_date: (row.accepted, row.rejected) for row in rows}


def _landed(landing: Landing, dates: Mapping[dt.date, Any]) -> list[Drop]:
    """Drops that are in the landing and complete."""
    if not dates:
        return []
    drops = [drop for drop in landing.drops(min(dates), max(dates)) if drop.date in dates and drop.files]
    stated = [landing.with_manifest(drop) for drop in drops]
    return [drop for drop in stated if drop.problem is None and landing.why_not_ready(drop) is None]


def _validated(batch: Batch, landing: Landing, landed: list[Drop], gone: list[dt.date]) -> DataFrame:
    parts = [validated_kept(batch, gone)]
    if landed:
        headers = read_headers(batch, landing, landed)
        landing.count_left_out(headers)  # from now on, it reads lines that repeat a header
        parts.append(validate_received(landing.lines(headers), batch.terms))
    return reduce(DataFrame.unionByName, parts)
