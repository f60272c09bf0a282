"""The ledger: what was delivered, done, retried, reconciled. The only place where a clock is read.

It is written after the commit that it tells of, and every commit of bronze and silver carries what the
ledger needs, so that a run which finds a commit without its ledger rows writes them.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

from lake.tables import Lake
from planning.reconciliation import Cell, Shares
from planning.staleness import DateState, DropState
from planning.timetable import RUNS_TO_LEARN_FROM, StageRun
from schemas.drops import DateContent, IngestedDrop
from schemas.states import DateStatus, DropStatus, Stage
from schemas.tables import (
    DAILY_SALES,
    INVOICES,
    LEDGER_BUILDS,
    LEDGER_CHUNKS,
    LEDGER_DATES,
    LEDGER_DROPS,
    LEDGER_RUNS,
    LEDGER_STAGES,
    LEDGER_TASKS,
    Table,
)

_USUAL_BYTES_PER_LINE = 120.0


def now() -> dt.datetime:
    """The time, in UTC, as the ledger keeps it."""
    return dt.datetime.now(dt.UTC)


class Ledger:
    """Reads and appends the ledger's tables; a write that fails fails the run."""

    def __init__(self, lake: Lake) -> None:
        """Opens the ledger of a lake."""
        self._lake = lake
        self._kept: dict[str, list[Any]] = {}

    def record_run(self, event: Mapping[str, Any]) -> None:
        """Appends an event of a run: its columns are those of ``ledger/runs``."""
        self._append(LEDGER_RUNS, [event])

    def record_drops(self, run_id: str, drops: Iterable[IngestedDrop], bronze_version: int | None) -> None:
        """Appends what an ingest found.

        Args:
            run_id: run.
            drops: the drops.
            bronze_version: version of ``bronze/received_sales`` that holds their lines; None where an ingest
                wrote none of them.
        """
        at = now()
        self._append(LEDGER_DROPS, [_drop_row(run_id, drop, bronze_version, at) for drop in drops])

    def record_dates(self, run_id: str, dates: Sequence[Mapping[str, Any]]) -> None:
        """Appends outcomes of dates: the columns of ``ledger/dates`` but run_id and at."""
        at = now()
        self._append(LEDGER_DATES, [{**date, "run_id": run_id, "at": at} for date in dates])

    def record_chunks(self, run_id: str, cells: Mapping[Cell, Shares], *, is_new: bool) -> None:
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
        self._append(LEDGER_BUILDS, rows)

    def drops(self) -> dict[dt.date, DropState]:
        """Every drop that an ingest saw, by date."""
        by_date: dict[dt.date, list[Any]] = defaultdict(list)
        for row in self._rows(LEDGER_DROPS):
            if row.status != DropStatus.UNCHANGED:
                by_date[row.drop_date].append(row)
        return {date: _drop_state(date, rows) for date, rows in sorted(by_date.items())}

    def last_bronze_version(self) -> int:
        """Latest version of bronze that the ledger tells of; -1 where none."""
        return max(
            (row.bronze_version for row in self._rows(LEDGER_DROPS) if row.bronze_version is not None),
            default=-1,
        )

    def dates(self) -> dict[dt.date, DateState]:
        """Every business date that a publication was tried of, by date."""
        by_date: dict[dt.date, list[Any]] = defaultdict(list)
        for row in self._rows(LEDGER_DATES):
            by_date[row.business_date].append(row)
        return {date: _date_state(date, rows) for date, rows in sorted(by_date.items())}

    def last_silver_version(self) -> int:
        """Latest version of ``silver/sales`` that the ledger tells of; -1 where none."""
        return max(
            (row.silver_version for row in self._rows(LEDGER_DATES) if row.silver_version is not None),
            default=-1,
        )

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
        latest = sorted(sized, key=lambda row: row.at)[-RUNS_TO_LEARN_FROM:]
        lines = sum(row.lines for row in latest)
        return sum(row.bytes for row in latest) / lines if lines else _USUAL_BYTES_PER_LINE

    def built_revisions(self, table: Table) -> dict[dt.date, int]:
        """Revision that a gold table was last built from, by date."""
        rows = [row for row in self._rows(LEDGER_BUILDS) if row.table == table.name]
        in_order = sorted(rows, key=lambda row: (row.gold_version, row.at))
        return {row.business_date: row.sales_revision for row in in_order}

    def reasons(self) -> dict[dt.date, str]:
        """Why dates were not done, as their last publication told it."""
        last: dict[dt.date, Any] = {}
        for row in sorted(self._rows(LEDGER_DATES), key=lambda row: row.at):
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
            Stage.DAILY_SALES: built[DAILY_SALES.name],
            Stage.INVOICES: built[INVOICES.name],
        }

    def silver_versions(self, date: dt.date) -> dict[int, int]:
        """Version of ``silver/sales`` that published each revision of a date, by revision."""
        rows = [row for row in self._rows(LEDGER_DATES) if row.business_date == date]
        return {row.revision: row.silver_version for row in rows if row.status == DateStatus.DONE}

    def gold_versions(self, table: Table, date: dt.date) -> dict[int, int]:
        """Version of a gold table that was built from each revision of a date, by revision."""
        rows = [row for row in self._rows(LEDGER_BUILDS) if row.table == table.name]
        return {row.sales_revision: row.gold_version for row in rows if row.business_date == date}

    def forget(self) -> None:
        """Reads the tables again when next asked: other runs may have appended to them."""
        self._kept.clear()

    def _append(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        self._lake.append(table, rows)
        self._kept.pop(table.name, None)

    def _rows(self, table: Table) -> list[Any]:
        """All rows of a table of few rows a date; read once, until this run appends to it."""
        if table.name not in self._kept:
            self._kept[table.name] = [SimpleNamespace(**row) for row in self._lake.rows(table)]
        return self._kept[table.name]


def _drop_row(
    run_id: str, found: IngestedDrop, bronze_version: int | None, at: dt.datetime
) -> dict[str, Any]:
    is_held = bronze_version is not None
    content = [asdict(part) for part in found.content]
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
        "bronze_version": bronze_version,
        "content": content if is_held else None,
        "reason": found.reason,
    }


def _drop_state(date: dt.date, rows: Sequence[Any]) -> DropState:
    last = max(rows, key=lambda row: row.at)
    held = max(
        (row for row in rows if row.bronze_version is not None),
        key=lambda row: (row.bronze_version, row.at),
        default=None,
    )
    content = () if held is None else tuple(DateContent(**part) for part in held.content)
    # The same files judged under other terms are other lines.
    held_input = None if held is None else f"{held.fingerprint}:{held.judged_by}"
    return DropState(date, DropStatus(last.status), last.fingerprint, held_input, content)


def _date_state(date: dt.date, rows: Sequence[Any]) -> DateState:
    last = max(rows, key=lambda row: row.at)
    done = max(
        (row for row in rows if row.status == DateStatus.DONE),
        key=lambda row: row.silver_version,
        default=None,
    )
    return DateState(
        date=date,
        status=DateStatus(last.status),
        revision=0 if done is None else done.revision,
        inputs_hash=None if done is None else done.inputs_hash,
        drop_dates=frozenset() if done is None else frozenset(done.drop_dates),
        silver_version=None if done is None else done.silver_version,
        is_restored=done is not None and done.reason is not None,
    )
