"""Repair: makes a damaged lake equal to what its accepted deliveries give.

It corrects the ledger from the tables. It publishes wrong dates again, in one commit with the dates that
share sale dates with them. It builds gold again where it differs from its sales.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from pipeline.lake.frames import local_frame
from pipeline.planning.pinned import Wishes
from pipeline.steps.context import Batch, DateRange
from pipeline.steps.deliveries import LOST, lost, recount_deliveries
from pipeline.steps.gold import build_all_gold, recover_builds
from pipeline.steps.issue import recover_issues
from pipeline.steps.publish import republish_wrong
from pipeline.steps.receiving import recover_ingests
from pipeline.steps.recording import recover_publications
from pipeline.steps.recovery import pin_settings
from pipeline.steps.verify import Verification, examine_lake, published_dates
from schemas.drops import Drop, IngestedDrop
from schemas.tables import CONFLICTS, RECEIVED_SALES, SALES


def repair(batch: Batch) -> list[str]:
    """Repairs a lake, so that the laws hold again.

    Returns:
        The actions taken, or planned in a dry run, one line each; none if the lake is sound.

    Raises:
        UsageError: the tables are of an older version, or the config differs from the lake's pinned settings.
    """
    batch.lake.check_schemas()
    batch.lake.check_checksums()
    pin_settings(batch, Wishes())
    if batch.dry_run:
        verification = examine_lake(batch)
        return [
            *_tables_behind_ledger(batch),
            *verification.problems,
            *(f"date {date}: would be published" for date in _wrong(verification)),
            *(f"date {date}: its gold would be built" for date in _only_gold(verification)),
        ]
    actions = _forget_lost_versions(batch)
    recover_ingests(batch)
    recover_publications(batch)
    recover_builds(batch)
    recover_issues(batch)
    actions += recount_deliveries(batch, everything=False)
    actions += _record_commits(batch)
    verification = examine_lake(batch)
    wrong = _wrong(verification)
    actions += _clear_strays(batch, wrong)
    for date in wrong:
        actions.append(f"date {date}: published again, since it did not hold what bronze gives")
    republish_wrong(batch, wrong)
    for date in _only_gold(verification):
        actions.append(f"date {date}: its gold built again, since it did not hold what its sales give")
    build_all_gold(batch, DateRange(), force=verification.wrong_dates | verification.wrong_gold)
    return actions


def _only_gold(verification: Verification) -> list[dt.date]:
    """Dates whose gold is wrong while their sales are right: their revision stays."""
    return sorted(verification.wrong_gold - verification.wrong_dates)


def _wrong(verification: Verification) -> list[dt.date]:
    return sorted({*verification.wrong_dates})


def _tables_behind_ledger(batch: Batch) -> list[str]:
    """Names tables whose latest version is older than the ledger records, one line each."""
    lines = []
    for table in batch.lake.tables.recorded:
        recorded, version = max(batch.ledger.recorded_versions(table), default=-1), batch.lake.version(table)
        if recorded > (-1 if version is None else version):
            lines.append(f"{table.name} is at version {version}: ledger rows of later versions are removed")
    return lines


def _forget_lost_versions(batch: Batch) -> list[str]:
    """Removes ledger rows of versions that a table does not have."""
    actions = _tables_behind_ledger(batch)
    if actions:
        version = batch.lake.version(RECEIVED_SALES)
        last = -1 if version is None else version
        lost_drops = [
            lost(IngestedDrop(Drop(date, (), known_fingerprint="")))
            for date, drop in batch.ledger.drops().items()
            if drop.accepted is not None and drop.accepted.bronze_version > last
        ]
        actions += [f"drop {failed.drop.date}: {LOST}" for failed in lost_drops]
        batch.ledger.record_drops(batch.run_id, lost_drops, None, batch.ingest_audit())
        batch.ledger.forget_beyond(
            {table.name: batch.lake.version(table) for table in batch.lake.tables.recorded}
        )
    return actions


def _record_commits(batch: Batch) -> list[str]:
    """Records dates from the commits of silver where the ledger differs from them."""
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
    """Deletes the rows of dates that were never published and have no line in bronze."""
    known = {date for date, state in batch.ledger.dates().items() if state.revision > 0}
    received = {c.business_date for drop in batch.ledger.drops().values() for c in drop.content}
    strays = [date for date in dates if date not in known and date not in received]
    if not strays:
        return []
    for table in (SALES, CONFLICTS, *batch.lake.tables.gold):
        nothing = local_frame(batch.spark, table.schema)
        # A week or month that also has published dates is built again from them.
        emptied = set(map(table.partition_of, strays)) - set(map(table.partition_of, known))
        batch.lake.replace(table, nothing, emptied, {"job": "repair_lake", "run_id": batch.run_id})
    return [f"date {date}: rows removed, since it was never published" for date in strays]
