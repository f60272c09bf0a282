"""Publish: accepted lines of bronze to ``silver/sales``; readers see a date's old revision or its new one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from batch.context import Batch, PublishedDate
from batch.recording import JOB, Publication, record_publication, recover_publications
from batch.window import Window
from batch.writing import write_sales
from lake.causes import cause_of, is_of_the_place
from lake.tables import filter_dates
from planning.recovery import is_lost_worker
from planning.staleness import DateInputs, DateState, date_inputs, held_back_dates, no_inputs, stale_dates
from planning.windows import split_failed, windows
from schemas.errors import TryAgainError
from schemas.states import DateStatus, ExitCode, Stage
from schemas.tables import CONFLICTS, SALES


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
    pinned = _pin(batch)
    drops, published = batch.ledger.drops(), pinned.published
    inputs = date_inputs(drops.values())
    known = set(inputs) | {date for date, state in published.items() if state.revision}
    stale = stale_dates(inputs, published) | {date for date in known if date in again}
    stale = {date for date in stale if date in asked}
    held = held_back_dates(drops.values(), published, set(unready))
    _record_held_back(batch, stale & set(held), held, published)
    wanted = [inputs.get(date) or no_inputs(date) for date in sorted(stale - set(held))]
    if batch.dry_run:
        for window in windows(wanted, batch.settings.publish.max_lines_per_window):
            _plan_only(batch, window, pinned)
    elif wanted:
        _publish_all(batch, wanted, pinned)


def _publish_all(batch: Batch, dates: list[DateInputs], pinned: _Pinned) -> None:
    """Publishes dates, window by window."""
    lines = sum(date.lines for date in dates)
    due = [date.date for date in dates if _has_deadline(batch, date.date, pinned)]
    try:
        with batch.timetable.stage(Stage.PUBLISH, len(dates), lines, due):
            for window in windows(dates, batch.settings.publish.max_lines_per_window):
                _publish_window(batch, window, pinned)
                batch.timetable.advance(sum(date.lines for date in window))
    except Exception:
        # Which chunk, where, why: asked above all of a run that failed. Its own error goes before this one's.
        with suppress(Exception):
            _record_tasks(batch)
        raise
    _record_tasks(batch)


def _has_deadline(batch: Batch, date: dt.date, pinned: _Pinned) -> bool:
    """Whether a date is published for the first time and is no history: a restatement is due at no time."""
    return not pinned.revision(date) and not batch.settings.late.is_history(date)


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
    batch.ledger.forget()
    recover_publications(batch)
    version = batch.ledger.last_bronze_version()
    return _Pinned(sequence, version if version >= 0 else None, batch.ledger.dates())


def _plan_only(batch: Batch, dates: list[DateInputs], pinned: _Pinned) -> None:
    window = Window(batch, dates, pinned.bronze_version)
    for date in dates:
        batch.outcome.planned.append(
            f"publish {date.date}: {date.lines} lines of {len(date.drop_dates)} drops"
        )
    for chunk, span in window.plan.spans.items():
        lines = sum(measure.lines for cell, measure in window.received.items() if cell.chunk == chunk)
        batch.outcome.planned.append(f"chunk {chunk}: {lines} lines, {span.count} partitions")
    batch.outcome.spans = dict(window.plan.spans)


def _publish_window(batch: Batch, dates: list[DateInputs], pinned: _Pinned) -> None:
    """Publishes a window; where it fails for its data, its parts, so that only the failing date stays."""
    try:
        _publish_dates(batch, dates, pinned)
    except TryAgainError:
        raise
    except Exception as error:
        if is_of_the_place(error) or is_lost_worker(str(error)):
            raise
        if len(dates) > 1:
            parts = split_failed(dates)
            batch.tell(f"the window failed: publishing its {len(dates):,} dates in {len(parts)} parts")
            for part in parts:
                _publish_window(batch, part, pinned)
            return
        _record_failed(batch, dates[0].date, pinned.revision(dates[0].date), cause_of(error))


def _record_failed(batch: Batch, date: dt.date, revision: int, cause: str) -> None:
    batch.outcome.dates[date] = PublishedDate(DateStatus.FAILED, revision, reason=cause)
    batch.outcome.fail(ExitCode.SOME_DATES_FAILED, f"date {date} failed: {cause}")
    batch.ledger.record_dates(batch.run_id, [date_row(date, DateStatus.FAILED, revision, cause)])


def _publish_dates(batch: Batch, dates: list[DateInputs], pinned: _Pinned) -> None:
    window = Window(batch, dates, pinned.bronze_version)
    try:
        lines = sum(date.lines for date in dates)
        batch.tell(f"planning {window.span}, {lines:,} lines{batch.timetable.left()}")
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


def _commit(batch: Batch, window: Window, pinned: _Pinned) -> None:
    sequence = pinned.sequence + 1
    publication = _publication(batch, window, sequence, pinned)
    if batch.lake.transaction(SALES, JOB) >= sequence:
        # Before the conflicts, too: those of the run that was first are not ours to replace.
        raise TryAgainError("silver/sales: another run published first; run again")
    _replace_conflicts(batch, window, publication)
    window.prepare()
    version = write_sales(batch, window, publication)
    if version is None:
        raise TryAgainError("silver/sales: another run published first; run again")
    pinned.sequence = sequence
    batch.tell(f"reconciling {window.span}")
    record_publication(batch, publication, version, window.received)


def _publication(batch: Batch, window: Window, sequence: int, pinned: _Pinned) -> Publication:
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


def _replace_conflicts(batch: Batch, window: Window, publication: Publication) -> None:
    """Commits the lines left out, before the sales: what readers see of a date is accounted for already."""
    dates = publication.dates
    batch.lake.ensure(CONFLICTS)  # a reader finds it empty, not missing, where nothing ever conflicted
    held = filter_dates(batch.lake.read(CONFLICTS), "business_date", dates)
    if not window.left_out and held.isEmpty():
        return
    # One file a date, not one of each task that kept some.
    conflicts = (
        held.limit(0) if window.conflicts is None else window.conflicts.hint("rebalance", "business_date")
    )
    batch.lake.replace(CONFLICTS, conflicts, dates, publication.as_metadata())


def _record_tasks(batch: Batch) -> None:
    rows = [{"chunk": chunk, **tasks.as_columns()} for chunk, tasks in sorted(batch.outcome.chunks.items())]
    batch.ledger.record_tasks(batch.run_id, rows)
