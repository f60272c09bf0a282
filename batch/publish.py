"""Publish: accepted lines of bronze to ``silver/sales``; readers see a date's old revision or its new one."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch.context import Batch, PublishedDate
from batch.recording import Publication, count_cells, count_left_out, record_publication, recover_publications
from lake.frames import local_frame
from lake.tables import filter_dates
from lake.tasks import ChunkTasks, TaskWatch
from planning.reconciliation import Cell, Measure, conflict_shares, reconcile
from planning.staleness import DateInputs, DateState, date_inputs, held_back_dates, no_inputs, stale_dates
from planning.windows import partition_spans, windows
from schemas.errors import SalesBatchError, TryAgainError
from schemas.states import DateStatus, ExitCode, ValidationStatus
from schemas.tables import CONFLICTS, RECEIVED_SALES, SALES
from transforms.control_totals import count_conflicts, count_received
from transforms.copies import (
    find_conflicts,
    find_crossing_keys,
    find_differing_keys,
    find_late_resends,
    without_late_resends,
)
from transforms.publication import LINE_COLUMNS, ChunkPlan, published_sales, with_chunk

JOB = "publish_sales"

# Errors that the next date would meet too.
_OF_THE_PLACE = (
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
    "SparkContext was",
)


def publish(
    batch: Batch,
    asked: Container[dt.date],
    unready: Iterable[dt.date] = (),
    again: Container[dt.date] = (),
) -> None:
    """Publishes every stale business date.

    Args:
        batch: the run.
        asked: business dates to which it is limited.
        unready: drops that were asked for and are not there yet; their own dates wait for them.
        again: business dates that are published again though their inputs are unchanged.
    """
    recover_publications(batch)
    pinned = _pin(batch)
    drops, published = batch.ledger.drops(), pinned.published
    inputs = date_inputs(drops.values())
    known = set(inputs) | {date for date, state in published.items() if state.revision}
    stale = stale_dates(inputs, published) | {date for date in known if date in again}
    stale = {date for date in stale if date in asked}
    held = held_back_dates(drops.values(), published, set(unready))
    _record_held_back(batch, stale & set(held), held, published)
    wanted = [inputs.get(date) or no_inputs(date) for date in sorted(stale - set(held))]
    for window in windows(wanted, batch.settings.publish.max_lines_per_window):
        if batch.dry_run:
            _plan_only(batch, window, pinned)
        else:
            _publish_window(batch, window, pinned)
    _record_tasks(batch)


def dates_of_drops(batch: Batch, drop_dates: Container[dt.date]) -> set[dt.date]:
    """Business dates that bronze's lines of some drops belong to."""
    drops = batch.ledger.drops().values()
    return {content.business_date for drop in drops if drop.date in drop_dates for content in drop.content}


def _record_held_back(
    batch: Batch, dates: set[dt.date], reasons: Mapping[dt.date, str], published: Mapping[dt.date, DateState]
) -> None:
    rows = []
    for date in sorted(dates):
        state = published.get(date)
        revision = 0 if state is None else state.revision
        batch.outcome.dates[date] = PublishedDate(DateStatus.BLOCKED, revision, reason=reasons[date])
        rows.append(date_row(date, DateStatus.BLOCKED, revision, reasons[date]))
    if not batch.dry_run:
        batch.ledger.record_dates(batch.run_id, rows)
    if rows and not batch.outcome.codes:
        batch.outcome.fail(ExitCode.AUDIT, f"{len(rows)} dates wait for drops that are blocked or failed")


def date_row(date: dt.date, status: DateStatus, revision: int, reason: str) -> dict[str, Any]:
    """A row of ``ledger/dates`` of a date that was not published."""
    return {"business_date": date, "status": status.value, "revision": revision, "reason": reason}


@dataclass
class _Pinned:
    """What a run goes by, as it was when it began: another run's commits after that make it end with 75.

    Attributes:
        sequence: number of the last publication.
        bronze_version: version of bronze that the ledger's drops tell of.
        published: dates as they are published.
    """

    sequence: int
    bronze_version: int | None
    published: Mapping[dt.date, DateState]

    def revision(self, date: dt.date) -> int:
        """Revision of a date that readers see; 0 where there is none."""
        return self.published[date].revision if date in self.published else 0


def _pin(batch: Batch) -> _Pinned:
    # The sequence before the ledger: a publication between the two is then found out, not passed over.
    sequence = batch.lake.transaction(SALES, JOB)
    version = batch.ledger.last_bronze_version()
    return _Pinned(sequence, version if version >= 0 else None, batch.ledger.dates())


@dataclass
class _Window:
    """The lines of a window of dates, and what planning found in them."""

    batch: Batch
    dates: list[DateInputs]
    bronze_version: int | None

    @cached_property
    def lines(self) -> DataFrame:
        """Accepted lines with their chunk, late resends among them."""
        chunks = self.batch.settings.chunks
        lines = _accepted(
            self.batch, self.bronze_version, {d for date in self.dates for d in date.drop_dates}
        )
        lines = filter_dates(lines, "business_date", [date.date for date in self.dates])
        return with_chunk(lines.select(*LINE_COLUMNS), chunks.key, chunks.key_ranges)

    @cached_property
    def late_resends(self) -> DataFrame | None:
        """Adjustments that an earlier drop holds already; None where no date has adjustments."""
        sale_dates = {sale_date for date in self.dates for sale_date in date.adjusted_sale_dates}
        if not sale_dates:
            return None
        earlier = filter_dates(_accepted(self.batch, self.bronze_version, None), "sale_date", sale_dates)
        adjustments = self.lines.filter("is_adjustment")
        return find_late_resends(adjustments, earlier).persist()

    @cached_property
    def candidates(self) -> DataFrame:
        """Lines that are published or are copies of one that is."""
        late = self.late_resends
        return self.lines if late is None else without_late_resends(self.lines, late)

    @cached_property
    def differing_keys(self) -> DataFrame:
        """Keys whose copies differ."""
        return find_differing_keys(self.candidates).persist()

    @cached_property
    def conflicts(self) -> DataFrame:
        """Lines for ``silver/conflicts``."""
        conflicts = find_conflicts(self.candidates, self.differing_keys)
        late = self.late_resends
        return (conflicts if late is None else conflicts.unionByName(late.drop("key_hash"))).persist()

    @cached_property
    def received(self) -> dict[Cell, Measure]:
        """Lines and control totals received."""
        return count_cells(count_received(self.lines))

    @cached_property
    def has_copies_that_differ(self) -> bool:
        """Whether anything at all is to be left out other than equal copies."""
        if not self.differing_keys.isEmpty():
            return True
        return self.late_resends is not None and not self.late_resends.isEmpty()

    @cached_property
    def left_out(self) -> dict[tuple[Cell, str], Measure]:
        """Lines and control totals that go to ``silver/conflicts``, by outcome."""
        return count_left_out(count_conflicts(self.conflicts)) if self.has_copies_that_differ else {}

    @cached_property
    def plan(self) -> ChunkPlan:
        """Chunks and their Spark partitions."""
        chunks = self.batch.settings.chunks
        lines: dict[str, int] = {}
        for cell, measure in self.received.items():
            lines[cell.chunk] = lines.get(cell.chunk, 0) + measure.lines
        return ChunkPlan(
            chunks.key, chunks.key_ranges, partition_spans(lines, chunks.target_rows_per_partition)
        )

    def over_conflict_share(self) -> dict[dt.date, float]:
        """Dates whose share of conflicts is more than the config allows."""
        shares = conflict_shares(reconcile(self.received, {}, {}, self.left_out))
        allowed = self.batch.settings.audit.max_conflict_share
        return {date: share for date, share in shares.items() if share > allowed}

    def sales(self) -> DataFrame:
        """The lines to publish."""
        if not self.plan.spans:
            return local_frame(self.batch.spark, SALES.schema)
        crossing = (
            find_crossing_keys(self.candidates, self.differing_keys) if self.has_copies_that_differ else None
        )
        return published_sales(self.candidates, self.plan, crossing)

    def release(self) -> None:
        """Frees what was kept in memory."""
        for frame in ("late_resends", "differing_keys", "conflicts"):
            kept = self.__dict__.get(frame)
            if kept is not None:
                kept.unpersist()


def _accepted(batch: Batch, version: int | None, drop_dates: set[dt.date] | None) -> DataFrame:
    received = batch.lake.read(RECEIVED_SALES, version)
    if drop_dates is not None:
        received = filter_dates(received, "drop_date", drop_dates)
    return received.filter(F.col("validation_status") == ValidationStatus.ACCEPTED.value)


def _plan_only(batch: Batch, dates: list[DateInputs], pinned: _Pinned) -> None:
    window = _Window(batch, dates, pinned.bronze_version)
    for date in dates:
        batch.outcome.planned.append(
            f"publish {date.date}: {date.lines} lines of {len(date.drop_dates)} drops"
        )
    for chunk, span in window.plan.spans.items():
        lines = sum(measure.lines for cell, measure in window.received.items() if cell.chunk == chunk)
        batch.outcome.planned.append(f"chunk {chunk}: {lines} lines, {span.count} partitions")
    batch.outcome.spans = dict(window.plan.spans)


def _publish_window(batch: Batch, dates: list[DateInputs], pinned: _Pinned) -> None:
    """Publishes a window; where it fails for its data, its dates one by one, so that only that one stays."""
    try:
        _publish_dates(batch, dates, pinned)
    except TryAgainError:
        raise
    except Exception as error:
        if any(text in str(error) for text in _OF_THE_PLACE):
            raise
        if len(dates) > 1:
            batch.tell("the window failed: publishing its dates one by one")
            for date in dates:
                _publish_window(batch, [date], pinned)
            return
        _record_failed(batch, dates[0].date, pinned.revision(dates[0].date), cause_of(error))


def cause_of(error: Exception) -> str:
    """First cause of an error, in one line."""
    if isinstance(error, SalesBatchError):
        return str(error)
    # py4j's own first line names a call, and only the next one what went wrong.
    text = re.sub(r"^An error occurred while calling .*\n: ", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("Caused by:")]
    return (causes[-1] if causes else lines[0] if lines else type(error).__name__)[:500]


def _record_failed(batch: Batch, date: dt.date, revision: int, cause: str) -> None:
    batch.outcome.dates[date] = PublishedDate(DateStatus.FAILED, revision, reason=cause)
    batch.outcome.fail(ExitCode.SOME_DATES_FAILED, f"date {date} failed: {cause}")
    batch.ledger.record_dates(batch.run_id, [date_row(date, DateStatus.FAILED, revision, cause)])


def _publish_dates(batch: Batch, dates: list[DateInputs], pinned: _Pinned) -> None:
    window = _Window(batch, dates, pinned.bronze_version)
    try:
        batch.tell(f"planning {_span(dates)}, {sum(date.lines for date in dates):,} lines")
        over = window.over_conflict_share()
        if over:
            _record_over_conflict_share(batch, over, pinned)
            rest = [date for date in dates if date.date not in over]
            if rest:
                _publish_dates(batch, rest, pinned)
            return
        _commit(batch, window, pinned)
    finally:
        window.release()


def _span(dates: list[DateInputs]) -> str:
    return str(dates[0].date) if len(dates) == 1 else f"{dates[0].date} to {dates[-1].date}"


def _record_over_conflict_share(batch: Batch, over: Mapping[dt.date, float], pinned: _Pinned) -> None:
    rows = []
    allowed = batch.settings.audit.max_conflict_share
    for date, share in sorted(over.items()):
        revision = pinned.revision(date)
        reason = f"{share:.2%} of its lines conflict, audit.max_conflict_share allows {allowed:.2%}"
        batch.outcome.dates[date] = PublishedDate(DateStatus.BLOCKED, revision, reason=reason)
        batch.outcome.fail(ExitCode.AUDIT, f"date {date} is blocked: {reason}")
        rows.append(date_row(date, DateStatus.BLOCKED, revision, reason))
    batch.ledger.record_dates(batch.run_id, rows)


def _commit(batch: Batch, window: _Window, pinned: _Pinned) -> None:
    sequence = pinned.sequence + 1
    publication = _publication(batch, window, sequence, pinned)
    if batch.lake.transaction(SALES, JOB) >= sequence:
        # Before the conflicts, too: those of the run that was first are not ours to replace.
        raise TryAgainError("silver/sales: another run published first; run again")
    _replace_conflicts(batch, window, publication)
    plan = window.plan
    batch.tell(f"publishing {_span(window.dates)} in {plan.partitions} partitions")
    watch = TaskWatch(batch.spark, f"{batch.run_id}-{sequence}", f"publish {_span(window.dates)}")
    version = batch.lake.replace(
        SALES, window.sales(), publication.dates, publication.as_metadata(), transaction=(JOB, sequence)
    )
    if version is None:
        raise TryAgainError("silver/sales: another run published first; run again")
    pinned.sequence = sequence
    for chunk, tasks in watch.chunk_tasks(plan.spans).items():
        batch.outcome.chunks.setdefault(chunk, ChunkTasks()).add(tasks)
    batch.outcome.spans = dict(plan.spans)
    batch.tell(f"reconciling {_span(window.dates)}")
    record_publication(batch, publication, version, window.received)


def _publication(batch: Batch, window: _Window, sequence: int, pinned: _Pinned) -> Publication:
    revisions = {date.date: pinned.revision(date.date) + 1 for date in window.dates}
    return Publication(
        run_id=batch.run_id,
        sequence=sequence,
        bronze_version=window.bronze_version,
        chunk_key=batch.settings.chunks.key,
        chunk_ranges=batch.settings.chunks.ranges,
        dates={date.date: date for date in window.dates},
        revisions=revisions,
    )


def _replace_conflicts(batch: Batch, window: _Window, publication: Publication) -> None:
    """Commits the lines left out, before the sales: what readers see of a date is accounted for already."""
    dates = publication.dates
    held = filter_dates(batch.lake.read(CONFLICTS), "business_date", dates)
    if not window.has_copies_that_differ and (not batch.lake.exists(CONFLICTS) or held.isEmpty()):
        return
    conflicts = window.conflicts if window.has_copies_that_differ else held.limit(0)
    batch.lake.replace(CONFLICTS, conflicts, dates, publication.as_metadata())


def _record_tasks(batch: Batch) -> None:
    rows = [{"chunk": chunk, **tasks.as_columns()} for chunk, tasks in sorted(batch.outcome.chunks.items())]
    batch.ledger.record_tasks(batch.run_id, rows)
