"""Repair: a lake is brought back to what its accepted deliveries give, whatever brought it from there.

The ledger is told anew from the tables; dates that do not hold what bronze gives are published again, in one
commit with those that they share sale dates with; gold is built again where it is not the sum of its sales.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from pipeline.lake.frames import local_frame
from pipeline.planning.pinned import Wishes
from pipeline.steps.context import Batch, DateRange
from pipeline.steps.deliveries import LOST, recount_deliveries
from pipeline.steps.gold import build_all_gold, recover_builds
from pipeline.steps.publish import republish_wrong
from pipeline.steps.receiving import recover_ingests
from pipeline.steps.recording import recover_publications
from pipeline.steps.recovery import pin_settings
from pipeline.steps.verify import Verification, examine_lake, published_dates
from schemas.drops import Drop, IngestedDrop
from schemas.gold import GOLD_TABLES, GoldTable
from schemas.lake import RECORDED_TABLES
from schemas.states import DropStatus
from schemas.tables import CONFLICTS, RECEIVED_SALES, SALES, Table


def repair(batch: Batch) -> list[str]:
    """Brings a lake back to the laws.

    Returns:
        What was done, or would be, one line each; nothing where the lake is sound.

    Raises:
        UsageError: the tables are of an older version, or the config is not the one of the lake.
    """
    batch.lake.check_schemas()
    batch.lake.check_checksums()
    pin_settings(batch, Wishes())
    if batch.dry_run:
        found = examine_lake(batch)
        return [*_beyond(batch), *found.problems, *(f"date {d}: would be published" for d in _wrong(found))]
    said = _forget_lost_versions(batch)
    recover_ingests(batch)
    recover_publications(batch)
    recover_builds(batch)
    said += recount_deliveries(batch, everything=False)
    said += _record_commits(batch)
    found = examine_lake(batch)
    wrong = _wrong(found)
    said += _clear_strays(batch, wrong)
    for date in wrong:
        said.append(f"date {date}: published again, since it did not hold what bronze gives")
    republish_wrong(batch, wrong)
    build_all_gold(batch, DateRange(), force=wrong)
    return said


def _wrong(found: Verification) -> list[dt.date]:
    return sorted({*found.wrong_dates})


def _beyond(batch: Batch) -> list[str]:
    """Tables that are older than what the ledger tells of them."""
    lines = []
    for table in RECORDED_TABLES:
        last, version = max(batch.ledger.recorded_versions(table), default=-1), batch.lake.version(table)
        if last > (-1 if version is None else version):
            lines.append(f"{table.name} is at version {version}: rows of later ones leave the ledger")
    return lines


def _forget_lost_versions(batch: Batch) -> list[str]:
    """Drops rows of the ledger that tell of versions which a table does not have."""
    said = _beyond(batch)
    if said:
        version = batch.lake.version(RECEIVED_SALES)
        last = -1 if version is None else version
        lost = [
            IngestedDrop(Drop(date, (), known_fingerprint=""), status=DropStatus.FAILED, reason=LOST)
            for date, drop in batch.ledger.drops().items()
            if drop.accepted is not None and drop.accepted.bronze_version > last
        ]
        said += [f"drop {found.drop.date}: {LOST}" for found in lost]
        batch.ledger.record_drops(batch.run_id, lost, None, batch.ingest_audit())
        batch.ledger.forget_beyond({table.name: batch.lake.version(table) for table in RECORDED_TABLES})
    return said


def _record_commits(batch: Batch) -> list[str]:
    """Records what the commits of silver say of dates, where the ledger says otherwise."""
    differing = Verification()
    states = published_dates(batch, differing)
    rows = []
    for date in sorted(differing.wrong_dates):
        state = states[date]
        rows.append(
            {
                "business_date": date,
                "status": "done",
                "revision": state.revision,
                "silver_version": state.silver_version,
                "inputs_hash": state.inputs_hash,
                "drop_dates": sorted(state.drop_dates),
                "sale_dates": sorted(state.sale_dates),
                "chunk_key": state.chunking.key if state.chunking else None,
                "chunk_ranges": list(state.chunking.ranges) if state.chunking else None,
            }
        )
    batch.ledger.record_dates(batch.run_id, rows)
    return [f"date {row['business_date']}: revision {row['revision']} recorded" for row in rows]


def _clear_strays(batch: Batch, dates: Iterable[dt.date]) -> list[str]:
    """Empties tables of dates that were never published and have no line in bronze."""
    known = {date for date, state in batch.ledger.dates().items() if state.revision > 0}
    received = {c.business_date for drop in batch.ledger.drops().values() for c in drop.content}
    strays = [date for date in dates if date not in known and date not in received]
    if not strays:
        return []
    for table in (SALES, CONFLICTS, *GOLD_TABLES):
        nothing = local_frame(batch.spark, table.schema)
        emptied = _stray_partitions(table, strays, known)
        batch.lake.replace(table, nothing, emptied, {"job": "repair_lake", "run_id": batch.run_id})
    return [f"date {date}: rows removed, since it was never published" for date in strays]


def _stray_partitions(table: Table, strays: Iterable[dt.date], known: Iterable[dt.date]) -> set[dt.date]:
    """Partitions of a table that hold rows of stray dates alone."""
    if not isinstance(table, GoldTable):
        return set(strays)
    kept = {table.period.start_of(date) for date in known}
    return {table.period.start_of(date) for date in strays} - kept
