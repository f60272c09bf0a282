"""Maintenance of the tables: small files merged, unreferred ones deleted, logs kept short."""

from __future__ import annotations

import datetime as dt

from pipeline.steps.context import Batch
from schemas.lake import TABLES
from schemas.tables import Table

# A table without dates gets a file a commit: reading more than these takes longer than one of them all.
_FEW_LEDGER_FILES = 16
# A date in so many files, so small, costs a reader more to open than to read.
_FEW_FILES = 32
_SMALL_BYTES = 1_000_000


def maintain(batch: Batch, retain_hours: float) -> None:
    """Merges small files, deletes replaced and orphaned ones, writes checkpoints and cleans up logs.

    Args:
        batch: the run, which holds the lake.
        retain_hours: age that a file must have reached to be deleted.
    """
    batch.lake.check_checksums()
    # The run recovered unrecorded commits as it began, before VACUUM removes the versions that they need.
    if batch.retain_at_least > retain_hours:
        batch.outcome.warnings.append(
            f"--retain-hours {retain_hours:g}: files of {batch.retain_at_least:g} hours are kept, since the "
            "lake was taken over from a run that may still be alive"
        )
        retain_hours = batch.retain_at_least
    for table in TABLES:
        batch.tell(f"maintaining {table.name}")
        if batch.dry_run:
            _plan(batch, table, retain_hours)
        else:
            _maintain(batch, table, retain_hours)


def _plan(batch: Batch, table: Table, retain_hours: float) -> None:
    count = batch.lake.count_unreferenced(table, retain_hours)
    batch.outcome.planned.append(f"{table.name}: {count:,} files would be deleted")
    fragmented = _fragmented(batch, table)
    if fragmented:
        what = f"small files of {len(fragmented):,} dates" if table.partition_by else "small files"
        batch.outcome.planned.append(f"{table.name}: {what} would be merged")


def _maintain(batch: Batch, table: Table, retain_hours: float) -> None:
    outcome, before = batch.outcome, batch.lake.usage(table)
    batch.lake.vacuum(table, retain_hours)
    freed = before - batch.lake.usage(table)
    outcome.removed[table.name], outcome.freed_bytes[table.name] = freed.files, freed.bytes
    # After the deletion: what is merged now stays for readers of the version before it.
    fragmented = _fragmented(batch, table)
    outcome.merged[table.name] = batch.lake.compact(table, fragmented) if fragmented else 0
    batch.lake.checkpoint(table)


def _fragmented(batch: Batch, table: Table) -> list[dt.date | None]:
    few = _FEW_FILES if table.partition_by else _FEW_LEDGER_FILES
    return batch.lake.fragmented(table, few, _SMALL_BYTES)
