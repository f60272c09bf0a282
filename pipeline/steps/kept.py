"""Validates deliveries again from bronze: their files are gone, or an audit refused them this time."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable

from pyspark.sql import DataFrame

from pipeline.planning.staleness import DropState
from pipeline.steps.context import Batch
from pipeline.steps.ingest_counts import count_drops
from pipeline.steps.received import settled_version
from pipeline.steps.receiving import receive, recorded_manifest
from schemas.drops import Drop, IngestedDrop
from schemas.states import DropStatus
from schemas.tables import RECEIVED_SALES, REFUSED_SALES
from transforms.received import validate_received
from transforms.replay import received_again

_LOG = logging.getLogger(__name__)


def revalidate_accepted(batch: Batch, dates: Iterable[dt.date]) -> None:
    """Validates and dates the accepted delivery of drops again, under the current settings.

    If a later delivery was refused or failed, the ledger still says so.
    """
    known = batch.ledger.drops()
    states = {date: known[date] for date in sorted(dates)}
    drops = [
        Drop(date, files=(), known_fingerprint=state.accepted.fingerprint)
        for date, state in states.items()
        if state.accepted is not None
    ]
    _LOG.info(f"validating the accepted lines of {len(drops):,} drops again")
    lines = batch.lake.read_dates(RECEIVED_SALES, states, settled_version(batch))
    receive(batch, validate_received(received_again(lines), batch.terms), drops, keeps_refused=True)
    troubled = [last_trouble(batch, state) for state in states.values() if state.is_in_trouble]
    batch.ledger.record_drops(batch.run_id, troubled, None, batch.ingest_audit())


def revalidate_last(batch: Batch, dates: Iterable[dt.date]) -> None:
    """Validates the last delivery of drops again from bronze; a refused one also against its manifest."""
    known = batch.ledger.drops()
    drops = []
    for date in sorted(dates):
        state, manifest = known[date], None
        if state.status is DropStatus.BLOCKED and state.ingest_version is not None:
            manifest = recorded_manifest(batch.lake.commit(RECEIVED_SALES, state.ingest_version), date)
        drops.append(Drop(date, files=(), manifest=manifest, known_fingerprint=state.fingerprint))
    _LOG.info(f"validating what bronze kept of {len(drops):,} drops that are landed no more")
    receive(batch, validated_kept(batch, [drop.date for drop in drops]), drops)


def last_trouble(batch: Batch, state: DropState) -> IngestedDrop:
    """The last delivery of a drop, refused or failed, to be recorded in the ledger once more."""
    drop = IngestedDrop(Drop(state.date, (), known_fingerprint=state.fingerprint))
    if state.status is DropStatus.BLOCKED and batch.lake.exists(REFUSED_SALES):
        refused = batch.lake.read_dates(REFUSED_SALES, [state.date])
        count_drops(refused, {state.date: drop})
    drop.judged_by, drop.status = batch.settings.rules_digest, state.status
    drop.reason, drop.reason_code = state.reason, state.reason_code
    return drop


def validated_kept(batch: Batch, dates: Iterable[dt.date]) -> DataFrame:
    """All lines of the last delivery of drops, validated under the current settings.

    Returns:
        The columns of ``bronze/received_sales``.
    """
    return validate_received(received_again(kept_lines(batch, dates)), batch.terms)


def kept_lines(batch: Batch, dates: Iterable[dt.date]) -> DataFrame:
    """Lines of the last delivery of drops, accepted and rejected.

    Lines of a refused delivery come from ``bronze/refused_sales``, but without its own columns.
    """
    known = batch.ledger.drops()
    dates = set(dates)
    refused = {
        date
        for date in dates
        if known[date].status is DropStatus.BLOCKED and batch.lake.exists(REFUSED_SALES)
    }
    lines = batch.lake.read_dates(RECEIVED_SALES, dates - refused, settled_version(batch))
    if not refused:
        return lines
    refused_lines = batch.lake.read_dates(REFUSED_SALES, refused)
    return lines.unionByName(refused_lines.select(RECEIVED_SALES.columns))
