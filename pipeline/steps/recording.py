"""Recording a publication: reconciled before its dates are done, and completed or undone after a crash.

The conflicts of a publication are committed before its sales. A publication whose sales never came is undone;
one that does not reconcile is rolled back, sales first; one that the ledger does not tell of is recorded.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pyspark.sql import DataFrame

from pipeline.lake.ledger import RESTORED
from pipeline.lake.tables import Commit
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
from pipeline.steps.received import read_accepted_of
from schemas.states import DateStatus, ExitCode
from schemas.tables import CONFLICTS, SALES
from transforms.control_totals import count_conflicts, count_published, count_received
from transforms.publication import with_chunks


def record_publication(
    batch: Batch,
    publication: PublishCommit,
    version: int,
    received: Mapping[ReconciliationKey, ControlTotals],
) -> None:
    """Reconciles what a commit published, then records its dates as done; rolls back what does not reconcile.

    Args:
        batch: the run.
        publication: what was published.
        version: version of ``silver/sales`` that holds it.
        received: lines and control totals of its accepted lines in bronze.
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
    """Completes or undoes every publication that a run left half done; brings the ledger up to date."""
    undo_conflicts(batch)
    recorded = batch.ledger.recorded_versions(SALES)
    for commit in batch.lake.history(SALES, recorded):
        if commit.metadata.get("job") == JOB:
            batch.tell("completing the ledger of a publication that was cut off")
            _recover(batch, commit)


def undo_conflicts(batch: Batch) -> None:
    """Takes back the conflicts of a publication whose sales were never committed."""
    last = batch.lake.last_commit(CONFLICTS, lambda said: said.get("job") in (JOB, ROLL_BACK))
    if last is None or last.metadata["job"] == ROLL_BACK:
        return
    published = batch.lake.last_commit(SALES, lambda said: said.get("job") == JOB)
    if published is None and batch.ledger.recorded_versions(SALES):
        return  # its commit was cleaned up long ago
    if published is not None and published.metadata["sequence"] >= last.metadata["sequence"]:
        return
    batch.tell("taking back the conflicts of a publication that did not come")
    roll_back_conflicts(batch, last, last.metadata["dates"])


def roll_back_conflicts(batch: Batch, commit: Commit, dates: Iterable[str]) -> None:
    """Gives dates the conflicts that they had before a commit."""
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
    """Adds ``chunk`` text to accepted lines, each date split as it is to be."""
    by_split: dict[Chunking, list[dt.date]] = defaultdict(list)
    for date, chunking in chunkings.items():
        by_split[chunking].append(date)
    is_only_one = len(by_split) == 1
    return with_chunks(
        lines,
        {
            (chunking.key, chunking.key_ranges): None if is_only_one else dates
            for chunking, dates in by_split.items()
        },
    )


def count_cells(counts: DataFrame) -> dict[ReconciliationKey, ControlTotals]:
    """Measures by cell, of a frame with business_date, chunk, currency, lines, gross, absolute_gross."""
    return {
        ReconciliationKey(row.business_date, row.chunk, row.currency): ControlTotals(
            row.lines, row.gross, row.absolute_gross
        )
        for row in counts.collect()
    }


def count_left_out(counts: DataFrame) -> dict[tuple[ReconciliationKey, str], ControlTotals]:
    """As :func:`count_cells`, by outcome too."""
    return {
        (ReconciliationKey(row.business_date, row.chunk, row.currency), row.outcome): ControlTotals(
            row.lines, row.gross, row.absolute_gross
        )
        for row in counts.collect()
    }


def count_sales(
    sales: DataFrame,
) -> tuple[dict[ReconciliationKey, ControlTotals], dict[ReconciliationKey, ControlTotals]]:
    """Measures of published lines, and of the equal copies that they stand for."""
    published, duplicates = {}, {}
    for row in count_published(sales).collect():
        cell = ReconciliationKey(row.business_date, row.chunk, row.currency)
        published[cell] = ControlTotals(row.lines, row.gross, row.absolute_gross)
        duplicates[cell] = ControlTotals(
            row.duplicate_lines, row.duplicate_gross, row.duplicate_absolute_gross
        )
    return published, duplicates


def count_accepted(batch: Batch, publication: PublishCommit) -> dict[ReconciliationKey, ControlTotals]:
    """Measures of a publication's accepted lines, counted again from the bronze that it was made from."""
    drop_dates = {date for inputs in publication.dates.values() for date in inputs.drop_dates}
    lines = read_accepted_of(batch, publication.bronze_version, drop_dates, publication.dates)
    return count_cells(count_received(chunked(lines, publication.chunkings)))


def count_conflicts_of(
    batch: Batch, dates: Iterable[dt.date]
) -> dict[tuple[ReconciliationKey, str], ControlTotals]:
    """Measures of the lines of dates in ``silver/conflicts``, by outcome."""
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
        _record_dates(batch, publication, commit.version, _failed(batch, publication, rolled_back[0]))
        return
    replaced = {text for other in later for text in other.metadata.get("dates", ())}
    current = publication.only(set(publication.dates) - set(map(dt.date.fromisoformat, replaced)))
    if current.dates:
        record_publication(batch, current, commit.version, count_accepted(batch, current))


def _record_dates(
    batch: Batch, publication: PublishCommit, version: int, failed: list[dict[str, Any]]
) -> None:
    """Records all dates of a publication at once: it is recorded, or is not."""
    problems = {row["business_date"] for row in failed}
    done = [done_row(publication, date, version) for date in sorted(set(publication.dates) - problems)]
    batch.ledger.record_dates(publication.run_id, [*done, *failed])


def done_row(publication: PublishCommit, date: dt.date, version: int) -> dict[str, Any]:
    """The row of ``ledger/dates`` of a date that a commit published, but run_id and at."""
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
        "reason": None if restored is None else f"{RESTORED} {restored}",
    }


def _roll_back(
    batch: Batch, publication: PublishCommit, problems: Mapping[dt.date, str], version: int
) -> list[dict[str, Any]]:
    """Gives readers the previous content of dates that do not reconcile; returns their ledger rows."""
    previous = batch.lake.read_dates(SALES, problems, version - 1)
    told = {date.isoformat(): problem for date, problem in sorted(problems.items())}
    metadata = {
        "job": ROLL_BACK,
        "run_id": batch.run_id,
        "sequence": publication.sequence,
        "dates": told,
    }
    made = batch.lake.replace(SALES, previous, problems, metadata)
    _roll_back_conflicts_of(batch, publication, told)
    return _failed(batch, publication, Commit(made, metadata))


def _roll_back_conflicts_of(batch: Batch, publication: PublishCommit, dates: Iterable[str]) -> None:
    """Gives dates the conflicts of their previous revision, unless they have them already."""
    last = batch.lake.last_commit(
        CONFLICTS, lambda said: said.get("sequence") == publication.sequence and "job" in said
    )
    if last is not None and last.metadata["job"] == JOB:
        roll_back_conflicts(batch, last, dates)


def _failed(batch: Batch, publication: PublishCommit, rolled_back: Commit) -> list[dict[str, Any]]:
    rows = []
    for text, problem in sorted(rolled_back.metadata["dates"].items()):
        date = dt.date.fromisoformat(text)
        reason = f"does not reconcile, previous content put back: {problem}"
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
