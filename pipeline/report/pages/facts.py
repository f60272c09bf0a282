"""What a page shows about a run, as plain values. :mod:`pipeline.report.pages.collect` reads them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from pipeline.planning.attempts import ChunkAttempt
from pipeline.planning.reconciliation import Balance, ReconciliationKey

# State of a date that the run did not publish: it recorded again what an earlier run had published.
RECORDED_AGAIN = "recorded again"


@dataclass(frozen=True)
class DropFacts:
    """What became of a drop; lines are None if it was not read.

    Attributes:
        date: drop date.
        status: value of ``DropStatus``.
        lines: lines read.
        accepted: accepted lines.
        rejected: rejected lines.
        reason: why it was not ingested.
        content: accepted lines by business date.
    """

    date: dt.date
    status: str
    lines: int
    accepted: int
    rejected: int
    reason: str | None = None
    content: Mapping[dt.date, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DateFacts:
    """What became of a business date: state, revision that readers see, and the reason.

    The state is a value of ``DateStatus``, or ``recorded again``.
    """

    date: dt.date
    status: str
    revision: int
    reason: str | None = None


@dataclass(frozen=True)
class ChunkTaskFacts:
    """The Spark tasks of a chunk in a run, as ``ledger/tasks`` holds them."""

    chunk: str
    partitions: int
    tasks: int
    failed_attempts: int
    task_seconds: float
    failures: Sequence[str] = ()


@dataclass(frozen=True)
class StageFacts:
    """A stage of the run, beside earlier runs.

    Attributes:
        stage: stage.
        dates: dates that it processed.
        lines: lines that it processed.
        seconds: how long it took.
        ended_at: end.
        deadline: first deadline that was ahead; None if there was none.
        margin_seconds: from its end to the deadline, negative if late; None without a deadline.
        median_seconds: median of earlier runs; None if there are none.
        earlier_runs: number of earlier runs that the median is of.
    """

    stage: str
    dates: int
    lines: int
    seconds: float
    ended_at: dt.datetime
    deadline: dt.datetime | None = None
    margin_seconds: float | None = None
    median_seconds: float | None = None
    earlier_runs: int = 0


@dataclass(frozen=True)
class BilledFacts:
    """Lines of customers, on statements.

    Attributes:
        lines: lines of each date that the run billed, by date.
    """

    lines: Mapping[dt.date, int]


@dataclass(frozen=True)
class DocumentFacts:
    """Billing documents that the run issued: their kind, currency, number and net amount."""

    kind: str
    currency: str
    documents: int
    net: Decimal


@dataclass(frozen=True)
class HotKey:
    """The value of the chunk key with the most lines.

    Attributes:
        column: received column that is the chunk key.
        value: its value; None if it may not be shown.
        lines: its lines.
        of_lines: lines of all keys.
        table: gold table that counts them: all of the periods that the run built.
    """

    column: str
    value: str | None
    lines: int
    of_lines: int
    table: str


@dataclass(frozen=True)
class RunFacts:
    """Everything that a page shows about one run.

    Attributes:
        run_id: run.
        job: its job.
        status: value of ``RunStatus``, from the last event of the run.
        exit_code: exit code; None if the run recorded no end.
        error: errors.
        started_at: start.
        ended_at: end; None if the run recorded none.
        arguments: command line of the job, split into words.
        target: place of ``scripts/submit.sh``.
        code_version: version of the code.
        lake: URI of the lake.
        landing: URI of the landing; None if it is not known.
        is_running: whether the run holds the lake's lock now.
        followed_by: the next run in the lake, as its id and exit code; None if there is none.
        is_finished: whether a later run of the same command ended well.
        drops: drops that it ingested, refused or failed.
        dates: business dates that it published, held back or failed.
        waiting: accepted lines of the dates that it held back or that failed, by date.
        balances: reconciliation of the dates that it published.
        tasks: Spark tasks by chunk.
        attempts: attempts of these tasks; empty if they are not known.
        stages: stages that ended.
        built: dates built, by table of gold or billing.
        rejected: rejected lines by reason; None if they are not known.
        samples: raw rejected lines by reason; None if the config does not allow them.
        billed: what is on statements; None if the run billed nothing.
        documents: billing documents that it issued.
        hot_key: the key with the most lines; None if it is not known.
        settings: settings that differ from the defaults: key, value, default; None if they are not known.
        warnings: warnings; None if they are not known, since the ledger does not keep them.
        notes: what the page leaves out, and why.
    """

    run_id: str
    job: str
    status: str
    exit_code: int | None
    error: str | None
    started_at: dt.datetime
    ended_at: dt.datetime | None
    arguments: Sequence[str]
    target: str
    code_version: str
    lake: str
    landing: str | None = None
    is_running: bool = False
    followed_by: tuple[str, int | None] | None = None
    is_finished: bool = False
    drops: Sequence[DropFacts] = ()
    dates: Sequence[DateFacts] = ()
    waiting: Mapping[dt.date, int] = field(default_factory=dict)
    balances: Mapping[ReconciliationKey, Balance] = field(default_factory=dict)
    tasks: Sequence[ChunkTaskFacts] = ()
    attempts: Sequence[ChunkAttempt] = ()
    stages: Sequence[StageFacts] = ()
    built: Mapping[str, Sequence[dt.date]] = field(default_factory=dict)
    rejected: Mapping[str, int] | None = None
    samples: Mapping[str, Sequence[str]] | None = None
    billed: BilledFacts | None = None
    documents: Sequence[DocumentFacts] = ()
    hot_key: HotKey | None = None
    settings: Sequence[tuple[str, str, str]] | None = None
    warnings: Sequence[str] | None = None
    notes: Sequence[str] = ()

    @property
    def seconds(self) -> float | None:
        """From start to end; None if the run recorded no end."""
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()

    @property
    def done_dates(self) -> frozenset[dt.date]:
        """Business dates that the run published."""
        return frozenset(date.date for date in self.dates if date.status == "done")

    @property
    def is_reconciled(self) -> bool:
        """Whether every accepted line of the published dates is accounted for, in lines and in money."""
        return all(balance.is_reconciled for balance in self.balances.values())
