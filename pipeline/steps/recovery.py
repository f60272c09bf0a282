"""Completes or undoes what interrupted runs left, before a run does anything else."""

from __future__ import annotations

from typing import Any

from pipeline.planning.pinned import (
    NEW_LAKE_NORMALIZES,
    PinnedSettings,
    SettingsRecord,
    Wishes,
    decide_change,
    value_of,
)
from pipeline.steps.context import Batch
from pipeline.steps.gold import recover_builds
from pipeline.steps.issue import recover_issues
from pipeline.steps.publish_commit import RECOUNT, ROLL_BACK
from pipeline.steps.receiving import recover_ingests
from pipeline.steps.recording import recover_publications
from schemas.errors import AuditError, UsageError
from schemas.tables import RECEIVED_SALES


def recover(batch: Batch) -> None:
    """Completes or undoes interrupted work. Afterwards the ledger has every commit.

    Raises:
        AuditError: a table is not the one that the ledger describes.
    """
    check_tables(batch)
    recover_ingests(batch)
    recover_publications(batch)
    recover_builds(batch)
    recover_issues(batch)


def check_tables(batch: Batch) -> None:
    """Proves that each table has the latest version that the ledger records, made by the recorded run.

    Raises:
        AuditError: one does not; for example, it was restored from a backup older than the ledger.
    """
    for table in batch.lake.tables.recorded:
        recorded = batch.ledger.recorded_versions(table)
        if not recorded:
            continue
        last = max(recorded)
        version = batch.lake.version(table)
        if version is None or version < last:
            raise AuditError(
                f"{table.name} is at version {version}, the ledger records version {last}: was it restored "
                "from a backup? Restore the whole lake from one backup, or run repair_lake"
            )
        metadata = batch.lake.commit(table, last).metadata
        is_recorded = (
            metadata.get("job") in (None, ROLL_BACK, RECOUNT) or metadata["run_id"] == recorded[last]
        )
        if not is_recorded:
            raise AuditError(
                f"{table.name} version {last} was made by run {metadata['run_id']}, the ledger records run "
                f"{recorded[last]}: was it restored from a backup? Run repair_lake"
            )


def pin_settings(batch: Batch, wishes: Wishes) -> SettingsRecord | None:
    """Compares the settings of the run with the pinned settings of the lake, and sets ``batch.pinned``.

    Args:
        batch: the run.
        wishes: what the command says to do about changed settings.

    Returns:
        New pinned settings, which the run must record before it does anything; None if nothing changed.

    Raises:
        UsageError: they differ, and the command does not say what to do.
    """
    kept = batch.ledger.settings()
    wanted = wanted_settings(batch, kept)
    if kept is None and any(drop.accepted is not None for drop in batch.ledger.drops().values()):
        raise UsageError(
            "the lake has no pinned settings, since its migration was cut off: run migrate_tables"
        )
    change = decide_change(kept if batch.lake.exists(RECEIVED_SALES) else None, wanted, wishes)
    records = list(kept.records) if kept else []
    record = None
    if change is not None and not (records and dict(records[-1].values) == wanted):
        record = SettingsRecord(len(records) + 1, change, wanted)
        records.append(record)
    batch.pinned = PinnedSettings(records)
    return record


def wanted_settings(batch: Batch, kept: PinnedSettings | None) -> dict[str, Any]:
    """The settings of the run; where the config leaves one to the lake, what the lake has."""
    wanted = dict(batch.settings.pinned)
    if wanted["text.normalize"] is None:
        wanted["text.normalize"] = (
            value_of(kept.current.values, "text.normalize") if kept else NEW_LAKE_NORMALIZES
        )
    return wanted
