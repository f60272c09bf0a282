"""What the overview of all runs shows, from the ledger and gold/daily_sales, as plain values."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pyspark.sql import functions as F

from pipeline.lake.ledger import row_order
from pipeline.planning.shown_text import without_lines
from pipeline.report.pages.lake_history import run_positions, was_finished
from pipeline.steps.context import Batch
from schemas.gold import DAILY_SALES, INVOICES
from schemas.states import DateStatus, DropStatus
from schemas.tables import (
    LEDGER_BUILDS,
    LEDGER_CHUNKS,
    LEDGER_DATES,
    LEDGER_DROPS,
    LEDGER_RUNS,
    LEDGER_STAGES,
    LEDGER_TASKS,
)


@dataclass(frozen=True)
class RunLine:
    """A run in one line.

    Attributes:
        run_id: run.
        job: its job.
        status: value of ``RunStatus``.
        exit_code: exit code; None if no end is recorded.
        started_at: start.
        seconds: how long it took; None if no end is recorded.
        lines: lines of its largest stage.
        error: its errors; None if it had none.
        margin_seconds: smallest margin of its stages to their deadlines; None without a deadline.
        is_finished: whether it recorded no end, and a later run of the same command ended well.
    """

    run_id: str
    job: str
    status: str
    exit_code: int | None
    started_at: dt.datetime
    seconds: float | None
    lines: int
    error: str | None
    margin_seconds: float | None
    is_finished: bool = False


@dataclass(frozen=True)
class DateLine:
    """A business date in one line.

    Attributes:
        date: business date.
        state: ``billed``, ``done``, ``blocked`` or ``failed``.
        revision: revision that readers see; 0 if there is none.
        lines: published lines of that revision.
        runs: runs that published, held back or failed it, newest first.
        reason: why it is held back or failed.
    """

    date: dt.date
    state: str
    revision: int
    lines: int
    runs: Sequence[str]
    reason: str | None


@dataclass(frozen=True)
class ChunkLine:
    """The time of a chunk in a run: task seconds, partitions, failed attempts."""

    run_id: str
    chunk: str
    task_seconds: float
    partitions: int
    failed_attempts: int


@dataclass(frozen=True)
class SiteFacts:
    """Everything that the overview shows.

    Attributes:
        lake: URI of the lake.
        runs: all runs, oldest first, in the order in which they held the lake.
        dates: all business dates, in order.
        sales: net sales by currency, date and category.
        rejected: lines and rejected lines of the latest delivery, by drop date.
        chunks: chunks of all runs, by time, slowest first.
    """

    lake: str
    runs: Sequence[RunLine]
    dates: Sequence[DateLine]
    sales: Mapping[str, Mapping[dt.date, Mapping[str, Decimal]]]
    rejected: Mapping[dt.date, tuple[int, int]]
    chunks: Sequence[ChunkLine]


def collect_site(batch: Batch) -> SiteFacts:
    """Reads what the overview shows."""
    runs = _runs(batch)
    return SiteFacts(
        lake=batch.lake.root,
        runs=runs,
        dates=_dates(batch),
        sales=_sales(batch),
        rejected=_rejected(batch),
        chunks=_chunks(batch),
    )


def _runs(batch: Batch) -> list[RunLine]:
    lines: Counter[str] = Counter()
    margins: dict[str, float] = {}
    for row in batch.ledger.rows(LEDGER_STAGES):
        lines[row.run_id] = max(lines[row.run_id], row.lines)
        if row.margin_seconds is not None:
            margins[row.run_id] = min(margins.get(row.run_id, row.margin_seconds), row.margin_seconds)
    last: dict[str, Any] = {}
    for row in batch.ledger.rows(LEDGER_RUNS):
        if row.run_id not in last or row.ended_at is not None:
            last[row.run_id] = row
    positions = run_positions(batch.ledger)
    return [
        RunLine(
            run_id=row.run_id,
            job=row.job,
            status=row.status,
            exit_code=row.exit_code,
            started_at=row.started_at,
            seconds=None if row.ended_at is None else (row.ended_at - row.started_at).total_seconds(),
            lines=lines[row.run_id],
            error=row.error and without_lines(row.error),
            margin_seconds=margins.get(row.run_id),
            is_finished=row.exit_code is None and was_finished(batch.ledger, positions, row),
        )
        for row in sorted(last.values(), key=lambda row: positions[row.run_id])
    ]


def _dates(batch: Batch) -> list[DateLine]:
    rows: dict[dt.date, list[Any]] = defaultdict(list)
    for row in sorted(batch.ledger.rows(LEDGER_DATES), key=row_order):
        rows[row.business_date].append(row)
    billed = {
        row.business_date: row.sales_revision
        for row in sorted(batch.ledger.rows(LEDGER_BUILDS), key=row_order)
        if row.table == INVOICES.name
    }
    published: Counter[tuple[str, dt.date]] = Counter()
    for row in batch.ledger.rows(LEDGER_CHUNKS):
        published[row.run_id, row.business_date] += row.published
    return [_date(date, own, billed.get(date), published) for date, own in sorted(rows.items())]


def _date(
    date: dt.date, rows: Sequence[Any], billed: int | None, published: Mapping[tuple[str, dt.date], int]
) -> DateLine:
    last, done = rows[-1], [row for row in rows if row.status == DateStatus.DONE]
    revision = done[-1].revision if done else 0
    # A migration records a date again, without its chunks: they are those of the run that published it.
    keys = [(row.run_id, date) for row in reversed(done) if row.revision == revision]
    is_billed = last.status == DateStatus.DONE and billed == revision
    return DateLine(
        date=date,
        state="billed" if is_billed else last.status,
        revision=revision,
        lines=next((published[key] for key in keys if key in published), 0),
        runs=list(dict.fromkeys(row.run_id for row in reversed(rows))),
        reason=last.reason and without_lines(last.reason),
    )


def _sales(batch: Batch) -> dict[str, dict[dt.date, dict[str, Decimal]]]:
    """Net sales, summed by Spark: a year has some thousand sums."""
    if not batch.lake.exists(DAILY_SALES):
        return {}
    sums = (
        batch.lake.read(DAILY_SALES)
        .groupBy("currency", "business_date", "category")
        .agg(F.sum("net_amount").alias("net"))
    )
    sales: dict[str, dict[dt.date, dict[str, Decimal]]] = {}
    # In order: the digest of a page is that of its facts, and Spark's groups come in any order.
    for row in sorted(sums.collect(), key=lambda row: (row.currency, row.business_date, row.category or "")):
        day = sales.setdefault(row.currency, {}).setdefault(row.business_date, {})
        # A category may have the name of those without one.
        name = row.category or "none"
        day[name] = day.get(name, Decimal(0)) + row.net
    return sales


def _rejected(batch: Batch) -> dict[dt.date, tuple[int, int]]:
    rows = sorted(batch.ledger.rows(LEDGER_DROPS), key=row_order)
    ingested = (row for row in rows if row.status in (DropStatus.INGESTED, DropStatus.BLOCKED))
    latest = {row.drop_date: (row.lines or 0, row.rejected or 0) for row in ingested}
    return dict(sorted(latest.items()))


def _chunks(batch: Batch) -> list[ChunkLine]:
    chunks = [
        ChunkLine(row.run_id, row.chunk, row.task_seconds, row.partitions, row.failed_attempts)
        for row in batch.ledger.rows(LEDGER_TASKS)
    ]
    return sorted(chunks, key=lambda chunk: (-chunk.task_seconds, chunk.run_id, chunk.chunk))
