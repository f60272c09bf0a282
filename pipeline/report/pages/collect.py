"""Reads what a page shows about a run: from the ledger, and small sums from gold and bronze.

It collects no sales. Only with ``report.samples`` does it read two rejected lines a reason.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, TypeVar

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline import clock
from pipeline.lake.causes import explain
from pipeline.lake.ledger import row_order
from pipeline.lake.lock import STALE_SECONDS, read_holder
from pipeline.planning.attempts import ChunkAttempt
from pipeline.planning.reconciliation import Balance, ControlTotals, ReconciliationKey
from pipeline.planning.recovery import first_cause, without_values
from pipeline.planning.shown_text import without_lines
from pipeline.planning.timetable import RUNS_TO_LEARN_FROM
from pipeline.report.pages.facts import (
    RECORDED_AGAIN,
    BilledFacts,
    ChunkTaskFacts,
    DateFacts,
    DocumentFacts,
    DropFacts,
    HotKey,
    RunFacts,
    StageFacts,
)
from pipeline.report.pages.lake_history import run_positions, split_arguments, was_finished
from pipeline.steps.context import Batch, Outcome
from schemas.billing import DOCUMENTS
from schemas.errors import UsageError
from schemas.gold import GOLD_TABLES, INVOICES, GoldTable
from schemas.landing import received_names
from schemas.states import DateStatus, DropStatus, RunStatus, ValidationStatus
from schemas.tables import (
    LEDGER_BUILDS,
    LEDGER_CHUNKS,
    LEDGER_DATES,
    LEDGER_DROPS,
    LEDGER_RUNS,
    LEDGER_STAGES,
    LEDGER_TASKS,
    RECEIVED_SALES,
    RECONCILED_SHARES,
    REFUSED_SALES,
    Table,
)

Value = TypeVar("Value")
# Values of this column name a person.
_PERSONAL = "customer_id"
_WAITS = (DateStatus.BLOCKED, DateStatus.FAILED)
# These jobs publish nothing: they record again what earlier runs published.
_ONLY_RECORDS = ("migrate_tables", "repair_lake")
# A longer raw line is cut: a page is for reading.
_SAMPLE_LENGTH = 400


def collect_live(batch: Batch, outcome: Outcome) -> RunFacts:
    """Returns the facts of the run that is ending, with what only the run itself knows.

    Args:
        batch: the run, after it recorded its end.
        outcome: its outcome.
    """
    known = _RunOnlyFacts(
        attempts=outcome.attempts,
        rejected=dict(outcome.rejected),
        warnings=tuple(outcome.warnings),
        settings=batch.settings.changes(),
        end=(clock.now(), int(outcome.exit_code), "; ".join(outcome.errors) or None),
        target=_own_target(),
    )
    return _Reader(batch, batch.run_id).read(known)


def collect_run(
    batch: Batch,
    run_id: str,
    read_attempts: Callable[[str, str], Sequence[ChunkAttempt]] | None = None,
    positions: Mapping[str, int] | None = None,
) -> RunFacts:
    """Returns the facts of any run that the ledger records, also of one that was killed.

    Args:
        batch: the run that reads.
        run_id: the run to show.
        read_attempts: reads the attempts of the writes from the event log, by application id and run; None
            if there is no event log.
        positions: what ``run_positions`` returned, for a caller that shows many runs.

    Raises:
        UsageError: the ledger records no such run.
    """
    reader = _Reader(batch, run_id, positions)
    known = _RunOnlyFacts()
    if read_attempts is not None and reader.event.application_id:
        application = reader.event.application_id
        found = reader.optional("the event log", lambda: read_attempts(application, run_id))
        known.attempts = tuple(found or ())
    if batch.settings.digest == reader.event.config_hash:
        known.settings = batch.settings.changes()
    else:
        reader.notes.append("The settings of the run are not shown: give the --config and --set of that run.")
    return reader.read(known)


def run_ids(batch: Batch) -> list[str]:
    """Returns every run that the ledger records, oldest first."""
    return list(run_positions(batch.ledger))


@dataclass
class _RunOnlyFacts:
    """What no table holds: only the run itself, its event log or its config tell it."""

    attempts: Sequence[ChunkAttempt] = ()
    rejected: Mapping[str, int] | None = None
    warnings: Sequence[str] | None = None
    settings: Sequence[tuple[str, Any, Any]] | None = None
    # A run that lost the lake to another one cannot record its end.
    end: tuple[dt.datetime, int, str | None] | None = None
    target: str | None = None


class _Reader:
    """Reads the facts of one run."""

    def __init__(self, batch: Batch, run_id: str, positions: Mapping[str, int] | None = None) -> None:
        self._batch = batch
        self._run_id = run_id
        self._positions = run_positions(batch.ledger) if positions is None else positions
        self.notes: list[str] = []
        self.event = self._event()

    def read(self, known: _RunOnlyFacts) -> RunFacts:
        """Returns the facts. A part that cannot be read is left out with a note."""
        event, drops, dates = _ended_as(self.event, known.end), self._drops(), self._dates()
        done = {date.date for date in dates if date.status == DateStatus.DONE}
        has_ended = event.ended_at is not None
        rejected, samples = self._rejects(known.rejected)
        settings = None
        if known.settings is not None:
            settings = [(key, _as_text(value), _as_text(default)) for key, value, default in known.settings]
        return RunFacts(
            run_id=self._run_id,
            job=event.job,
            status=event.status,
            exit_code=event.exit_code,
            error=self._shown(event.error),
            started_at=event.started_at,
            ended_at=event.ended_at,
            arguments=split_arguments(event),
            target=known.target or _target_of(event.application_id),
            code_version=event.code_version or "",
            lake=self._batch.lake.root,
            landing=event.landing,
            is_running=not has_ended and self._holds_lake(),
            followed_by=self._followed_by(),
            is_finished=not has_ended and was_finished(self._batch.ledger, self._positions, event),
            drops=drops,
            dates=dates,
            waiting=self._waiting({date.date for date in dates if date.status in _WAITS}),
            balances=self._balances(done),
            tasks=self._tasks(),
            attempts=[
                replace(a, cause=a.cause and self._shown_cause(first_cause(a.cause))) for a in known.attempts
            ],
            stages=self._stages(),
            built=self._built(),
            rejected=rejected,
            samples=samples,
            billed=self.optional("the billed lines", self._billed),
            documents=self.optional("the issued documents", self._documents) or (),
            hot_key=self.optional("the key with the most lines", self._hot_key),
            settings=settings,
            warnings=known.warnings,
            notes=tuple(self.notes),
        )

    def optional(self, what: str, read: Callable[[], Value]) -> Value | None:
        """Reads a part that a page can do without; a failure becomes a note."""
        try:
            return read()
        except Exception as error:  # whatever it is, the rest of the page is worth having
            self.notes.append(f"Left out: {what} ({explain(error)}).")
            return None

    def _shown(self, text: str | None) -> str | None:
        """An error or a reason; without samples it quotes no line."""
        return text if text is None or self._batch.settings.report.samples else without_lines(text)

    def _shown_cause(self, cause: str) -> str:
        return cause if self._batch.settings.report.samples else without_values(cause)

    def _event(self) -> Any:
        rows = [row for row in self._batch.ledger.rows(LEDGER_RUNS) if row.run_id == self._run_id]
        if not rows:
            known = run_ids(self._batch)
            latest = f"; the latest are {', '.join(known[-3:])}" if known else "; it records no run yet"
            raise UsageError(f"run {self._run_id}: the ledger of {self._batch.lake.root} has none{latest}")
        return max(rows, key=lambda row: row.ended_at is not None)

    def _holds_lake(self) -> bool:
        """Whether the run holds the lake's lock now; told without writing to the lake."""
        holder = read_holder(self._batch.lake.files)
        silent_seconds = clock.now().timestamp() - holder.heartbeat_ms / 1000
        return holder.run_id == self._run_id and not holder.is_gone and silent_seconds < STALE_SECONDS

    def _followed_by(self) -> tuple[str, int | None] | None:
        """The next run, with its exit code."""
        next_position = self._position(self._run_id) + 1
        run_id = next((run_id for run_id, at in self._positions.items() if at == next_position), None)
        if run_id is None:
            return None
        rows = (row for row in self._batch.ledger.rows(LEDGER_RUNS) if row.run_id == run_id)
        return run_id, next((row.exit_code for row in rows if row.exit_code is not None), None)

    def _position(self, run_id: str) -> int:
        return self._positions.get(run_id, -1)

    def _own(self, table: Table) -> list[Any]:
        return [row for row in self._batch.ledger.rows(table) if row.run_id == self._run_id]

    def _drops(self) -> list[DropFacts]:
        own = sorted(self._own(LEDGER_DROPS), key=row_order)
        rows = {row.drop_date: row for row in own if row.status != DropStatus.UNCHANGED}
        if self.event.job in _ONLY_RECORDS:  # it read no line of them
            return [
                DropFacts(date, row.status, 0, 0, 0, self._shown(row.reason))
                for date, row in sorted(rows.items())
            ]
        return [
            DropFacts(
                date=date,
                status=row.status,
                lines=row.lines or 0,
                accepted=row.accepted or 0,
                rejected=row.rejected or 0,
                reason=self._shown(row.reason),
                content=_lines_by_date(row.content or ()),
            )
            for date, row in sorted(rows.items())
        ]

    def _dates(self) -> list[DateFacts]:
        rows = {row.business_date: row for row in sorted(self._own(LEDGER_DATES), key=row_order)}
        is_publisher = self.event.job not in _ONLY_RECORDS
        return [
            DateFacts(
                date,
                row.status if is_publisher or row.status != DateStatus.DONE else RECORDED_AGAIN,
                row.revision,
                self._shown(row.reason),
            )
            for date, row in sorted(rows.items())
        ]

    def _waiting(self, dates: set[dt.date]) -> dict[dt.date, int]:
        """Accepted lines of dates, as bronze held them when the run ended."""
        last: dict[dt.date, Any] = {}
        for row in sorted(self._batch.ledger.rows(LEDGER_DROPS), key=row_order):
            is_accepted = row.status == DropStatus.INGESTED and row.bronze_version is not None
            if is_accepted and self._position(row.run_id) <= self._position(self._run_id):
                last[row.drop_date] = row
        waiting = dict.fromkeys(sorted(dates), 0)
        for row in last.values():
            for date, lines in _lines_by_date(row.content or ()).items():
                if date in waiting:
                    waiting[date] += lines
        return waiting

    def _balances(self, done: Iterable[dt.date]) -> dict[ReconciliationKey, Balance]:
        wanted = set(done)
        return {
            ReconciliationKey(row.business_date, row.chunk, row.currency): _balance(row)
            for row in self._own(LEDGER_CHUNKS)
            if row.business_date in wanted
        }

    def _tasks(self) -> list[ChunkTaskFacts]:
        return [
            ChunkTaskFacts(
                row.chunk,
                row.partitions,
                row.tasks,
                row.failed_attempts,
                row.task_seconds,
                [self._shown_cause(cause) for cause in row.failures or ()],
            )
            for row in sorted(self._own(LEDGER_TASKS), key=lambda row: row.chunk)
        ]

    def _stages(self) -> list[StageFacts]:
        stages = []
        for row in sorted(self._own(LEDGER_STAGES), key=lambda row: row.ended_at):
            earlier = self._earlier_seconds(row.stage)
            stages.append(
                StageFacts(
                    stage=row.stage,
                    dates=row.dates,
                    lines=row.lines,
                    seconds=row.seconds,
                    ended_at=row.ended_at,
                    deadline=row.deadline,
                    margin_seconds=row.margin_seconds,
                    median_seconds=statistics.median(earlier) if earlier else None,
                    earlier_runs=len(earlier),
                )
            )
        return stages

    def _earlier_seconds(self, stage: str) -> list[float]:
        earlier = [
            row
            for row in self._batch.ledger.rows(LEDGER_STAGES)
            if row.stage == stage and self._position(row.run_id) < self._position(self._run_id)
        ]
        latest = sorted(earlier, key=lambda row: self._position(row.run_id))[-RUNS_TO_LEARN_FROM:]
        return [row.seconds for row in latest]

    def _built(self) -> dict[str, list[dt.date]]:
        built: dict[str, set[dt.date]] = {}
        for row in self._own(LEDGER_BUILDS):
            if row.gold_version is None:  # stale from now on, since the table's declaration changed
                continue
            built.setdefault(row.table, set()).add(row.business_date)
        return {table: sorted(dates) for table, dates in sorted(built.items())}

    def _rejects(
        self, counted: Mapping[str, int] | None
    ) -> tuple[Mapping[str, int] | None, Mapping[str, Sequence[str]] | None]:
        """Rejected lines by reason, and samples of them if the config allows them."""
        wants_samples = self._batch.settings.report.samples
        if not any(row.rejected for row in self._own(LEDGER_DROPS)):
            return {}, {} if wants_samples else None
        if counted is not None and not wants_samples:
            return counted, None
        found = self.optional("the rejected lines", self._read_rejects)
        if found is None:
            return counted, None
        counts = {reason: lines for reason, (lines, _) in found.items()}
        samples = {reason: texts for reason, (_, texts) in found.items()} if wants_samples else None
        return counted if counted is not None else counts, samples

    def _read_rejects(self) -> dict[str, tuple[int, list[str]]]:
        by_reason: dict[str, tuple[int, list[str]]] = {}
        for frame in self._rejected_frames():
            exploded = frame.filter(F.col("validation_status") == ValidationStatus.REJECTED).select(
                F.explode("reject_reasons").alias("reason"),
                F.substring("raw", 1, _SAMPLE_LENGTH).alias("raw"),
            )
            columns = [F.count("*").alias("lines")]
            if self._batch.settings.report.samples:
                columns += [F.min("raw").alias("first"), F.max("raw").alias("last")]
            for row in exploded.groupBy("reason").agg(*columns).collect():
                lines, texts = by_reason.get(row.reason, (0, []))
                more = [row["first"], row["last"]] if self._batch.settings.report.samples else []
                by_reason[row.reason] = lines + row.lines, list(dict.fromkeys([*texts, *filter(None, more)]))
        return by_reason

    def _rejected_frames(self) -> list[DataFrame]:
        lake, rows = self._batch.lake, [row for row in self._own(LEDGER_DROPS) if row.rejected]
        accepted = [row for row in rows if row.status == DropStatus.INGESTED]
        refused: dict[int, list[dt.date]] = {}
        for row in rows:
            if row.status == DropStatus.BLOCKED:
                refused.setdefault(row.ingest_version, []).append(row.drop_date)
        frames = []
        if accepted:
            version = max(row.ingest_version for row in accepted)
            frames.append(lake.read_dates(RECEIVED_SALES, [row.drop_date for row in accepted], version))
        for ingest_version, dates in refused.items():
            frames.append(lake.read_dates(REFUSED_SALES, dates, self._refused_version(ingest_version)))
        return frames

    def _refused_version(self, ingest_version: int) -> int:
        """The version of the refused lines of an ingest: later deliveries replace or delete them."""
        kept = self._batch.lake.last_commit(REFUSED_SALES, lambda own: own.get("of") == ingest_version)
        if kept is None:
            raise LookupError("the log of bronze/refused_sales no longer has their commit")
        return kept.version

    def _built_rows(self, table: GoldTable) -> DataFrame | None:
        """Rows of a gold table that the run built, as it built them; None if it built none."""
        rows = [row for row in self._own(LEDGER_BUILDS) if row.table == table.name]
        versions = [row.gold_version for row in rows if row.gold_version is not None]
        if not versions:
            return None
        periods = {table.partition_of(row.business_date) for row in rows}
        return self._batch.lake.read_dates(table, periods, max(versions))

    def _billed(self) -> BilledFacts | None:
        statements = self._built_rows(INVOICES)
        if statements is None:
            return None
        lines = dict.fromkeys(self._built()[INVOICES.name], 0)
        for row in statements.groupBy("business_date").agg(F.sum("lines").alias("lines")).collect():
            lines[row.business_date] = row.lines
        return BilledFacts(lines)

    def _documents(self) -> list[DocumentFacts]:
        """Documents that the run issued, by kind and currency."""
        dates = self._built().get(DOCUMENTS.name, [])
        if not dates:
            return []
        issued = self._batch.lake.read_dates(DOCUMENTS, dates).filter(F.col("run_id") == self._run_id)
        sums = issued.groupBy("kind", "currency").agg(
            F.count("*").alias("documents"), F.sum("net_amount").alias("net")
        )
        return sorted(
            (DocumentFacts(row.kind, row.currency, row.documents, row.net) for row in sums.collect()),
            key=lambda row: (row.kind, row.currency),
        )

    def _hot_key(self) -> HotKey | None:
        column = self._chunk_key()
        table = next((table for table in GOLD_TABLES if column in table.grain), None)
        rows = None if table is None else self._built_rows(table)
        if table is None or rows is None:
            return None
        by_key = rows.filter(F.col(column).isNotNull()).groupBy(column).agg(F.sum("lines").alias("lines"))
        found = by_key.agg(
            F.max(F.struct("lines", F.col(column).alias("key"))).alias("top"), F.sum("lines").alias("lines")
        ).first()
        if found is None or found.top is None:
            return None
        is_shown = column != _PERSONAL or self._batch.settings.report.samples
        return HotKey(column, found.top.key if is_shown else None, found.top.lines, found.lines, table.name)

    def _chunk_key(self) -> str:
        keys = [row.chunk_key for row in self._own(LEDGER_DATES) if row.chunk_key in received_names()]
        return keys[0] if keys else self._batch.settings.chunks.key


def _ended_as(event: Any, end: tuple[dt.datetime, int, str | None] | None) -> Any:
    """The event of a run, with the end that the run knows of itself."""
    if end is None or (event.ended_at is not None and event.exit_code == end[1]):
        return event
    at, exit_code, error = end
    status = RunStatus.FAILED if exit_code else RunStatus.DONE
    known = {"ended_at": event.ended_at or at, "exit_code": exit_code, "error": error, "status": status.value}
    return SimpleNamespace(**(vars(event) | known))


def _target_of(application_id: str | None) -> str:
    """Place of a run, which the form of Spark's id tells; else the place of this one."""
    kinds = {"local-": "local", "app-": "standalone", "application_": "yarn", "spark-": "kubernetes"}
    found = (place for prefix, place in kinds.items() if (application_id or "").startswith(prefix))
    return next(found, _own_target())


def _own_target() -> str:
    return os.environ.get("CYMBAL_PLACE", "local")


def _lines_by_date(content: Iterable[Mapping[str, Any]]) -> dict[dt.date, int]:
    lines: dict[dt.date, int] = {}
    for part in content:
        lines[part["business_date"]] = lines.get(part["business_date"], 0) + part["lines"]
    return lines


def _balance(row: Any) -> Balance:
    totals = {
        share: ControlTotals(
            getattr(row, share), getattr(row, f"gross_{share}"), getattr(row, f"absolute_gross_{share}")
        )
        for share in RECONCILED_SHARES
    }
    return Balance(**totals)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
