"""The ledger: what was delivered, done, retried, reconciled. The only place where a clock is read.

It is derived: each row is written after the commit that it tells of, and every commit of bronze, silver and
gold carries what the ledger needs, so that a run which finds a commit without its rows writes them. What is
latest is told by ``sequence``, which only grows, and by table versions, never by a clock.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from pipeline.lake.tables import Lake
from pipeline.planning.pinned import Change, Chunking, PinnedSettings, SettingsRecord
from pipeline.planning.reconciliation import Balance, ReconciliationKey
from pipeline.planning.staleness import AcceptedDelivery, DateState, DropState
from pipeline.planning.timetable import RUNS_TO_LEARN_FROM, StageRun
from schemas.drops import DateContent, IngestedDrop
from schemas.gold import GOLD_TABLES, Period
from schemas.states import DateStatus, DropStatus, Stage
from schemas.tables import (
    LEDGER_BUILDS,
    LEDGER_CHUNKS,
    LEDGER_DATES,
    LEDGER_DROPS,
    LEDGER_RUNS,
    LEDGER_STAGES,
    LEDGER_TASKS,
    RECEIVED_SALES,
    SALES,
    Table,
)

_USUAL_BYTES_PER_LINE = 120.0
# How the reason of a date begins that was brought back to an earlier revision.
RESTORED = "restored from revision"


@dataclass(frozen=True)
class IngestAudit:
    """What deliveries were ingested under.

    Attributes:
        settings_sequence: record of the pinned settings.
        max_rejected_share: share of rejected lines that the audit allowed.
    """

    settings_sequence: int
    max_rejected_share: float


def now() -> dt.datetime:
    """The time, in UTC, as the ledger keeps it."""
    return dt.datetime.now(dt.UTC)


class Ledger:
    """Reads and appends the ledger's tables; a write that fails fails the run."""

    def __init__(self, lake: Lake) -> None:
        """Opens the ledger of a lake."""
        self._lake = lake
        self._kept: dict[str, list[Any]] = {}
        self._states: dict[str, dict[dt.date, Any]] = {}

    def record_run(self, event: Mapping[str, Any]) -> None:
        """Appends an event of a run: its columns are those of ``ledger/runs``."""
        self._append(LEDGER_RUNS, [event])

    def record_drops(
        self, run_id: str, drops: Iterable[IngestedDrop], version: int | None, audit: IngestAudit
    ) -> None:
        """Appends what an ingest found.

        Args:
            run_id: run.
            drops: the drops.
            version: version of ``bronze/received_sales`` that they were written in; None where none was.
            audit: what they were ingested under.
        """
        at = now()
        rows = [_drop_row(run_id, drop, version, audit, at) for drop in drops]
        self._append_in_order(LEDGER_DROPS, rows)

    def record_dates(self, run_id: str, dates: Sequence[Mapping[str, Any]]) -> None:
        """Appends outcomes of dates: the columns of ``ledger/dates`` but run_id, at and sequence."""
        at = now()
        self._append_in_order(LEDGER_DATES, [{**date, "run_id": run_id, "at": at} for date in dates])

    def record_chunks(self, run_id: str, cells: Mapping[ReconciliationKey, Balance], *, is_new: bool) -> None:
        """Appends the reconciliation of a publication, once: what a run cut off had recorded stays.

        Args:
            run_id: run that published.
            cells: shares by cell.
            is_new: whether nothing of this publication can be recorded yet.
        """
        there = set() if is_new else {row["business_date"] for row in self._lake.rows(LEDGER_CHUNKS, run_id)}
        rows = [
            {
                "run_id": run_id,
                "business_date": cell.business_date,
                "chunk": cell.chunk,
                "currency": cell.currency,
                **shares.as_columns(),
            }
            for cell, shares in cells.items()
            if cell.business_date not in there
        ]
        self._append(LEDGER_CHUNKS, rows)

    def record_tasks(self, run_id: str, chunks: Sequence[Mapping[str, Any]]) -> None:
        """Appends how each chunk's tasks went: the columns of ``ledger/tasks`` but run_id."""
        self._append(LEDGER_TASKS, [{**chunk, "run_id": run_id} for chunk in chunks])

    def record_stages(self, run_id: str, stages: Sequence[Mapping[str, Any]]) -> None:
        """Appends the stages of a run: the columns of ``ledger/stages`` but run_id."""
        self._append(LEDGER_STAGES, [{**stage, "run_id": run_id} for stage in stages])

    def record_builds(
        self, run_id: str, table: Table, revisions: Mapping[dt.date, int], gold_version: int | None
    ) -> None:
        """Appends from which revision of each date a gold table was built."""
        at = now()
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

    def drops(self) -> dict[dt.date, DropState]:
        """Every drop that an ingest saw, by date."""
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
        """URI of the landing that a run read; None where that is not known."""
        found = (row.landing for row in self._rows(LEDGER_RUNS) if row.run_id == run_id and row.landing)
        return next(found, None)

    def last_rules_digest(self) -> str | None:
        """Digest of the settings under which the last drop was ingested; None where none was."""
        rows = [row for row in self._rows(LEDGER_DROPS) if row.bronze_version is not None and row.judged_by]
        return max(rows, key=_order).judged_by if rows else None

    def holds_refused(self, date: dt.date) -> bool:
        """Whether bronze holds a refused delivery of a drop, as version 0.1.0 left it there."""
        held = [row for row in self._held_rows(date) if row.bronze_version is not None]
        return bool(held) and held[-1].status == DropStatus.BLOCKED

    def refused_version(self, date: dt.date) -> int:
        """Version of bronze that brought the refused delivery which it holds."""
        return int(
            [row for row in self._held_rows(date) if row.bronze_version is not None][-1].bronze_version
        )

    def accepted_version_before_refusal(self, date: dt.date) -> int | None:
        """Version of bronze that held the last accepted delivery of a drop; None where none was accepted."""
        accepted = [row for row in self._held_rows(date) if _is_accepted(row)]
        return accepted[-1].bronze_version if accepted else None

    def _held_rows(self, date: dt.date) -> list[Any]:
        return sorted((row for row in self._rows(LEDGER_DROPS) if row.drop_date == date), key=_order)

    def restored_revision(self, date: dt.date) -> int:
        """The earlier revision that a date was last brought back to; 0 where it was not."""
        reason = self._done_in_order(date)[-1].reason or ""
        return int(reason.removeprefix(RESTORED)) if reason.startswith(RESTORED) else 0

    def was_fresh_when_restored(self, date: dt.date) -> bool:
        """Whether a date that was brought back had no line that was ingested and not published yet."""
        done = self._done_in_order(date)
        return len(done) > 1 and done[-1].inputs_hash == done[-2].inputs_hash

    def _done_in_order(self, date: dt.date) -> list[Any]:
        rows = [row for row in self._rows(LEDGER_DATES) if row.business_date == date]
        return [row for row in sorted(rows, key=_order) if row.status == DateStatus.DONE]

    def settings(self) -> PinnedSettings | None:
        """The settings that decide content; None where nothing was ever ingested."""
        rows = [row for row in self._rows(LEDGER_RUNS) if row.settings is not None]
        told = {row.settings_sequence: row for row in rows}
        records = [
            SettingsRecord(sequence, Change(row.settings_change), json.loads(row.settings))
            for sequence, row in sorted(told.items())
        ]
        return PinnedSettings(records) if records else None

    def recorded_versions(self, table: Table) -> dict[int, str]:
        """Run by version of a table, of the commits that the ledger tells of."""
        if table.name in _VERSION_COLUMNS:
            source, columns = _VERSION_COLUMNS[table.name]
            rows = self._rows(source)
        else:
            columns = ("gold_version",)
            rows = [row for row in self._rows(LEDGER_BUILDS) if row.table == table.name]
        found = {getattr(row, column): row.run_id for column in columns for row in rows}
        return {version: run_id for version, run_id in found.items() if version is not None}

    def dates(self) -> dict[dt.date, DateState]:
        """Every business date that a publication was tried of, by date."""
        if LEDGER_DATES.name not in self._states:
            self._states[LEDGER_DATES.name] = self._dates()
        return dict(self._states[LEDGER_DATES.name])

    def _dates(self) -> dict[dt.date, DateState]:
        by_date: dict[dt.date, list[Any]] = defaultdict(list)
        for row in self._rows(LEDGER_DATES):
            by_date[row.business_date].append(row)
        return {date: _date_state(date, rows) for date, rows in sorted(by_date.items())}

    def stages(self) -> dict[Stage, list[StageRun]]:
        """The stages of all runs, oldest first, by stage."""
        found: dict[Stage, list[StageRun]] = defaultdict(list)
        for row in sorted(self._rows(LEDGER_STAGES), key=lambda row: row.ended_at):
            found[Stage(row.stage)].append(StageRun(row.lines, row.seconds))
        return found

    def bytes_per_line(self) -> float:
        """Size of a landed line, over the latest drops that had any; a usual one where none is known."""
        held = [row for row in self._rows(LEDGER_DROPS) if row.bronze_version is not None]
        # A drop replayed from bronze has lines and no bytes.
        sized = [row for row in held if row.bytes and row.lines]
        latest = sorted(sized, key=_order)[-RUNS_TO_LEARN_FROM:]
        lines = sum(row.lines for row in latest)
        return sum(row.bytes for row in latest) / lines if lines else _USUAL_BYTES_PER_LINE

    def built_revisions(self, table: Table) -> dict[dt.date, int]:
        """Revision that a gold table was last built from, by date."""
        rows = [row for row in self._rows(LEDGER_BUILDS) if row.table == table.name]
        in_order = sorted(rows, key=_order)
        return {row.business_date: row.sales_revision for row in in_order}

    def reasons(self) -> dict[dt.date, str]:
        """Why dates were not done, as their last publication told it."""
        last: dict[dt.date, Any] = {}
        for row in sorted(self._rows(LEDGER_DATES), key=_order):
            last[row.business_date] = row.reason
        return {date: reason for date, reason in last.items() if reason is not None}

    def first_done(self) -> dict[Stage, dict[dt.date, dt.datetime]]:
        """When each stage first had a date done, by stage and date."""
        found: dict[Stage, dict[dt.date, dt.datetime]] = {stage: {} for stage in Stage}
        for stage, rows in self._done_rows().items():
            for date, at in sorted(rows, key=lambda row: row[1]):
                found[stage].setdefault(date, at)
        return found

    def _done_rows(self) -> dict[Stage, list[tuple[dt.date, dt.datetime]]]:
        built: dict[str, list[tuple[dt.date, dt.datetime]]] = defaultdict(list)
        for row in self._rows(LEDGER_BUILDS):
            built[row.table].append((row.business_date, row.at))
        drops, dates = self._rows(LEDGER_DROPS), self._rows(LEDGER_DATES)
        return {
            Stage.INGEST: [(row.drop_date, row.at) for row in drops if row.status == DropStatus.INGESTED],
            Stage.PUBLISH: [(row.business_date, row.at) for row in dates if row.status == DateStatus.DONE],
            # Deadlines are those of a business date: tables of longer periods have none.
            **{table.stage: built[table.name] for table in GOLD_TABLES if table.period is Period.DAY},
        }

    def silver_versions(self, date: dt.date) -> dict[int, int]:
        """Version of ``silver/sales`` that published each revision of a date, by revision."""
        return {row.revision: row.silver_version for row in self._done_in_order(date)}

    def gold_versions(self, table: Table, date: dt.date) -> dict[int, int]:
        """Version of a gold table that was built from each revision of a date, by revision."""
        rows = [row for row in self._rows(LEDGER_BUILDS) if row.table == table.name]
        return {
            row.sales_revision: row.gold_version
            for row in rows
            if row.business_date == date and row.gold_version is not None
        }

    def forget_beyond(self, versions: Mapping[str, int | None]) -> None:
        """Drops rows that tell of versions which a table does not have, as after it came from a backup.

        Args:
            versions: latest version by name of a table of bronze, silver or gold; None where it is gone.
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
        self._kept.pop(table.name, None)
        self._states.pop(table.name, None)

    def _append_in_order(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Appends rows with the next number of their table; this run alone writes to the lake."""
        if rows:
            sequence = max((row.sequence or 0 for row in self._rows(table)), default=0) + 1
            self._append(table, [{**row, "sequence": sequence} for row in rows])

    def _rows(self, table: Table) -> list[Any]:
        """All rows of a table of few rows a date; read once, until this run appends to it."""
        if table.name not in self._kept:
            self._kept[table.name] = [SimpleNamespace(**row) for row in self._lake.rows(table)]
        return self._kept[table.name]


_VERSION_COLUMNS = {
    RECEIVED_SALES.name: (LEDGER_DROPS, ("ingest_version", "bronze_version")),
    SALES.name: (LEDGER_DATES, ("silver_version",)),
}


def _is_beyond(table: Table, row: Any, versions: Mapping[str, int | None]) -> bool:
    if table is LEDGER_BUILDS:
        told, name = [row.gold_version], row.table
    elif table is LEDGER_DATES:
        told, name = [row.silver_version], SALES.name
    else:
        told, name = [row.ingest_version, row.bronze_version], RECEIVED_SALES.name
    last = versions.get(name)
    return any(version is not None and version > (-1 if last is None else last) for version in told)


def settings_columns(record: SettingsRecord) -> dict[str, Any]:
    """The columns of ``ledger/runs`` that tell of settings that hold from a run on."""
    return {
        "settings_sequence": record.sequence,
        "settings_change": record.change.value,
        "settings": json.dumps(record.values, sort_keys=True),
    }


def _order(row: Any) -> tuple[int, int, float]:
    """Position of a row. Rows of version 0.1.0 have no sequence: they come first, by version and time."""
    if row.sequence is not None:
        return (row.sequence, 0, 0.0)
    versions = (getattr(row, name, None) for name in ("bronze_version", "silver_version", "gold_version"))
    return (-1, max((v for v in versions if v is not None), default=-1), row.at.timestamp())


def _drop_row(
    run_id: str, found: IngestedDrop, version: int | None, audit: IngestAudit, at: dt.datetime
) -> dict[str, Any]:
    is_accepted = version is not None and found.status is DropStatus.INGESTED
    return {
        "drop_date": found.drop.date,
        "run_id": run_id,
        "status": found.status.value,
        "fingerprint": found.drop.fingerprint,
        "judged_by": found.judged_by,
        "files": len(found.drop.files),
        "bytes": found.drop.bytes,
        "lines": found.lines,
        "accepted": found.accepted,
        "rejected": found.rejected,
        "extra_columns": list(found.extra_columns),
        "at": at,
        "ingest_version": version,
        "bronze_version": version if is_accepted else None,
        "content": [_content_row(part) for part in found.content] if found.content or is_accepted else None,
        "reason": found.reason,
        "settings_sequence": audit.settings_sequence,
        "max_rejected_share": audit.max_rejected_share,
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
        dict(part.get("gross_amount") or []),
    )


def _drop_state(date: dt.date, rows: Iterable[Any]) -> DropState:
    in_order = sorted(rows, key=_order)
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
        settings_sequence=last.settings_sequence or 0,
        max_rejected_share=last.max_rejected_share,
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
    in_order = sorted(rows, key=_order)
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
        is_restored=bool(done.reason and done.reason.startswith(RESTORED)),
    )
