"""Publish: writes accepted lines of bronze to ``silver/sales``. Readers see a date's old or new revision."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection, Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pipeline.lake.causes import cause_of, is_environment_error
from pipeline.lake.evaluation import evaluation_for
from pipeline.planning.dependencies import Dependencies, PublishPlan
from pipeline.planning.recovery import is_lost_worker
from pipeline.planning.staleness import (
    DateInputs,
    DateState,
    DropState,
    date_inputs,
    misplaced_dates,
    stale_dates,
)
from pipeline.planning.windows import sized_windows, split_failed
from pipeline.steps.context import Batch, PublishedDate
from pipeline.steps.ingest import check_all_validated
from pipeline.steps.publish_commit import PublishCommit
from pipeline.steps.publish_window import PublishWindow
from pipeline.steps.received import settled_version
from pipeline.steps.recording import record_publication, undo_conflicts
from pipeline.steps.writing import write_sales
from schemas.errors import AuditError, TryAgainError
from schemas.states import DateStatus, DropReason, DropStatus, ExitCode, Stage
from schemas.tables import CONFLICTS, SALES

_LOG = logging.getLogger(__name__)

Groups = list[list[DateInputs]]


def publish(
    batch: Batch,
    requested: Container[dt.date],
    not_ready: Iterable[dt.date] = (),
    force: Container[dt.date] = (),
) -> None:
    """Publishes every stale business date.

    Args:
        batch: the run.
        requested: business dates to which the publish is limited.
        not_ready: requested drops that have not arrived yet; their own dates wait for them.
        force: business dates to publish again even if their inputs are unchanged.
    """
    check_all_validated(batch)
    drops, published = batch.ledger.drops(), batch.ledger.dates()
    inputs = date_inputs(drops.values(), batch.drop_chunkings(), published)
    known = set(inputs) | {date for date, state in published.items() if state.revision}
    stale = stale_dates(inputs, published)
    placed = misplaced_dates(inputs, published) | {date for date in known if date in force}
    # A forced restored date is published from bronze again, so its content changes.
    stale |= {date for date in placed if date in published and published[date].is_restored}
    links = Dependencies(drops.values(), inputs, published)
    wanted = {date for date in stale | placed if date in requested or date in force}
    plan = links.plan(stale, wanted, set(not_ready), placed & wanted)
    publishing = _Publishing(batch, links, stale, published, dict(plan.held), settled_version(batch))
    if plan.added:
        _LOG.info(
            f"{len(plan.added)} more dates are published: they share sale dates with the requested ones"
        )
    publishing.record_held_back(_held_by_refused(links, drops.values(), requested, plan) | plan.held)
    if batch.dry_run:
        for window in publishing.windows(plan.groups):
            publishing.plan_only(window)
    elif plan.groups:
        publishing.publish_all(plan.groups)


def _held_by_refused(
    links: Dependencies, drops: Iterable[DropState], requested: Container[dt.date], plan: PublishPlan
) -> dict[dt.date, str]:
    """Dates that a refused delivery would have changed, with the reason why they keep their revision."""
    refused = {
        content.business_date
        for drop in drops
        if drop.status is DropStatus.BLOCKED
        for content in (*drop.refused, *drop.content)
        if content.business_date in requested
    }
    planned = {inputs.date for group in plan.groups for inputs in group}
    return links.held_back(refused - planned, ())


def republish_wrong(batch: Batch, wrong: Collection[dt.date]) -> None:
    """Publishes dates with wrong content again, even if a refused drop holds them back.

    Only a drop whose accepted lines are lost still holds its dates back.

    Args:
        batch: the run.
        wrong: dates whose content differs from what bronze gives.
    """
    drops = [_without_trouble(drop) for drop in batch.ledger.drops().values()]
    published = batch.ledger.dates()
    inputs = date_inputs(drops, batch.drop_chunkings(), published)
    stale = stale_dates(inputs, published) | {date for date in wrong if date in inputs or date in published}
    # A date that is only stale must wait for the drops that hold it back, as in every run.
    true_links = Dependencies(batch.ledger.drops().values(), inputs, published)
    stale -= set(true_links.held_back(stale - set(wrong), ()))
    links = Dependencies(drops, inputs, published)
    plan = links.plan(stale, {date for date in wrong if date in stale}, ())
    publishing = _Publishing(batch, links, stale, published, dict(plan.held), settled_version(batch))
    publishing.record_held_back(plan.held)
    if plan.groups:
        publishing.publish_all(plan.groups)


def _without_trouble(drop: DropState) -> DropState:
    """The drop as if its accepted delivery were its last one; unchanged if bronze lost the accepted lines."""
    is_lost = drop.status is DropStatus.FAILED and (
        not drop.content or drop.reason_code is DropReason.LOST_LINES
    )
    return drop if is_lost else replace(drop, status=DropStatus.INGESTED, refused=())


def dates_of_drops(batch: Batch, drop_dates: Container[dt.date]) -> set[dt.date]:
    """Business dates of the lines that bronze holds of the given drops."""
    drops = batch.ledger.drops().values()
    return {content.business_date for drop in drops if drop.date in drop_dates for content in drop.content}


def date_row(date: dt.date, status: DateStatus, revision: int, reason: str) -> dict[str, Any]:
    """The row in ``ledger/dates`` for a date that was not published."""
    return {"business_date": date, "status": status.value, "revision": revision, "reason": reason}


@dataclass
class _Publishing:
    """A publish in progress.

    Attributes:
        batch: the run.
        links: which dates depend on which.
        stale: dates whose content changes, by the ledger at the start of the publish.
        published: dates as they were published at the start.
        lost: why dates keep their revision, by date: they were held back or failed.
        bronze_version: version of bronze to read; None if there is none.
    """

    batch: Batch
    links: Dependencies
    stale: set[dt.date]
    published: Mapping[dt.date, DateState]
    lost: dict[dt.date, str]
    bronze_version: int | None

    @cached_property
    def mates(self) -> list[list[dt.date]]:
        """Groups of stale dates that must change in one commit."""
        return self.links.groups(self.stale)

    def revision(self, date: dt.date) -> int:
        """The revision of a date that readers see; 0 if it was never published."""
        return self.published[date].revision if date in self.published else 0

    def windows(self, groups: Groups) -> list[Groups]:
        """The groups, in order, split into windows; each window is published in one commit."""
        max_lines = self.batch.settings.publish.max_lines_per_window
        return sized_windows(groups, _lines, max_lines)

    def publish_all(self, groups: Groups) -> None:
        """Publishes groups of dates, window by window."""
        batch, dates = self.batch, [date for group in groups for date in group]
        due = [date.date for date in dates if self._has_deadline(date.date)]
        try:
            stage = batch.timetable.stage(Stage.PUBLISH, len(dates), sum(d.lines for d in dates), due)
            with stage, evaluation_for(batch.spark, self._lines_to_read(dates)):
                for window in self.windows(groups):
                    self._publish_window(window)
                    batch.timetable.advance(sum(map(_lines, window)))
        except Exception:
            # Record the tasks of a failed run too: they name the failed chunk. Keep the original error.
            with suppress(Exception):
                _record_tasks(batch)
            raise
        _record_tasks(batch)

    def _lines_to_read(self, dates: Iterable[DateInputs]) -> int:
        """Accepted lines of all drops that a publish of these dates reads."""
        drops = self.batch.ledger.drops()
        read = {drop for date in dates for drop in date.drop_dates | date.resent_drop_dates}
        return sum(drops[drop].lines for drop in read)

    def record_held_back(self, reasons: Mapping[dt.date, str]) -> None:
        """Records dates that are held back, each with its reason."""
        batch, rows = self.batch, []
        for date, reason in sorted(reasons.items()):
            revision = self.revision(date)
            batch.outcome.dates[date] = PublishedDate(DateStatus.BLOCKED, revision, reason=reason)
            rows.append(date_row(date, DateStatus.BLOCKED, revision, reason))
        if not batch.dry_run:
            batch.ledger.record_dates(batch.run_id, rows)
        if rows and not batch.outcome.codes:
            first = min(reasons)
            batch.outcome.fail(ExitCode.AUDIT, f"{len(rows)} dates are held back; {first}: {reasons[first]}")

    def plan_only(self, groups: Groups) -> None:
        """Describes how a window would be published, for a dry run."""
        batch, window = self.batch, PublishWindow(self.batch, groups, self.bronze_version)
        for date in window.dates:
            batch.outcome.planned.append(
                f"publish {date.date}: {date.lines} lines of {len(date.drop_dates)} drops"
            )
        for chunk, span in window.plan.spans.items():
            lines = window.chunk_lines[chunk]
            batch.outcome.planned.append(f"chunk {chunk}: {lines} lines, {span.count} partitions")
        batch.outcome.spans = dict(window.plan.spans)

    def _has_deadline(self, date: dt.date) -> bool:
        """Whether a date is published for the first time and is no history. A restatement has no deadline."""
        return not self.revision(date) and not self.batch.settings.late.is_history(date)

    def _publish_window(self, groups: Groups) -> None:
        """Publishes a window. If its data makes it fail, publishes its parts, so that only bad dates fail."""
        groups = [group for group in self._without_dependents(groups) if group]
        if not groups:
            return
        try:
            self._publish_groups(groups)
        except TryAgainError:
            raise
        except Exception as error:
            if is_environment_error(error) or is_lost_worker(str(error)):
                raise
            if len(groups) > 1:
                parts = split_failed(groups)
                _LOG.info(f"the window failed: publishing its {len(groups):,} parts one by one")
                for part in parts:
                    self._publish_window(part)
                return
            self._record_failed(groups[0], error)

    def _without_dependents(self, groups: Groups) -> Groups:
        """The groups that depend on no lost date. The others are held back."""
        chosen = {inputs.date for group in groups for inputs in group}
        lost = {date for date in self.lost if date in self.stale}
        held_back = self.links.dependents(lost, chosen, self.mates, self.lost)
        held_back = {date: reason for date, reason in held_back.items() if date not in self.lost}
        if held_back:
            self.lost |= held_back
            self.record_held_back(held_back)
        return [group for group in groups if not any(inputs.date in held_back for inputs in group)]

    def _record_failed(self, group: list[DateInputs], error: Exception) -> None:
        batch, cause, rows = self.batch, cause_of(error), []
        code = error.exit_code if isinstance(error, AuditError) else ExitCode.SOME_DATES_FAILED
        for inputs in group:
            date, revision = inputs.date, self.revision(inputs.date)
            self.lost[date] = f"it failed: {cause}"
            batch.outcome.dates[date] = PublishedDate(DateStatus.FAILED, revision, reason=cause)
            rows.append(date_row(date, DateStatus.FAILED, revision, cause))
        dates = ", ".join(str(inputs.date) for inputs in group)
        batch.outcome.fail(code, f"date {dates} failed: {cause}")
        batch.ledger.record_dates(batch.run_id, rows)

    def _publish_groups(self, groups: Groups) -> None:
        window = PublishWindow(self.batch, groups, self.bronze_version)
        self.batch.timetable.begin_window(date.date for date in window.dates)
        try:
            lines = sum(map(_lines, groups))
            _LOG.info(f"planning {window.span}, {lines:,} lines{self.batch.timetable.left()}")
            window.check_received()
            over = window.over_conflict_share()
            if over:
                self._record_over_conflict_share(over)
                self._publish_window([[date for date in group if date.date not in over] for group in groups])
                return
            self._commit(window)
        finally:
            window.release()

    def _record_over_conflict_share(self, over: Mapping[dt.date, float]) -> None:
        batch, rows = self.batch, []
        allowed = batch.settings.audit.max_conflict_share
        for date, share in sorted(over.items()):
            revision = self.revision(date)
            reason = f"{share:.2%} of its lines conflict, audit.max_conflict_share allows {allowed:.2%}"
            self.lost[date] = reason
            batch.outcome.dates[date] = PublishedDate(DateStatus.BLOCKED, revision, reason=reason)
            batch.outcome.fail(ExitCode.AUDIT, f"date {date} is blocked: {reason}")
            rows.append(date_row(date, DateStatus.BLOCKED, revision, reason))
        batch.ledger.record_dates(batch.run_id, rows)

    def _commit(self, window: PublishWindow) -> None:
        batch = self.batch
        publication = self._publication(window)
        try:
            _replace_conflicts(batch, window, publication)
            window.prepare()
            version = write_sales(batch, window, publication)
        except Exception:
            # If the undo fails, the next run does it: for example, this run may have lost the lake's lock.
            with suppress(Exception):
                undo_conflicts(batch)
            raise
        _LOG.info(f"reconciling {window.span}")
        record_publication(batch, publication, version, window.received)
        for date in publication.dates:
            if batch.outcome.dates[date].status is not DateStatus.DONE:
                self.lost[date] = batch.outcome.dates[date].reason or "it failed"

    def _publication(self, window: PublishWindow) -> PublishCommit:
        return PublishCommit(
            run_id=self.batch.run_id,
            sequence=self.batch.lake.next_number(SALES),
            bronze_version=window.bronze_version,
            dates={date.date: date for date in window.dates},
            revisions={date.date: self.revision(date.date) + 1 for date in window.dates},
            groups={date.date: number for number, group in enumerate(window.groups) for date in group},
        )


def _lines(group: list[DateInputs]) -> int:
    return sum(date.lines for date in group)


def _replace_conflicts(batch: Batch, window: PublishWindow, publication: PublishCommit) -> None:
    """Commits the conflicts before the sales, so that readers of the sales find every line accounted for."""
    dates = publication.dates
    batch.lake.ensure(CONFLICTS)  # readers then find an empty table, not a missing one
    current = batch.lake.read_dates(CONFLICTS, dates)
    if not window.left_out and current.isEmpty():
        return
    # Without the hint, each task writes a file for each date.
    conflicts = (
        current.limit(0) if window.conflicts is None else window.conflicts.hint("rebalance", "business_date")
    )
    batch.lake.replace(CONFLICTS, conflicts, dates, publication.to_commit_metadata())


def _record_tasks(batch: Batch) -> None:
    rows = [{"chunk": chunk, **tasks.as_columns()} for chunk, tasks in sorted(batch.outcome.chunks.items())]
    batch.ledger.record_tasks(batch.run_id, rows)
