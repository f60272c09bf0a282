"""Maintains the tables: merges small files, deletes unreferenced files and cleans up the logs."""

from __future__ import annotations

import datetime as dt
import logging

from pipeline.steps.context import Batch
from schemas.tables import Table

_LOG = logging.getLogger(__name__)

# Each commit adds a file to a table without dates. One merged file is faster to read than more than these.
_FEW_LEDGER_FILES = 16
# If a date has this many small files, a reader needs longer to open them than to read them.
_FEW_FILES = 32
_SMALL_BYTES = 1_000_000


Counts = dict[str, dict[str, int]]


def maintain(batch: Batch, retain_hours: float) -> Counts:
    """Merges small files, deletes unreferenced files, writes checkpoints and cleans up the logs.

    Args:
        batch: the run, which holds the lock of the lake.
        retain_hours: an unreferenced file is deleted once it is older than this.

    Returns:
        By table: ``removed``, the number of files deleted; ``freed_bytes``, their size; ``merged``, the
        number of small files that were merged into larger ones. Empty in a dry run.
    """
    counts: Counts = {"removed": {}, "freed_bytes": {}, "merged": {}}
    batch.lake.check_checksums()
    # The run recovered unrecorded commits when it began. VACUUM may now remove the versions that they need.
    if batch.retain_at_least > retain_hours:
        batch.outcome.warnings.append(
            f"--retain-hours {retain_hours:g}: files of the last {batch.retain_at_least:g} hours are kept, "
            "since this run took the lake over from a run that may still be alive"
        )
        retain_hours = batch.retain_at_least
    for table in batch.lake.tables.every:
        _LOG.info(f"maintaining {table.name}")
        if batch.dry_run:
            _plan(batch, table, retain_hours)
        else:
            _maintain(batch, table, retain_hours, counts)
    return counts


def _plan(batch: Batch, table: Table, retain_hours: float) -> None:
    count = batch.lake.count_unreferenced(table, retain_hours)
    batch.outcome.planned.append(f"{table.name}: {count:,} files would be deleted")
    fragmented = _fragmented(batch, table)
    if fragmented:
        subject = f"small files of {len(fragmented):,} dates" if table.partition_by else "small files"
        batch.outcome.planned.append(f"{table.name}: {subject} would be merged")


def _maintain(batch: Batch, table: Table, retain_hours: float, counts: Counts) -> None:
    before = batch.lake.usage(table)
    batch.lake.vacuum(table, retain_hours)
    freed = before - batch.lake.usage(table)
    counts["removed"][table.name], counts["freed_bytes"][table.name] = freed.files, freed.bytes
    # Merge after the deletion, so that readers of the previous version keep the files that are merged now.
    fragmented = _fragmented(batch, table)
    counts["merged"][table.name] = batch.lake.compact(table, fragmented) if fragmented else 0
    batch.lake.checkpoint(table)


def _fragmented(batch: Batch, table: Table) -> list[dt.date | None]:
    max_files = _FEW_FILES if table.partition_by else _FEW_LEDGER_FILES
    return batch.lake.fragmented(table, max_files, _SMALL_BYTES)
