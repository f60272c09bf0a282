"""Recording a publication: reconciled before its dates are done, and found again after a crash."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame

from batch.context import Batch, PublishedDate
from batch.received import read_accepted_of
from lake.tables import Commit, filter_dates
from planning.reconciliation import Cell, Measure, Shares, reconcile, totals_by, unreconciled_dates
from planning.staleness import DateInputs
from schemas.ranges import parse_ranges
from schemas.states import DateStatus, ExitCode
from schemas.tables import CONFLICTS, SALES
from transforms.control_totals import count_conflicts, count_published, count_received
from transforms.publication import with_chunk

JOB = "publish_sales"
PUT_BACK = "put_back"


@dataclass(frozen=True)
class Publication:
    """What a commit to ``silver/sales`` says of itself, so that its ledger rows can be written from it alone.

    Attributes:
        run_id: run.
        sequence: number of the publication.
        bronze_version: version of bronze that it was made from.
        chunk_key: column that was the chunk key.
        chunk_ranges: key ranges as written in the config.
        dates: inputs by business date.
        revisions: revision by business date.
        restored: revision whose content was brought back, by business date; none where published from bronze
            as it is now.
    """

    run_id: str
    sequence: int
    bronze_version: int | None
    chunk_key: str
    chunk_ranges: tuple[str, ...]
    dates: Mapping[dt.date, DateInputs]
    revisions: Mapping[dt.date, int]
    restored: Mapping[dt.date, int] = field(default_factory=dict)

    def as_metadata(self) -> dict[str, Any]:
        """The commit's userMetadata."""
        restored = {date.isoformat(): revision for date, revision in self.restored.items()}
        return {
            "job": JOB,
            "run_id": self.run_id,
            "sequence": self.sequence,
            "bronze_version": self.bronze_version,
            "chunk_key": self.chunk_key,
            "chunk_ranges": list(self.chunk_ranges),
            "dates": {
                date.isoformat(): {
                    "revision": self.revisions[date],
                    "inputs_hash": inputs.inputs_hash,
                    "drop_dates": [drop.isoformat() for drop in sorted(inputs.drop_dates)],
                }
                for date, inputs in self.dates.items()
            },
            **({"restored": restored} if restored else {}),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Publication:
        """Reads a commit's userMetadata."""
        dates = {dt.date.fromisoformat(text): said for text, said in metadata["dates"].items()}
        return cls(
            run_id=metadata["run_id"],
            sequence=metadata["sequence"],
            bronze_version=metadata["bronze_version"],
            chunk_key=metadata["chunk_key"],
            chunk_ranges=tuple(metadata["chunk_ranges"]),
            dates={
                date: DateInputs(
                    date,
                    lines=0,
                    drop_dates=frozenset(dt.date.fromisoformat(text) for text in said["drop_dates"]),
                    adjusted_sale_dates=frozenset(),
                    inputs_hash=said["inputs_hash"],
                )
                for date, said in dates.items()
            },
            revisions={date: said["revision"] for date, said in dates.items()},
            restored={
                dt.date.fromisoformat(text): revision
                for text, revision in metadata.get("restored", {}).items()
            },
        )


def record_publication(
    batch: Batch,
    publication: Publication,
    version: int,
    received: Mapping[Cell, Measure],
) -> None:
    """Reconciles what a commit published, then records its dates as done; puts back what does not reconcile.

    Args:
        batch: the run.
        publication: what was published.
        version: version of ``silver/sales`` that holds it.
        received: lines and control totals of its accepted lines in bronze.
    """
    sales = filter_dates(batch.lake.read(SALES, version), "business_date", publication.dates)
    published, duplicates = count_sales(sales)
    left_out = count_conflicts_of(batch, publication.dates)
    cells = reconcile(received, published, duplicates, left_out)
    problems = unreconciled_dates(cells)
    is_own = publication.run_id == batch.run_id
    batch.ledger.record_chunks(publication.run_id, cells, is_new=is_own)
    if problems:
        _put_back(batch, publication, problems, version)
    by_date = totals_by(cells, lambda cell: cell.business_date)
    rows = []
    for date in sorted(set(publication.dates) - set(problems)):
        rows.append(_done_row(publication, date, version))
        shares = by_date.get(date, Shares())
        batch.outcome.dates[date] = PublishedDate(DateStatus.DONE, publication.revisions[date], shares)
    batch.ledger.record_dates(publication.run_id, rows)
    batch.outcome.cells |= {
        cell: shares for cell, shares in cells.items() if cell.business_date not in problems
    }


def recover_publications(batch: Batch) -> None:
    """Brings the ledger up to what silver's history says: commits whose run ended before it recorded them."""
    if batch.dry_run:
        return
    for commit in batch.lake.commits(SALES, batch.ledger.last_silver_version()):
        if commit.metadata.get("job") == JOB:
            batch.tell("completing the ledger of a publication that was cut off")
            _recover(batch, commit)


def count_cells(counts: DataFrame) -> dict[Cell, Measure]:
    """Measures by cell, of a frame with business_date, chunk, currency, lines, gross, absolute_gross."""
    return {
        Cell(row.business_date, row.chunk, row.currency): Measure(row.lines, row.gross, row.absolute_gross)
        for row in counts.collect()
    }


def count_left_out(counts: DataFrame) -> dict[tuple[Cell, str], Measure]:
    """As :func:`count_cells`, by outcome too."""
    return {
        (Cell(row.business_date, row.chunk, row.currency), row.outcome): Measure(
            row.lines, row.gross, row.absolute_gross
        )
        for row in counts.collect()
    }


def count_sales(sales: DataFrame) -> tuple[dict[Cell, Measure], dict[Cell, Measure]]:
    """Measures of published lines, and of the equal copies that they stand for."""
    published, duplicates = {}, {}
    for row in count_published(sales).collect():
        cell = Cell(row.business_date, row.chunk, row.currency)
        published[cell] = Measure(row.lines, row.gross, row.absolute_gross)
        duplicates[cell] = Measure(row.duplicate_lines, row.duplicate_gross, row.duplicate_absolute_gross)
    return published, duplicates


def count_accepted(batch: Batch, publication: Publication) -> dict[Cell, Measure]:
    """Measures of a publication's accepted lines, counted again from the bronze that it was made from."""
    drop_dates = {date for inputs in publication.dates.values() for date in inputs.drop_dates}
    lines = read_accepted_of(batch, publication.bronze_version, drop_dates, publication.dates)
    chunked = with_chunk(lines, publication.chunk_key, parse_ranges(publication.chunk_ranges))
    return count_cells(count_received(chunked))


def count_conflicts_of(batch: Batch, dates: Iterable[dt.date]) -> dict[tuple[Cell, str], Measure]:
    """Measures of the lines of dates in ``silver/conflicts``, by outcome."""
    return count_left_out(count_conflicts(filter_dates(batch.lake.read(CONFLICTS), "business_date", dates)))


def _recover(batch: Batch, commit: Commit) -> None:
    publication = Publication.from_metadata(commit.metadata)
    record_publication(batch, publication, commit.version, count_accepted(batch, publication))


def _done_row(publication: Publication, date: dt.date, version: int) -> dict[str, Any]:
    inputs = publication.dates[date]
    restored = publication.restored.get(date)
    return {
        "business_date": date,
        "status": DateStatus.DONE.value,
        "revision": publication.revisions[date],
        "silver_version": version,
        "inputs_hash": inputs.inputs_hash,
        "drop_dates": sorted(inputs.drop_dates),
        "reason": None if restored is None else f"restored from revision {restored}",
    }


def _put_back(batch: Batch, publication: Publication, problems: Mapping[dt.date, str], version: int) -> None:
    """Gives readers the previous content of dates that do not reconcile."""
    previous = filter_dates(batch.lake.read(SALES, version - 1), "business_date", problems)
    metadata = {
        "job": PUT_BACK,
        "run_id": publication.run_id,
        "dates": {date.isoformat(): problem for date, problem in sorted(problems.items())},
    }
    restored = batch.lake.replace(SALES, previous, problems, metadata)
    rows = []
    for date, problem in sorted(problems.items()):
        reason = f"does not reconcile, previous content put back: {problem}"
        revision = publication.revisions[date] - 1
        batch.outcome.dates[date] = PublishedDate(DateStatus.FAILED, revision, reason=reason)
        batch.outcome.fail(ExitCode.AUDIT, f"date {date} {reason}")
        rows.append(
            {
                "business_date": date,
                "status": DateStatus.FAILED.value,
                "revision": revision,
                "silver_version": restored,
                "reason": reason,
            }
        )
    batch.ledger.record_dates(publication.run_id, rows)
