"""Replay: rejected lines judged again under the terms of today, and what follows from it."""

from __future__ import annotations

import datetime as dt
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


@dataclass(frozen=True)
class Replayed:
    """A drop before its lines were judged again, and after.

    Attributes:
        drop_date: drop.
        rejected_before: lines that were rejected for the reason, others they may have or not.
        rejected_after: lines that still are.
        accepted_before: accepted lines of the drop.
        accepted_after: accepted lines of the drop now.
        is_landed: whether it was read again; else its lines come from what bronze kept of them.
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
    """Judges the drops asked for again that hold lines rejected for a reason, then finishes stale dates.

    A drop that is still landed is read again, whole: every line of it is judged as an ingest of today would.
    Of one that is gone, every line is judged again from what bronze kept of it, under the column names of its
    time. A delivery that an audit refused is judged again like any other.
    """
    before = _quarantine(batch, reason)
    landing = batch.open_landing()
    landed = [drop for drop in _landed(landing, before) if _is_of_landing(batch, landing, drop)]
    gone = sorted(set(before) - {drop.date for drop in landed})
    if batch.dry_run:
        after = _counted(_judged(batch, landing, landed, gone), reason) if before else {}
    else:
        if landed:
            ingest_drops(batch, landing, landed)
        if gone:
            revalidate_last(batch, gone)
        after = _counted(kept_lines(batch, before), reason) if before else {}
        # Where nothing is left to judge, too: a replay that was cut off left its dates to be restated.
        publish_and_build(batch)
    here = {drop.date for drop in landed}
    return [
        Replayed(date, rejected, still_rejected, accepted, now_accepted, date in here)
        for date, (accepted, rejected) in sorted(before.items())
        for now_accepted, still_rejected in [after.get(date, (0, 0))]
    ]


Counts = dict[dt.date, tuple[int, int]]


def _quarantine(batch: Batch, reason: str) -> Counts:
    """Accepted lines, and lines rejected for the reason, of every drop asked for that holds any of these."""
    batch.tell(f"looking for lines rejected for {reason}")
    known = batch.ledger.drops()
    dates = [date for date, drop in known.items() if _is_kept(drop) and date in batch.requested]
    if not dates:
        return {}
    found = _counted(kept_lines(batch, dates), reason)
    return {date: counts for date, counts in found.items() if counts[1]}


def _is_kept(drop: DropState) -> bool:
    return drop.accepted is not None or drop.status is DropStatus.BLOCKED


def _is_of_landing(batch: Batch, landing: Landing, drop: Drop) -> bool:
    """Whether a drop was ingested from this landing: another one's of the same date is not it."""
    accepted = batch.ledger.drops()[drop.date].accepted
    return accepted is None or batch.ledger.landing_of(accepted.run_id) in (None, landing.root)


def _counted(received: DataFrame, reason: str) -> Counts:
    rows = count_quarantine(received, reason).collect()
    return {row.drop_date: (row.accepted, row.rejected) for row in rows}


def _landed(landing: Landing, dates: Mapping[dt.date, Any]) -> list[Drop]:
    """The drops that can still be read whole."""
    if not dates:
        return []
    drops = [drop for drop in landing.drops(min(dates), max(dates)) if drop.date in dates and drop.files]
    whole = [landing.with_manifest(drop) for drop in drops]
    return [drop for drop in whole if drop.problem is None and landing.why_not_ready(drop) is None]


def _judged(batch: Batch, landing: Landing, landed: list[Drop], gone: list[dt.date]) -> DataFrame:
    parts = [validated_kept(batch, gone)]
    if landed:
        headers = read_headers(batch, landing, landed)
        parts.append(validate_received(landing.lines(headers), batch.terms))
    return reduce(DataFrame.unionByName, parts)
