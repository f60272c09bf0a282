"""Maintenance of the tables: files that nothing refers to any more are deleted."""

from __future__ import annotations

from batch.context import Batch
from batch.ingest import recover_receipts
from batch.recording import recover_publications
from schemas.tables import TABLES


def maintain(batch: Batch, retain_hours: float) -> None:
    """Deletes replaced files, and those that crashed runs left.

    Args:
        batch: the run; it must be the only one at work in the lake.
        retain_hours: age that such a file must have reached.
    """
    # What a cut-off run left to be recorded is read from the versions of its time: before they go.
    recover_receipts(batch)
    recover_publications(batch)
    for table in TABLES:
        batch.tell(f"looking for files of {table.name} that nothing refers to")
        count = batch.lake.vacuum(table, retain_hours, dry_run=batch.dry_run)
        if batch.dry_run:
            batch.outcome.planned.append(f"{table.name}: {count:,} files would be deleted")
        else:
            batch.outcome.removed[table.name] = count
