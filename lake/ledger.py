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
from schemas.drops import DateContent, IngestedDrop
from schemas.states import DateStatus, DropStatus
from schemas.tables import (
    LEDGER_BUILDS,
    LEDGER_CHUNKS,
    LEDGER_DATES,
    LEDGER_DROPS,
    LEDGER_RUNS,
    LEDGER_TASKS,
    Table,
)


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

    def record_chunks(self, run_id: str, cells: Mapping[Cell, Shares]) -> None:
        """Appends the reconciliation of a publication, once: what a run cut off had recorded stays."""
        there = {row["business_date"] for row in self._lake.rows(LEDGER_CHUNKS, run_id)}
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

    def built_revisions(self, table: Table) -> dict[dt.date, int]:
        """Revision that a gold table was last built from, by date."""
        rows = [row for row in self._rows(LEDGER_BUILDS) if row.table == table.name]
        in_order = sorted(rows, key=lambda row: (row.gold_version, row.at))
        return {row.business_date: row.sales_revision for row in in_order}

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
    )
