"""State that the steps of a run share: settings, tables, the request, and the outcome so far."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from pyspark.sql import SparkSession

from pipeline import clock
from pipeline.lake.ledger import IngestAudit, Ledger
from pipeline.lake.tables import Commit, Lake
from pipeline.lake.tasks import TaskWatch
from pipeline.landing.config import LandingConfig
from pipeline.landing.landing import Landing
from pipeline.planning.attempts import ChunkAttempt
from pipeline.planning.pinned import Chunking, PinnedSettings, value_of
from pipeline.planning.reconciliation import Balance, ReconciliationKey
from pipeline.planning.recovery import ChunkTasks
from pipeline.settings import Settings
from pipeline.steps.timetable import Timetable
from schemas.drops import IngestedDrop
from schemas.partitions import PartitionSpan
from schemas.states import EXIT_CODE_PRECEDENCE, DateStatus, ExitCode, Stage
from schemas.tables import Table
from transforms.received import ValidationConfig


@dataclass(frozen=True)
class DateRange:
    """Dates that a command requests, both ends included; None leaves an end open."""

    first: dt.date | None = None
    last: dt.date | None = None

    def __contains__(self, date: object) -> bool:
        """Whether a date is requested."""
        if not isinstance(date, dt.date):
            return False
        return (self.first is None or date >= self.first) and (self.last is None or date <= self.last)

    def days(self) -> list[dt.date]:
        """Every date of the range; no date if an end is open."""
        if self.first is None or self.last is None:
            return []
        return [self.first + dt.timedelta(days=n) for n in range((self.last - self.first).days + 1)]


@dataclass(frozen=True)
class PublishedDate:
    """The outcome of a business date in this run.

    Attributes:
        status: outcome.
        revision: revision that readers now see; 0 if there is none.
        shares: its balance over all chunks and currencies, for its lines only: amounts of several currencies
            cannot be added. None if it was not published.
        reason: why it is not done, for the user; None if it is.
    """

    status: DateStatus
    revision: int
    shares: Balance | None = None
    reason: str | None = None


@dataclass
class Outcome:
    """The outcome of a run, filled as it goes.

    Attributes:
        drops: drops that were ingested, refused or failed.
        unchanged_drops: drop dates that had nothing new.
        dates: business dates that were published, held back or failed.
        cells: balance of the published lines, by date, chunk and currency.
        spans: Spark partitions by chunk, of the last plan.
        chunks: task attempts by chunk.
        attempts: every attempt of a task that writes a chunk.
        built: business dates built, by gold table.
        documents: documents issued: one row by kind and currency, with their number and net amount.
        last_numbers: last number of each series of documents, by series.
        codes: exit codes that apply.
        errors: errors, one line each.
        warnings: warnings, one line each.
        planned: actions that a dry run would take, one line each.
        has_changed: whether the job changed the lake in a way that none of these fields shows.
        stages: stages that ended, as rows of ``ledger/stages``.
        run_again: the command that does the remaining work; None if there is none or a rerun cannot help.
    """

    drops: list[IngestedDrop] = field(default_factory=list)
    unchanged_drops: list[dt.date] = field(default_factory=list)
    dates: dict[dt.date, PublishedDate] = field(default_factory=dict)
    cells: dict[ReconciliationKey, Balance] = field(default_factory=dict)
    spans: dict[str, PartitionSpan] = field(default_factory=dict)
    chunks: dict[str, ChunkTasks] = field(default_factory=dict)
    attempts: list[ChunkAttempt] = field(default_factory=list)
    built: dict[str, list[dt.date]] = field(default_factory=dict)
    documents: list[dict[str, Any]] = field(default_factory=list)
    last_numbers: dict[str, int] = field(default_factory=dict)
    codes: set[ExitCode] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    planned: list[str] = field(default_factory=list)
    has_changed: bool = False
    stages: list[dict[str, Any]] = field(default_factory=list)
    run_again: str | None = None

    @property
    def exit_code(self) -> ExitCode:
        """The code with the highest precedence of those that apply."""
        return next((code for code in EXIT_CODE_PRECEDENCE if code in self.codes), ExitCode.DONE)

    @property
    def rejected(self) -> Counter[str]:
        """Rejected lines by reason, over all drops of the run."""
        return sum((drop.reasons for drop in self.drops), Counter())

    @property
    def warned(self) -> Counter[str]:
        """Accepted lines by the team's own rule that warns of them, over all drops of the run."""
        return sum((+drop.warned for drop in self.drops), Counter())

    @property
    def did_anything(self) -> bool:
        """Whether the run changed bronze, silver or gold, or tried to."""
        return bool(self.drops or self.dates or any(self.built.values()) or self.has_changed)

    def fail(self, code: ExitCode, error: str) -> None:
        """Adds an error and its exit code. The run continues with the rest."""
        self.codes.add(code)
        self.errors.append(error)


@dataclass(frozen=True)
class ChunkedWrite:
    """A write whose tasks are those of chunks.

    Attributes:
        watch: finds its tasks.
        spans: Spark partitions by chunk.
        lines: lines to write by chunk.
    """

    watch: TaskWatch
    spans: Mapping[str, PartitionSpan]
    lines: Mapping[str, int]


def _unfollowed(_: ChunkedWrite) -> AbstractContextManager[None]:
    """Shows nothing."""
    return nullcontext()


@dataclass
class Batch:
    """One run of a job.

    Attributes:
        run_id: id of the run.
        spark: session.
        settings: the config.
        lake: tables.
        ledger: the ledger.
        timetable: its stages, with their estimates and deadlines.
        requested: dates of the command: drop dates for jobs that ingest or replay, else business dates.
        dry_run: whether to write nothing and report what would be done.
        republish: whether to publish dates again even if their inputs are unchanged.
        reingest: whether to ingest drops again even if their files are unchanged.
        from_now_on: whether changed settings, or another landing, apply to later deliveries only.
        accepted: drop dates whose delivery may be far smaller than usual.
        pinned: the lake's settings that decide content.
        retain_at_least: hours that files must be kept, whatever the command says: another run may be alive.
        outcome: the outcome so far.
        track_progress: shows the progress of a write's chunks while its context lasts.
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
    accepted: frozenset[dt.date] = frozenset()
    pinned: PinnedSettings = field(default_factory=lambda: PinnedSettings([]))
    retain_at_least: float = 0.0
    outcome: Outcome = field(default_factory=Outcome)
    track_progress: Callable[[ChunkedWrite], AbstractContextManager[None]] = _unfollowed

    @property
    def today(self) -> dt.date:
        """The date in the config's time zone."""
        return clock.now().astimezone(ZoneInfo(self.settings.business_day.timezone)).date()

    def ingests(self, drop_date: dt.date) -> bool:
        """Whether the run itself reads a drop from the landing, if its delivery is not ingested yet."""
        return Stage.INGEST in self.timetable.stages and drop_date in self.requested

    def open_landing(self) -> Landing:
        """The folder of all drops.

        Raises:
            UsageError: the folder does not exist.
        """
        settings = self.settings
        zone = settings.business_day.timezone
        records = self.pinned.records
        config = LandingConfig(
            columns=settings.columns,
            profiles=settings.deliveries,
            ignore=settings.landing.ignore,
            nulls=settings.nulls,
            is_normalized=bool(records) and value_of(records[-1].values, "text.normalize") == "nfc",
            last_date=self.today + dt.timedelta(days=settings.landing.max_days_ahead),
            time_zone=zone,
            store_time_zones=settings.business_day.store_timezones,
            currency_scales=settings.currency_scales,
        )
        return Landing(self.spark, settings.storage.landing, config)

    def drop_chunkings(self) -> dict[dt.date, Chunking]:
        """How the lines of each accepted delivery are split into chunks, by drop date."""
        return {
            date: self.pinned.chunking_of(drop.accepted.settings_sequence)
            for date, drop in self.ledger.drops().items()
            if drop.accepted is not None
        }

    def unrecorded_commits(self, table: Table, job: str) -> list[Commit]:
        """Returns the commits that a job made to a table and that the ledger lacks, oldest first."""
        recorded = self.ledger.recorded_versions(table)
        return [commit for commit in self.lake.history(table, recorded) if commit.metadata.get("job") == job]

    def ingest_audit(self) -> IngestAudit:
        """The settings and the audit limits under which this run ingests deliveries."""
        audit = self.settings.audit
        return IngestAudit(
            self.pinned.current.sequence, audit.max_rejected_share, audit.min_share_of_previous
        )

    @property
    def terms(self) -> ValidationConfig:
        """The part of the config that decides how a line is validated and dated."""
        settings = self.settings
        return ValidationConfig(
            scales=settings.currency_scales,
            time_zone=settings.business_day.timezone,
            store_time_zones=settings.business_day.store_timezones,
            day_starts_at=settings.business_day.starts_at,
            late_days=settings.late.days,
            history_before=settings.late.history_before,
            valid_until=settings.currency_ends,
            own_rules=tuple(rule for rule in settings.own_rules if not rule.warns),
        )
