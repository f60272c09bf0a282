"""What a run does before anything else: it completes or undoes what earlier runs began."""

from __future__ import annotations

from pipeline.planning.pinned import PinnedSettings, SettingsRecord, Wishes, decide_change
from pipeline.steps.context import Batch
from pipeline.steps.gold import recover_builds
from pipeline.steps.publish_commit import RECOUNT, ROLL_BACK
from pipeline.steps.receiving import recover_ingests
from pipeline.steps.recording import recover_publications
from schemas.errors import AuditError, UsageError
from schemas.lake import RECORDED_TABLES
from schemas.tables import RECEIVED_SALES


def recover(batch: Batch) -> None:
    """Completes or undoes what was cut off; the ledger then tells of every commit.

    Raises:
        AuditError: a table is not the one that the ledger tells of.
    """
    check_tables(batch)
    recover_ingests(batch)
    recover_publications(batch)
    recover_builds(batch)


def check_tables(batch: Batch) -> None:
    """Proves that tables hold the latest version that the ledger names, by the run that it names.

    Raises:
        AuditError: one does not, as where it was restored from a backup that is older than the ledger.
    """
    for table in RECORDED_TABLES:
        recorded = batch.ledger.recorded_versions(table)
        if not recorded:
            continue
        last = max(recorded)
        version = batch.lake.version(table)
        if version is None or version < last:
            raise AuditError(
                f"{table.name} is at version {version}, the ledger tells of version {last}: was it restored "
                "from a backup? Restore the whole lake from one backup, or run repair_lake"
            )
        said = batch.lake.commit(table, last).metadata
        is_of_ledger = said.get("job") in (None, ROLL_BACK, RECOUNT) or said["run_id"] == recorded[last]
        if not is_of_ledger:
            raise AuditError(
                f"{table.name} version {last} was made by run {said['run_id']}, the ledger says "
                f"{recorded[last]}: was it restored from a backup? Run repair_lake"
            )


def pin_settings(batch: Batch, wishes: Wishes) -> SettingsRecord | None:
    """Holds the settings of the run against those of the lake.

    Returns:
        The settings that hold from this run on, to be recorded before it does anything; None where they are
        those of the lake.

    Raises:
        UsageError: they differ, and the command does not say what is to be done about it.
    """
    kept, wanted = batch.ledger.settings(), batch.settings.pinned
    if kept is None and any(drop.accepted is not None for drop in batch.ledger.drops().values()):
        raise UsageError("the lake keeps no settings, since its migration was cut off: run migrate_tables")
    change = decide_change(kept if batch.lake.exists(RECEIVED_SALES) else None, wanted, wishes)
    records = list(kept.records) if kept else []
    record = None
    if change is not None and not (records and dict(records[-1].values) == wanted):
        record = SettingsRecord(len(records) + 1, change, wanted)
        records.append(record)
    batch.pinned = PinnedSettings(records)
    return record
