"""The ledger records what was delivered, done, retried and reconciled. Only this module reads a clock.

A run writes each ledger row after the commit that the row describes. Every commit to bronze, silver and gold
carries the data for its rows, so a later run can add rows that are missing. ``sequence``, which only grows,
and table versions decide which row is the latest. A clock never decides it.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from pipeline import clock
from pipeline.lake.tables import Lake
from pipeline.planning.pinned import Change, Chunking, PinnedSettings, SettingsRecord
from pipeline.planning.reconciliation import Balance, ReconciliationKey
from pipeline.planning.staleness import AcceptedDelivery, DateState, DropState
from pipeline.planning.timetable import RUNS_TO_LEARN_FROM, StageRun
from schemas.billing import DOCUMENTS
from schemas.drops import DateContent, IngestedDrop
from schemas.gold import GOLD, Period
from schemas.states import DateStatus, DropReason, DropStatus, Stage
from schemas.tables import (
    LEDGER_BUILDS,
    LEDGER_CHUNKS,
    LEDGER_DATES,
    LEDGER_DROPS,
    LEDGER_RULES,
    LEDGER_RUNS,
    LEDGER_SERIES,
    LEDGER_STAGES,
    LEDGER_STORES,
    LEDGER_TASKS,
    RECEIVED_SALES,
    SALES,
    Table,
)

_USUAL_BYTES_PER_LINE = 120.0
# The reason of a date that was restored to an earlier revision starts with this text.
RESTORED = "restored from revision"


@dataclass(frozen=True)
class IngestAudit:
    """The settings of the audit that ingested deliveries passed or failed.

    Attributes:
        settings_sequence: number of the record of pinned settings.
        max_rejected_share: maximum share of rejected lines that the audit allowed, 0 to 1.
        min_share_of_previous: smallest share of the usual lines that a delivery may hold, 0 to 1.
    """

    settings_sequence: int
    max_rejected_share: float
    min_share_of_previous: float


class Ledger:
    """Reads the ledger's tables and appends to them; a failed write fails the run."""

    def __init__(self, lake: Lake) -> None:
        """Opens the ledger of a lake."""
        self._lake = lake
        self._cached_rows: dict[str, list[Any]] = {}
        self._states: dict[str, dict[dt.date, Any]] = {}

    def record_run(self, event: Mapping[str, Any]) -> None:
        """Appends an event of a run, with the columns of ``ledger/runs``."""
        self._append(LEDGER_RUNS, [event])

    def record_drops(
        self, run_id: str, drops: Iterable[IngestedDrop], version: int | None, audit: IngestAudit
    ) -> None:
        """Appends the results of an ingest.

        Args:
            run_id: run.
            drops: results by drop.
            version: version of ``bronze/received_sales`` that holds the drops; None if none was written.
            audit: settings of the audit.
        """
        at = clock.now()
        rows = [_drop_row(run_id, drop, version, audit, at) for drop in drops]
        self._append_in_order(LEDGER_DROPS, rows)

    def record_stores(
        self, run_id: str, drops: Iterable[IngestedDrop], version: int, *, is_new: bool
    ) -> None:
        """Appends what each store sent in ingested deliveries.

        Args:
            run_id: run that ingested them.
            drops: results by drop.
            version: version of ``bronze/received_sales`` that they were written in.
            is_new: whether no row of this version can exist yet.
        """
        rows = [
            {
                "drop_date": ingested.drop.date,
                "store_id": store_id,
                "lines": store.lines,
                "gross_amount": sorted(store.gross.items()),
                "first_sold_at": store.first_sold_at,
                "last_sold_at": store.last_sold_at,
            }
            for ingested in drops
            if ingested.status is DropStatus.INGESTED
            for store_id, store in sorted(ingested.stores.items())
        ]
        self._append_of_ingest(LEDGER_STORES, rows, run_id, version, is_new=is_new)

    def record_rules(
        self, run_id: str, counts: Sequence[Mapping[str, Any]], version: int, *, is_new: bool
    ) -> None:
        """Appends what the team's own rules did to deliveries.

        Args:
            run_id: run that ingested them.
            counts: drop_date, rule, effect and lines, one entry a drop and rule.
            version: version of ``bronze/received_sales`` that they were written in.
            is_new: whether no row of this version can exist yet.
        """
        self._append_of_ingest(LEDGER_RULES, counts, run_id, version, is_new=is_new)

    def _append_of_ingest(
        self, table: Table, rows: Iterable[Mapping[str, Any]], run_id: str, version: int, *, is_new: bool
    ) -> None:
        """Appends what an ingest found, unless a run that was cut off appended it already."""
        if is_new or all(row["ingest_version"] != version for row in self._lake.rows(table, run_id)):
            self._lake.append(table, [{**row, "run_id": run_id, "ingest_version": version} for row in rows])

    def record_dates(self, run_id: str, dates: Sequence[Mapping[str, Any]]) -> None:
        """Appends outcomes of dates: all columns of ``ledger/dates`` except run_id, at and sequence."""
        at = clock.now()
        self._append_in_order(LEDGER_DATES, [{**date, "run_id": run_id, "at": at} for date in dates])

    def record_chunks(
        self, run_id: str, balances: Mapping[ReconciliationKey, Balance], *, is_new: bool
    ) -> None:
        """Appends the reconciliation of a publication; dates that an interrupted run recorded are skipped.

        Args:
            run_id: run that published.
            balances: balance by reconciliation key.
            is_new: whether no row of this publication can exist yet.
        """
        recorded: set[dt.date] = set()
        if not is_new:
            recorded = {row["business_date"] for row in self._lake.rows(LEDGER_CHUNKS, run_id)}
        rows = [
            {
                "run_id": run_id,
                "business_date": key.business_date,
                "chunk": key.chunk,
                "currency": key.currency,
                **balance.as_columns(),
            }
            for key, balance in balances.items()
            if key.business_date not in recorded
        ]
        self._append(LEDGER_CHUNKS, rows)

    def record_tasks(self, run_id: str, chunks: Sequence[Mapping[str, Any]]) -> None:
        """Appends the task statistics of each chunk: all columns of ``ledger/tasks`` except run_id."""
        self._append(LEDGER_TASKS, [{**chunk, "run_id": run_id} for chunk in chunks])

    def record_stages(self, run_id: str, stages: Sequence[Mapping[str, Any]]) -> None:
        """Appends the stages of a run: all columns of ``ledger/stages`` except run_id."""
        self._append(LEDGER_STAGES, [{**stage, "run_id": run_id} for stage in stages])

    def record_builds(
        self, run_id: str, table: Table, revisions: Mapping[dt.date, int], gold_version: int | None
    ) -> None:
        """Appends the revision of each date that a gold table was built from."""
        at = clock.now()
        rows = [
            {
                "table": table.name,
                "business_date": date,
                "sales_revision": revision,
                "gold_version": gold_version,
                "run_id": run_id,
                "at": at,
            }
            for date, revision in sorted(revisions.items())
        ]
        self._append_in_order(LEDGER_BUILDS, rows)

    def record_series(self, run_id: str, last_numbers: Mapping[str, int], version: int | None) -> None:
        """Appends the last number of each series of documents.

        Args:
            run_id: run.
            last_numbers: last number by series.
            version: version of ``billing/documents`` that gave the numbers; None if the table is gone.
        """
        at = clock.now()
        rows = [
            {
                "series": series,
                "last_number": number,
                "documents_version": version,
                "run_id": run_id,
                "at": at,
            }
            for series, number in sorted(last_numbers.items())
        ]
        self._append_in_order(LEDGER_SERIES, rows)

    def last_numbers(self) -> dict[str, int]:
        """Returns the highest number ever recorded for each series of documents."""
        highest: dict[str, int] = {}
        for row in self._rows(LEDGER_SERIES):
            highest[row.series] = max(row.last_number, highest.get(row.series, 0))
        return highest

    def rows(self, table: Table) -> list[Any]:
        """Returns all rows of a ledger table, each with its columns as attributes; for reports only."""
        return list(self._rows(table))

    def drops(self) -> dict[dt.date, DropState]:
        """Returns the state of every drop that an ingest processed, by date."""
        if LEDGER_DROPS.name not in self._states:
            self._states[LEDGER_DROPS.name] = self._drops()
        return dict(self._states[LEDGER_DROPS.name])

    def _drops(self) -> dict[dt.date, DropState]:
        by_date: dict[dt.date, list[Any]] = defaultdict(list)
        for row in self._rows(LEDGER_DROPS):
            if row.status != DropStatus.UNCHANGED:
                by_date[row.drop_date].append(row)
        return {date: _drop_state(date, rows) for date, rows in sorted(by_date.items())}

    def landing_of(self, run_id: str) -> str | None:
        """Returns the URI of the landing that a run read; None if the ledger does not record it."""
        landings = (row.landing for row in self._rows(LEDGER_RUNS) if row.run_id == run_id and row.landing)
        return next(landings, None)

    def last_rules_digest(self) -> str | None:
        """Returns the rules digest of the last ingested drop; None if no drop was ingested."""
        rows = [row for row in self._rows(LEDGER_DROPS) if row.bronze_version is not None and row.judged_by]
        return max(rows, key=row_order).judged_by if rows else None

    def holds_refused(self, date: dt.date) -> bool:
        """Whether bronze holds a refused delivery of a drop; only version 0.1.0 wrote such deliveries."""
        ingested = self._bronze_rows(date)
        return bool(ingested) and ingested[-1].status == DropStatus.BLOCKED

    def refused_version(self, date: dt.date) -> int:
        """Returns the bronze version that wrote the refused delivery (see :meth:`holds_refused`)."""
        return int(self._bronze_rows(date)[-1].bronze_version)

    def accepted_version_before_refusal(self, date: dt.date) -> int | None:
        """Returns the bronze version of the last accepted delivery of a drop; None if there is none."""
        accepted = [row for row in self._drop_rows(date) if _is_accepted(row)]
        return accepted[-1].bronze_version if accepted else None

    def _bronze_rows(self, date: dt.date) -> list[Any]:
        return [row for row in self._drop_rows(date) if row.bronze_version is not None]

    def _drop_rows(self, date: dt.date) -> list[Any]:
        return sorted((row for row in self._rows(LEDGER_DROPS) if row.drop_date == date), key=row_order)

    def restored_revision(self, date: dt.date) -> int:
        """Returns the revision that the last publication of a date restored; 0 if it restored none."""
        return _restored_revision(self._done_in_order(date)[-1])

    def was_fresh_when_restored(self, date: dt.date) -> bool:
        """Whether a restored date had no unpublished lines when it was restored."""
        done = self._done_in_order(date)
        return len(done) > 1 and done[-1].inputs_hash == done[-2].inputs_hash

    def _done_in_order(self, date: dt.date) -> list[Any]:
        rows = [row for row in self._rows(LEDGER_DATES) if row.business_date == date]
        return [row for row in sorted(rows, key=row_order) if row.status == DateStatus.DONE]

    def settings(self) -> PinnedSettings | None:
        """Returns the settings that decide content; None if nothing was ever ingested."""
        rows = [row for row in self._rows(LEDGER_RUNS) if row.settings is not None]
        by_sequence = {row.settings_sequence: row for row in rows}
        records = [
            SettingsRecord(sequence, Change(row.settings_change), json.loads(row.settings))
            for sequence, row in sorted(by_sequence.items())
        ]
        return PinnedSettings(records) if records else None

    def recorded_versions(self, table: Table) -> dict[int, str]:
        """Returns the run of each table version that the ledger records, by version."""
        if table.name in _VERSION_COLUMNS:
            source, columns = _VERSION_COLUMNS[table.name]
            rows = self._rows(source)
        else:
            columns = ("gold_version",)
            rows = [row for row in self._rows(LEDGER_BUILDS) if row.table == table.name]
        run_ids = {getattr(row, column): row.run_id for column in columns for row in rows}
        return {version: run_id for version, run_id in run_ids.items() if version is not None}

    def has_published(self, run_id: str, dates: Container[dt.date]) -> bool:
        """Whether a run published one of some dates, as it stayed or was rolled back."""
        return any(
            row.run_id == run_id and row.business_date in dates and row.silver_version is not None
            for row in self._rows(LEDGER_DATES)
        )

    def dates(self) -> dict[dt.date, DateState]:
        """Returns the state of every business date that a run tried to publish, by date."""
        if LEDGER_DATES.name not in self._states:
            self._states[LEDGER_DATES.name] = self._dates()
        return dict(self._states[LEDGER_DATES.name])

    def _dates(self) -> dict[dt.date, DateState]:
        by_date: dict[dt.date, list[Any]] = defaultdict(list)
        for row in self._rows(LEDGER_DATES):
            by_date[row.business_date].append(row)
        return {date: _date_state(date, rows) for date, rows in sorted(by_date.items())}

    def stages(self) -> dict[Stage, list[StageRun]]:
        """Returns all past executions of each stage, oldest first."""
        by_stage: dict[Stage, list[StageRun]] = defaultdict(list)
        for row in sorted(self._rows(LEDGER_STAGES), key=lambda row: row.ended_at):
            by_stage[Stage(row.stage)].append(StageRun(row.lines, row.seconds))
        return by_stage

    def bytes_per_line(self) -> float:
        """Returns the mean size of a landed line in the latest drops; a usual size if there are none."""
        ingested = [row for row in self._rows(LEDGER_DROPS) if row.bronze_version is not None]
        # A drop that was replayed from bronze has lines but no bytes.
        sized = [row for row in ingested if row.bytes and row.lines]
        latest = sorted(sized, key=row_order)[-RUNS_TO_LEARN_FROM:]
        lines = sum(row.lines for row in latest)
        return sum(row.bytes for row in latest) / lines if lines else _USUAL_BYTES_PER_LINE

    def built_revisions(self, table: Table) -> dict[dt.date, int]:
        """Returns the revision that a gold table was last built from, by date."""
        rows = [row for row in self._rows(LEDGER_BUILDS) if row.table == table.name]
        in_order = sorted(rows, key=row_order)
        return {row.business_date: row.sales_revision for row in in_order}

    def built_tables(self) -> set[str]:
        """Returns the names of the gold tables that the lake ever built."""
        names = {row.table for row in self._rows(LEDGER_BUILDS)}
        return {name for name in names if name.startswith(GOLD)}

    def reasons(self) -> dict[dt.date, str]:
        """Returns the reason of each date whose last outcome has one, by date."""
        last: dict[dt.date, Any] = {}
        for row in sorted(self._rows(LEDGER_DATES), key=row_order):
            last[row.business_date] = row.reason
        return {date: reason for date, reason in last.items() if reason is not None}

    def first_done(self) -> dict[Stage, dict[dt.date, dt.datetime]]:
        """Returns the time at which each stage first completed a date, by stage and date."""
        times: dict[Stage, dict[dt.date, dt.datetime]] = {stage: {} for stage in Stage}
        for stage, rows in self._done_rows().items():
            for date, at in sorted(rows, key=lambda row: row[1]):
                times[stage].setdefault(date, at)
        return times

    def _done_rows(self) -> dict[Stage, list[tuple[dt.date, dt.datetime]]]:
        built: dict[str, list[tuple[dt.date, dt.datetime]]] = defaultdict(list)
        for row in self._rows(LEDGER_BUILDS):
            built[row.table].append((row.business_date, row.at))
        drops, dates = self._rows(LEDGER_DROPS), self._rows(LEDGER_DATES)
        return {
            Stage.INGEST: [(row.drop_date, row.at) for row in drops if row.status == DropStatus.INGESTED],
            Stage.PUBLISH: [(row.business_date, row.at) for row in dates if row.status == DateStatus.DONE],
            # Only business dates have deadlines, so tables of weeks and months are left out. Of several
            # tables of days the first declared counts: a later one has no history.
            **{t.stage: built[t.name] for t in reversed(self._lake.tables.gold) if t.period is Period.DAY},
            Stage.DOCUMENTS: built[DOCUMENTS.name],
        }

    def silver_versions(self, date: dt.date) -> dict[int, int]:
        """Returns the version of ``silver/sales`` that published each revision of a date, by revision."""
        return {row.revision: row.silver_version for row in self._done_in_order(date)}

    def gold_versions(self, table: Table, date: dt.date) -> dict[int, int]:
        """Returns the version of a gold table that was built from each revision of a date, by revision."""
        rows = [row for row in self._rows(LEDGER_BUILDS) if row.table == table.name]
        return {
            row.sales_revision: row.gold_version
            for row in rows
            if row.business_date == date and row.gold_version is not None
        }

    def forget_beyond(self, versions: Mapping[str, int | None]) -> None:
        """Deletes rows about versions that a table no longer has, for example after a restored backup.

        Args:
            versions: latest version of each bronze, silver and gold table by name; None if the table is gone.
        """
        for table in (LEDGER_DROPS, LEDGER_DATES, LEDGER_BUILDS):
            kept = [row for row in self._rows(table) if not _is_beyond(table, row, versions)]
            if len(kept) < len(self._rows(table)):
                self._lake.rewrite(table, [vars(row) for row in kept])
                self._forget(table)

    def _append(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        self._lake.append(table, rows)
        self._forget(table)

    def _forget(self, table: Table) -> None:
        self._cached_rows.pop(table.name, None)
        self._states.pop(table.name, None)

    def _append_in_order(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends rows with the table's next sequence number; safe because only one run writes to a lake."""
        if rows:
            sequence = max((row.sequence or 0 for row in self._rows(table)), default=0) + 1
            self._append(table, [{**row, "sequence": sequence} for row in rows])

    def _rows(self, table: Table) -> list[Any]:
        """Returns all rows of a small table; they are cached until this run appends to it."""
        if table.name not in self._cached_rows:
            self._cached_rows[table.name] = [SimpleNamespace(**row) for row in self._lake.rows(table)]
        return self._cached_rows[table.name]


_VERSION_COLUMNS = {
    RECEIVED_SALES.name: (LEDGER_DROPS, ("ingest_version", "bronze_version")),
    SALES.name: (LEDGER_DATES, ("silver_version",)),
}


def _is_beyond(table: Table, row: Any, versions: Mapping[str, int | None]) -> bool:
    if table is LEDGER_BUILDS:
        recorded, name = [row.gold_version], row.table
    elif table is LEDGER_DATES:
        recorded, name = [row.silver_version], SALES.name
    else:
        recorded, name = [row.ingest_version, row.bronze_version], RECEIVED_SALES.name
    if name not in versions:  # a table that the config no longer declares
        return False
    last = versions[name]
    return any(version is not None and version > (-1 if last is None else last) for version in recorded)


def settings_columns(record: SettingsRecord) -> dict[str, Any]:
    """Returns the columns of ``ledger/runs`` for settings that apply from a run on."""
    return {
        "settings_sequence": record.sequence,
        "settings_change": record.change.value,
        "settings": json.dumps(record.values, sort_keys=True),
    }


def row_order(row: Any) -> tuple[int, int, float]:
    """Returns the sort key of a numbered table's row. Rows of version 0.1.0, without one, come first."""
    if row.sequence is not None:
        return (row.sequence, 0, 0.0)
    versions = (getattr(row, name, None) for name in ("bronze_version", "silver_version", "gold_version"))
    return (-1, max((v for v in versions if v is not None), default=-1), row.at.timestamp())


def _drop_row(
    run_id: str, ingested: IngestedDrop, version: int | None, audit: IngestAudit, at: dt.datetime
) -> dict[str, Any]:
    is_accepted = version is not None and ingested.status is DropStatus.INGESTED
    content = [_content_row(part) for part in ingested.content]
    return {
        "drop_date": ingested.drop.date,
        "run_id": run_id,
        "status": ingested.status.value,
        "fingerprint": ingested.drop.fingerprint,
        "judged_by": ingested.judged_by,
        "files": len(ingested.drop.files),
        "bytes": ingested.drop.bytes,
        "lines": ingested.lines,
        "accepted": ingested.accepted,
        "rejected": ingested.rejected,
        "extra_columns": list(ingested.extra_columns),
        "at": at,
        "ingest_version": version,
        "bronze_version": version if is_accepted else None,
        "content": content if content or is_accepted else None,
        "reason": ingested.reason,
        "reason_code": ingested.reason_code and ingested.reason_code.value,
        "settings_sequence": audit.settings_sequence,
        "max_rejected_share": audit.max_rejected_share,
        "min_share_of_previous": audit.min_share_of_previous,
    }


def _content_row(part: DateContent) -> dict[str, Any]:
    return {
        "business_date": part.business_date,
        "sale_date": part.sale_date,
        "is_adjustment": part.is_adjustment,
        "lines": part.lines,
        "digest": part.digest,
        "gross_amount": list(part.gross.items()),
    }


def _content(part: Mapping[str, Any]) -> DateContent:
    return DateContent(
        part["business_date"],
        part["sale_date"],
        part["is_adjustment"],
        part["lines"],
        part.get("digest") or "",
        dict(sorted(part.get("gross_amount") or [])),
    )


def _drop_state(date: dt.date, rows: Iterable[Any]) -> DropState:
    in_order = sorted(rows, key=row_order)
    last = in_order[-1]
    accepted = [row for row in in_order if _is_accepted(row)]
    is_refused = last.status == DropStatus.BLOCKED
    return DropState(
        date=date,
        status=DropStatus(last.status),
        fingerprint=last.fingerprint,
        accepted=_accepted(accepted[-1]) if accepted else None,
        refused=tuple(_content(part) for part in last.content or ()) if is_refused else (),
        reason=last.reason,
        reason_code=DropReason(last.reason_code) if last.reason_code else None,
        settings_sequence=last.settings_sequence or 0,
        max_rejected_share=last.max_rejected_share,
        min_share_of_previous=last.min_share_of_previous,
        ingest_version=last.ingest_version,
    )


def _is_accepted(row: Any) -> bool:
    return row.status == DropStatus.INGESTED and row.bronze_version is not None


def _accepted(row: Any) -> AcceptedDelivery:
    return AcceptedDelivery(
        fingerprint=row.fingerprint,
        content=tuple(_content(part) for part in row.content or ()),
        bronze_version=row.bronze_version,
        settings_sequence=row.settings_sequence or 0,
        run_id=row.run_id,
    )


def _date_state(date: dt.date, rows: Iterable[Any]) -> DateState:
    in_order = sorted(rows, key=row_order)
    last = in_order[-1]
    finished = [row for row in in_order if row.status == DateStatus.DONE]
    if not finished:
        return DateState(date, DateStatus(last.status), 0, None, frozenset())
    done = finished[-1]
    return DateState(
        date=date,
        status=DateStatus(last.status),
        revision=done.revision,
        inputs_hash=done.inputs_hash,
        drop_dates=frozenset(done.drop_dates),
        sale_dates=frozenset(done.sale_dates or ()),
        silver_version=done.silver_version,
        chunking=Chunking(done.chunk_key, tuple(done.chunk_ranges)) if done.chunk_key else None,
        is_restored=_restored_revision(done) > 0,
    )


def _restored_revision(done: Any) -> int:
    """The revision that a publication restored; 0 if none. Version 0.1.0 wrote it into the reason alone."""
    reason = done.reason or ""
    if done.sequence is not None or not reason.startswith(RESTORED):
        return done.restored_revision or 0
    return int(reason.removeprefix(RESTORED))
