"""Reconciles and records a publication; after a crash, completes or undoes it.

A publication commits its conflicts before its sales. If the sales were never committed, the conflicts are
rolled back. If it does not reconcile, it is rolled back, sales first. If the ledger lacks it, it is recorded.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pyspark.sql import DataFrame

from pipeline.lake.ledger import RESTORED
from pipeline.lake.tables import Commit, filter_dates
from pipeline.planning.pinned import Chunking
from pipeline.planning.reconciliation import (
    Balance,
    ControlTotals,
    ReconciliationKey,
    reconcile,
    totals_by,
    unreconciled_dates,
)
from pipeline.steps.context import Batch, PublishedDate
from pipeline.steps.publish_commit import JOB, ROLL_BACK, PublishCommit
from pipeline.steps.received import read_accepted
from schemas.landing import own_amounts
from schemas.states import DateStatus, ExitCode
from schemas.tables import CONFLICTS, SALES
from transforms.control_totals import count_conflicts, count_published, count_received
from transforms.publication import with_chunks

_LOG = logging.getLogger(__name__)


def record_publication(
    batch: Batch,
    publication: PublishCommit,
    version: int,
    received: Mapping[ReconciliationKey, ControlTotals],
) -> None:
    """Reconciles a publication and records its dates. Rolls back dates that do not reconcile.

    Args:
        batch: the run.
        publication: the publication.
        version: version of ``silver/sales`` that holds it.
        received: control totals of its accepted lines in bronze.
    """
    sales = batch.lake.read_dates(SALES, publication.dates, version)
    published, duplicates = count_sales(sales)
    left_out = count_conflicts_of(batch, publication.dates)
    cells = reconcile(received, published, duplicates, left_out)
    problems = publication.with_dependents(unreconciled_dates(cells))
    is_own = publication.run_id == batch.run_id
    batch.ledger.record_chunks(publication.run_id, cells, is_new=is_own)
    failed = _roll_back(batch, publication, problems, version) if problems else []
    _record_dates(batch, publication, version, failed)
    if not is_own:
        return
    by_date = totals_by(cells, lambda cell: cell.business_date)
    for date in set(publication.dates) - set(problems):
        shares = by_date.get(date, Balance())
        batch.outcome.dates[date] = PublishedDate(DateStatus.DONE, publication.revisions[date], shares)
    batch.outcome.cells |= {
        cell: shares for cell, shares in cells.items() if cell.business_date not in problems
    }


def recover_publications(batch: Batch) -> None:
    """Completes or undoes every publication that a run left incomplete, and brings the ledger up to date."""
    undo_conflicts(batch)
    for commit in batch.unrecorded_commits(SALES, JOB):
        _LOG.info("recording a publication that was cut off")
        _recover(batch, commit)


def undo_conflicts(batch: Batch) -> None:
    """Rolls back the conflicts of a publication whose sales were never committed."""
    last = batch.lake.last_commit(CONFLICTS, lambda metadata: metadata.get("job") in (JOB, ROLL_BACK))
    if last is None or last.metadata["job"] == ROLL_BACK:
        return
    published = batch.lake.last_commit(SALES, lambda metadata: metadata.get("job") == JOB)
    if published is None:
        # The log of silver/sales may have been shortened: then the ledger tells.
        dates = set(map(dt.date.fromisoformat, last.metadata["dates"]))
        is_published = batch.ledger.has_published(last.metadata["run_id"], dates)
    else:
        is_published = published.metadata["sequence"] >= last.metadata["sequence"]
    if is_published:
        return
    _LOG.info("rolling back the conflicts of a publication whose sales were never committed")
    roll_back_conflicts(batch, last, last.metadata["dates"])


def roll_back_conflicts(batch: Batch, commit: Commit, dates: Iterable[str]) -> None:
    """Replaces the conflicts of dates with those before a commit."""
    days = [dt.date.fromisoformat(text) for text in dates]
    before = batch.lake.read_dates(CONFLICTS, days, commit.version - 1)
    metadata = {
        "job": ROLL_BACK,
        "run_id": batch.run_id,
        "sequence": commit.metadata["sequence"],
        "dates": sorted(dates),
    }
    batch.lake.replace(CONFLICTS, before, days, metadata)


def chunked(lines: DataFrame, chunkings: Mapping[dt.date, Chunking]) -> DataFrame:
    """Adds ``chunk`` text to accepted lines, each business date split by its own chunking."""
    dates_by_chunking: dict[Chunking, list[dt.date]] = defaultdict(list)
    for date, chunking in chunkings.items():
        dates_by_chunking[chunking].append(date)
    has_one_chunking = len(dates_by_chunking) == 1
    return with_chunks(
        lines,
        {
            (chunking.key, chunking.key_ranges): None if has_one_chunking else dates
            for chunking, dates in dates_by_chunking.items()
        },
    )


def count_cells(counts: DataFrame) -> dict[ReconciliationKey, ControlTotals]:
    """Control totals by key, from rows of business_date, chunk, currency, lines, gross, absolute_gross."""
    return {
        ReconciliationKey(row.business_date, row.chunk, row.currency): _totals(row)
        for row in counts.collect()
    }


def count_left_out(counts: DataFrame) -> dict[tuple[ReconciliationKey, str], ControlTotals]:
    """Like :func:`count_cells`, but also by the rows' outcome."""
    return {
        (ReconciliationKey(row.business_date, row.chunk, row.currency), row.outcome): _totals(row)
        for row in counts.collect()
    }


def count_sales(
    sales: DataFrame,
) -> tuple[dict[ReconciliationKey, ControlTotals], dict[ReconciliationKey, ControlTotals]]:
    """Control totals of published lines, and of the duplicates that are counted on them."""
    published, duplicates = {}, {}
    for row in count_published(sales).collect():
        key = ReconciliationKey(row.business_date, row.chunk, row.currency)
        published[key] = _totals(row)
        duplicates[key] = _totals(row, "duplicate_")
    return published, duplicates


def _totals(row: Any, prefix: str = "") -> ControlTotals:
    lines, gross, absolute = (row[f"{prefix}{name}"] for name in ("lines", "gross", "absolute_gross"))
    own = {name: row[f"{prefix}own_{name}"] for name in own_amounts()}
    return ControlTotals(lines, gross, absolute, own)


def count_accepted(batch: Batch, publication: PublishCommit) -> dict[ReconciliationKey, ControlTotals]:
    """Control totals of a publication's accepted lines, counted again in the bronze version that it read."""
    drop_dates = {date for inputs in publication.dates.values() for date in inputs.drop_dates}
    accepted = read_accepted(batch, publication.bronze_version, drop_dates)
    lines = filter_dates(accepted, "business_date", publication.dates)
    return count_cells(count_received(chunked(lines, publication.chunkings)))


def count_conflicts_of(
    batch: Batch, dates: Iterable[dt.date]
) -> dict[tuple[ReconciliationKey, str], ControlTotals]:
    """Control totals of the given dates in ``silver/conflicts``, by outcome."""
    return count_left_out(count_conflicts(batch.lake.read_dates(CONFLICTS, dates)))


def _recover(batch: Batch, commit: Commit) -> None:
    publication = PublishCommit.from_commit_metadata(commit.metadata)
    later = batch.lake.commits(SALES, commit.version)
    rolled_back = [
        other
        for other in later
        if other.metadata.get("job") == ROLL_BACK and other.metadata.get("sequence") == publication.sequence
    ]
    if rolled_back:
        problems = dict(rolled_back[0].metadata["dates"])
        _roll_back_conflicts_of(batch, publication, problems)
        _record_dates(batch, publication, commit.version, _failed_rows(batch, publication, rolled_back[0]))
        return
    replaced = {iso_date for other in later for iso_date in other.metadata.get("dates", ())}
    current = publication.only(set(publication.dates) - set(map(dt.date.fromisoformat, replaced)))
    if current.dates:
        record_publication(batch, current, commit.version, count_accepted(batch, current))


def _record_dates(
    batch: Batch, publication: PublishCommit, version: int, failed: list[dict[str, Any]]
) -> None:
    """Records all dates of a publication in one commit, so that a crash never leaves it half recorded."""
    problems = {row["business_date"] for row in failed}
    done = [done_row(publication, date, version) for date in sorted(set(publication.dates) - problems)]
    batch.ledger.record_dates(publication.run_id, [*done, *failed])


def done_row(publication: PublishCommit, date: dt.date, version: int) -> dict[str, Any]:
    """The row in ``ledger/dates`` for a date that a commit published, without run_id and at."""
    inputs = publication.dates[date]
    restored = publication.restored.get(date)
    return {
        "business_date": date,
        "status": DateStatus.DONE.value,
        "revision": publication.revisions[date],
        "silver_version": version,
        "inputs_hash": inputs.inputs_hash,
        "drop_dates": sorted(inputs.drop_dates),
        "sale_dates": sorted(inputs.sale_dates),
        "chunk_key": None if inputs.chunking is None else inputs.chunking.key,
        "chunk_ranges": None if inputs.chunking is None else list(inputs.chunking.ranges),
        "restored_revision": restored,
        "reason": None if restored is None else f"{RESTORED} {restored}",
    }


def _roll_back(
    batch: Batch, publication: PublishCommit, problems: Mapping[dt.date, str], version: int
) -> list[dict[str, Any]]:
    """Restores the previous content of dates that do not reconcile.

    Returns:
        Their rows in ``ledger/dates``.
    """
    previous = batch.lake.read_dates(SALES, problems, version - 1)
    reasons = {date.isoformat(): problem for date, problem in sorted(problems.items())}
    metadata = {
        "job": ROLL_BACK,
        "run_id": batch.run_id,
        "sequence": publication.sequence,
        "dates": reasons,
    }
    rollback_version = batch.lake.replace(SALES, previous, problems, metadata)
    _roll_back_conflicts_of(batch, publication, reasons)
    return _failed_rows(batch, publication, Commit(rollback_version, metadata))


def _roll_back_conflicts_of(batch: Batch, publication: PublishCommit, dates: Iterable[str]) -> None:
    """Restores the conflicts of the dates' previous revision, unless that is already done."""
    last = batch.lake.last_commit(
        CONFLICTS, lambda metadata: metadata.get("sequence") == publication.sequence and "job" in metadata
    )
    if last is not None and last.metadata["job"] == JOB:
        roll_back_conflicts(batch, last, dates)


def _failed_rows(batch: Batch, publication: PublishCommit, rolled_back: Commit) -> list[dict[str, Any]]:
    """Reports the dates of a rollback as failed; returns their rows in ``ledger/dates``."""
    rows = []
    for iso_date, problem in sorted(rolled_back.metadata["dates"].items()):
        date = dt.date.fromisoformat(iso_date)
        reason = f"does not reconcile and was rolled back: {problem}"
        revision = publication.revisions[date] - 1
        batch.outcome.dates[date] = PublishedDate(DateStatus.FAILED, revision, reason=reason)
        batch.outcome.fail(ExitCode.AUDIT, f"date {date} {reason}")
        rows.append(
            {
                "business_date": date,
                "status": DateStatus.FAILED.value,
                "revision": revision,
                "silver_version": rolled_back.version,
                "reason": reason,
            }
        )
    return rows
