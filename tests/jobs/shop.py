"""A shop of one test: a landing, a lake, and the jobs run over them as a command would."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from pyspark.sql import SparkSession

from jobs.run_batch import JOB as RUN_BATCH
from pipeline.cli.job import Job
from schemas.gold import DAILY_SALES, INVOICES
from schemas.tables import (
    CONFLICTS,
    LEDGER_BUILDS,
    LEDGER_CHUNKS,
    LEDGER_DATES,
    LEDGER_DROPS,
    RECEIVED_SALES,
    SALES,
    Table,
)
from tests.support.landing import write_bytes, write_csv, write_json, write_manifest
from tests.support.lines import received_line
from tests.support.runs import run_job
from tests.support.tables import table_path, table_versions

DATA_TABLES = (RECEIVED_SALES, SALES, CONFLICTS, DAILY_SALES, INVOICES)
# What tells a run, a moment or a commit; all else must come out the same of every way to one result.
_OF_ONE_RUN = {
    "run_id",
    "at",
    "fingerprint",
    "inputs_hash",
    "silver_version",
    "bronze_version",
    "ingest_version",
    "sequence",
    "gold_version",
}


@dataclass(frozen=True)
class Ran:
    """What a run came to, and what a person saw of it."""

    code: int
    result: dict[str, Any]
    stdout: str
    stderr: str

    @property
    def errors(self) -> list[str]:
        """The lines on stderr that tell an error."""
        return [line for line in self.stderr.splitlines() if line.startswith("error:")]

    @property
    def error(self) -> str:
        """The one error line, with no stack trace or other noise beside it."""
        assert "Traceback" not in self.stderr, self.stderr
        assert "\tat " not in self.stderr, self.stderr
        assert len(self.errors) == 1, self.stderr
        told = [line for line in self.stderr.splitlines() if not _is_step(line)]
        assert all(line.startswith(("error:", "warning:", "to finish the rest, run: ")) for line in told), (
            self.stderr
        )
        return self.errors[0]

    @property
    def date_status(self) -> dict[str, str]:
        """Status by business date."""
        return {date["business_date"]: date["status"] for date in self.result["dates"]}

    @property
    def drop_status(self) -> dict[str, str]:
        """Status by drop date."""
        return {drop["drop_date"]: drop["status"] for drop in self.result["drops"]}


@dataclass
class Shop:
    """A landing and a lake below one folder; every run of it takes the same further arguments."""

    spark: SparkSession
    folder: Path
    arguments: list[str] = field(default_factory=list)
    lake: Path = field(init=False)

    def __post_init__(self) -> None:
        self.lake = self.folder / "lake"
        self.landing.mkdir(parents=True, exist_ok=True)

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    def other(self, name: str) -> Shop:
        """A shop with the same landing and a lake of its own: what a clean run makes of it."""
        shop = Shop(self.spark, self.folder, list(self.arguments))
        shop.lake = self.folder / name
        return shop

    def run(self, *arguments: str, job: Job = RUN_BATCH) -> Ran:
        """Runs a job over the shop."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            finished = run_job(job, self.landing, self.lake, *self.arguments, *arguments)
        return Ran(finished.code, finished.result, out.getvalue(), err.getvalue())

    def done(self, *arguments: str, job: Job = RUN_BATCH) -> Ran:
        """Runs a job that must end well."""
        ran = self.run(*arguments, job=job)
        assert ran.code == 0, ran.stderr
        return ran

    def land(self, drop_date: str, *lines: dict[str, str | None], name: str = "sales.csv") -> Path:
        """Delivers a CSV file."""
        return write_csv(self.landing, drop_date, lines, name)

    def land_bytes(self, drop_date: str, content: bytes, name: str = "sales.csv") -> Path:
        """Delivers a file of any bytes."""
        return write_bytes(self.landing, drop_date, name, content)

    def land_json(self, drop_date: str, *lines: dict[str, Any], name: str = "sales.json") -> Path:
        """Delivers JSON lines."""
        return write_json(self.landing, drop_date, lines, name)

    def manifest(self, drop_date: str, *files: dict[str, Any], closed: bool | None = None) -> Path:
        """Delivers a manifest."""
        return write_manifest(self.landing, drop_date, files, closed)

    def rows(self, table: Table, *columns: str, **where: Any) -> list[dict[str, Any]]:
        """Rows of a table whose columns have these values, dates as text."""
        found = [{name: _plain(value) for name, value in row.items()} for row in self._read(table)]
        kept = [row for row in found if all(row[name] == value for name, value in where.items())]
        return [{name: row[name] for name in columns} for row in kept] if columns else kept

    def _read(self, table: Table) -> list[dict[str, Any]]:
        # Without Spark: milliseconds, and another reader than the one that wrote.
        path = table_path(self.lake, table)
        if not (path / "_delta_log").exists():
            return []
        rows: list[dict[str, Any]] = DeltaTable(str(path)).to_pyarrow_table().to_pylist()
        return rows

    def sales(self, *columns: str, **where: Any) -> list[Any]:
        """Rows of silver/sales: one column as a list of its values, several as tuples."""
        rows = self.rows(SALES, **where)
        if len(columns) == 1:
            return sorted(str(row[columns[0]]) for row in rows)
        return sorted(tuple(str(row[name]) for name in columns) for row in rows)

    def versions(self) -> dict[str, int]:
        """Latest version of each table of bronze, silver and gold."""
        return table_versions(self.lake, DATA_TABLES)

    def content(self) -> dict[str, list[str]]:
        """Everything that readers see and that the ledger holds of drops and dates, without its run."""
        tables = (*DATA_TABLES, LEDGER_DATES, LEDGER_DROPS, LEDGER_CHUNKS, LEDGER_BUILDS)
        return {
            table.name: sorted(
                str({name: value for name, value in row.items() if name not in _OF_ONE_RUN})
                for row in self.rows(table)
            )
            for table in tables
        }

    def revisions(self) -> dict[str, int]:
        """Latest done revision by business date."""
        found: dict[str, int] = {}
        for row in self.rows(LEDGER_DATES, status="done"):
            found[row["business_date"]] = max(row["revision"], found.get(row["business_date"], 0))
        return found


def line(
    transaction_id: str = "T-1", sold_at: str = "2026-03-02T12:00:00Z", **fields: str | None
) -> dict[str, str | None]:
    """A sound received line."""
    return received_line(transaction_id=transaction_id, sold_at=sold_at, **fields)


@contextlib.contextmanager
def raising_once(patch: Any, owner: Any, name: str, error: Exception) -> Iterator[None]:
    """Makes a function raise at its first call, before it does anything."""
    with patch.context() as patched:
        real, calls = getattr(owner, name), []

        def broken(*arguments: Any, **named: Any) -> Any:
            calls.append(name)
            if len(calls) == 1:
                raise error
            return real(*arguments, **named)

        patched.setattr(owner, name, broken)
        yield
        assert calls, f"{name} was never called"


def _plain(value: Any) -> Any:
    return value.isoformat() if type(value).__name__ == "date" else value


def _is_step(text: str) -> bool:
    seconds, _, step = text.strip().partition(" s  ")
    return not text.strip() or bool(step and seconds.replace(".", "").isdigit())
