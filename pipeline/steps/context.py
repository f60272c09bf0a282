"""What the steps of a batch share: settings, tables, what was asked for, and what came out so far."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import SparkSession

from pipeline.lake.ledger import IngestAudit, Ledger
from pipeline.lake.tables import Lake
from pipeline.landing.landing import Landing
from pipeline.planning.pinned import Chunking, PinnedSettings
from pipeline.planning.reconciliation import Balance, ReconciliationKey
from pipeline.planning.recovery import ChunkTasks
from pipeline.settings import Settings
from pipeline.steps.timetable import Timetable
from schemas.drops import IngestedDrop
from schemas.partitions import PartitionSpan
from schemas.states import EXIT_CODE_PRECEDENCE, DateStatus, ExitCode
from transforms.received import ValidationConfig


@dataclass(frozen=True)
class DateRange:
    """Dates that a command asks for, both ends inclusive; None is open."""

    first: dt.date | None = None
    last: dt.date | None = None

    def __contains__(self, date: object) -> bool:
        """Whether a date is asked for."""
        if not isinstance(date, dt.date):
            return False
        return (self.first is None or date >= self.first) and (self.last is None or date <= self.last)

    def days(self) -> list[dt.date]:
        """Every date of the range; none where an end is open: what is there decides then."""
        if self.first is None or self.last is None:
            return []
        return [self.first + dt.timedelta(days=n) for n in range((self.last - self.first).days + 1)]


@dataclass(frozen=True)
class PublishedDate:
    """What became of a business date in this run.

    Attributes:
        status: outcome.
        revision: of the content that readers now see; 0 where there is none.
        shares: lines and totals over all chunks and currencies, lines only; None where not published.
        reason: why it is not done, for the user.
    """

    status: DateStatus
    revision: int
    shares: Balance | None = None
    reason: str | None = None


@dataclass
class Outcome:
    """What a run did, as it goes.

    Attributes:
        drops: drops that were looked at and what was found.
        unchanged_drops: drops that were looked at and had nothing new.
        dates: business dates that were tried.
        cells: reconciled totals of what was published.
        spans: Spark partitions by chunk, of the last publication planned.
        chunks: how each chunk's tasks went.
        built: business dates built, by gold table.
        codes: exit codes that apply.
        errors: what went wrong, one line each.
        warnings: what a user may want to know, one line each.
        planned: what a dry run would do, one line each.
        drill: evidence of a drill, one row a fault.
        comparison: what differs between two revisions; None where none was asked for.
        migrated: what migrate_tables did, one line each.
        repaired: what repair_lake did, one line each.
        replayed: drops whose lines were judged again, before and after.
        checks: what a look at the place found.
        states: how far business dates are, as ``status`` tells it.
        removed: files that maintenance deleted, by table.
        freed_bytes: their size, by table.
        merged: small files that maintenance merged into larger ones, by table.
        stages: the stages that ended, as ``ledger/stages`` tells them.
        run_again: the command that does what is left; None where nothing is, or where it would not help.
    """

    drops: list[IngestedDrop] = field(default_factory=list)
    unchanged_drops: list[dt.date] = field(default_factory=list)
    dates: dict[dt.date, PublishedDate] = field(default_factory=dict)
    cells: dict[ReconciliationKey, Balance] = field(default_factory=dict)
    spans: dict[str, PartitionSpan] = field(default_factory=dict)
    chunks: dict[str, ChunkTasks] = field(default_factory=dict)
    built: dict[str, list[dt.date]] = field(default_factory=dict)
    codes: set[ExitCode] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    planned: list[str] = field(default_factory=list)
    drill: list[dict[str, Any]] = field(default_factory=list)
    comparison: dict[str, Any] | None = None
    migrated: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    replayed: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, str]] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    removed: dict[str, int] = field(default_factory=dict)
    freed_bytes: dict[str, int] = field(default_factory=dict)
    merged: dict[str, int] = field(default_factory=dict)
    stages: list[dict[str, Any]] = field(default_factory=list)
    run_again: str | None = None

    @property
    def exit_code(self) -> ExitCode:
        """The code that goes before all others that apply."""
        return next((code for code in EXIT_CODE_PRECEDENCE if code in self.codes), ExitCode.DONE)

    @property
    def rejected(self) -> Counter[str]:
        """Rejected lines by reason, over all drops of the run."""
        return sum((drop.reasons for drop in self.drops), Counter())

    @property
    def did_anything(self) -> bool:
        """Whether anything was committed to bronze, silver or gold."""
        made = self.drops or self.dates or any(self.built.values())
        return bool(made or self.migrated or self.repaired)

    def fail(self, code: ExitCode, error: str) -> None:
        """Notes what went wrong; the run goes on with the rest."""
        self.codes.add(code)
        self.errors.append(error)


ProgressSnapshot = Callable[[], Mapping[str, ChunkTasks]]


def _silent(_: str) -> None:
    """Tells nobody."""


def _unfollowed(_: ProgressSnapshot) -> AbstractContextManager[None]:
    """Nobody looks."""
    return nullcontext()


@dataclass
class Batch:
    """One run of a job.

    Attributes:
        run_id: id of the run.
        spark: session.
        settings: the config.
        lake: tables.
        ledger: what was delivered, done, reconciled.
        timetable: its stages against the clock.
        requested: dates of the command: drop dates for an ingest and for run_batch, else business dates.
        dry_run: whether to say what would be done, and write nothing.
        republish: whether dates are published again whose inputs are unchanged.
        reingest: whether drops are ingested again whose files are unchanged.
        from_now_on: whether changed settings, or another landing, hold for later deliveries only.
        pinned: settings that decide content, as the lake keeps them.
        retain_at_least: hours that files are kept whatever a command says, since another run may be alive.
        outcome: what came out so far.
        tell: says what is being done now, for a person who watches.
        track_progress: shows how chunks go, as a look at them tells, as long as its context lasts.
    """

    run_id: str
    spark: SparkSession
    settings: Settings
    lake: Lake
    ledger: Ledger
    timetable: Timetable
    requested: DateRange = field(default_factory=DateRange)
    dry_run: bool = False
    republish: bool = False
    reingest: bool = False
    from_now_on: bool = False
    pinned: PinnedSettings = field(default_factory=lambda: PinnedSettings([]))
    retain_at_least: float = 0.0
    outcome: Outcome = field(default_factory=Outcome)
    tell: Callable[[str], None] = _silent
    track_progress: Callable[[ProgressSnapshot], AbstractContextManager[None]] = _unfollowed

    def open_landing(self) -> Landing:
        """The folder of all drops.

        Raises:
            UsageError: there is no such folder.
        """
        return Landing(self.spark, self.settings.storage.landing, self.settings.received_names)

    def drop_chunkings(self) -> dict[dt.date, Chunking]:
        """How lines of each accepted delivery are split into chunks, by drop date."""
        return {
            date: self.pinned.chunking_of(drop.accepted.settings_sequence)
            for date, drop in self.ledger.drops().items()
            if drop.accepted is not None
        }

    def ingest_audit(self) -> IngestAudit:
        """What a delivery of this run is ingested under."""
        return IngestAudit(self.pinned.current.sequence, self.settings.audit.max_rejected_share)

    @property
    def terms(self) -> ValidationConfig:
        """What of the config decides how a line is judged and dated."""
        settings = self.settings
        return ValidationConfig(
            scales=settings.currency_scales,
            time_zone=settings.business_day.timezone,
            store_time_zones=settings.business_day.store_timezones,
            day_starts_at=settings.business_day.starts_at,
            late_days=settings.late.days,
            history_before=settings.late.history_before,
        )
