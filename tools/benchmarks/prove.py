"""Proves a contender's tables right: against the truth of the input, and against another contender's tables.

Figures are counts and sums by business date, chunk and currency, plus digests of all rows: two lakes with
equal figures hold the same lines in every column. Nothing here shares code with a contender: deltalake lists
the files and DuckDB sums the rows, never the code that wrote them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
from deltalake import DeltaTable
from pyspark.sql.types import BooleanType, DataType, DateType, DecimalType, TimestampType

from schemas.gold import DAILY_SALES, INVOICES
from schemas.tables import CONFLICTS, RECEIVED_SALES, SALES, Table

Key = tuple[str, ...]
Measures = tuple[Any, ...]
Figures = dict[str, dict[Key, Measures]]

_SUMS = ("units", "gross_amount", "discount_amount", "net_amount", "returns_amount")
_OUTCOMES = ("conflict", "late_duplicate", "late_conflict")
_DIGEST = "digest of "
# By default DuckDB takes most of the machine's memory.
_MEMORY_LIMIT = "4GB"


def figures(lake: Path) -> Figures:
    """Sums the tables of a lake."""
    with duckdb.connect(config={"memory_limit": _MEMORY_LIMIT}) as database:
        database.execute("set timezone = 'UTC'")
        for table in (RECEIVED_SALES, SALES, CONFLICTS, DAILY_SALES, INVOICES):
            _open(database, table, lake)
        results = {name: _fetch(database, query, keys) for name, (keys, query) in _queries().items()}
        for table in (SALES, CONFLICTS, DAILY_SALES, INVOICES):
            results[_DIGEST + table.name] = _fetch(database, _digest(table), 1)
        return results


def truth_figures(truth: Mapping[str, Any]) -> Figures:
    """The same figures from the truth of the generated input."""
    cells = {
        (date, chunk, currency): cell
        for date, day in truth["dates"].items()
        for chunk, currencies in day["chunks"].items()
        for currency, cell in currencies.items()
    }
    amounts: dict[Key, Measures] = {
        (date, currency): (cell["lines"], *(_exact(cell[name]) for name in _SUMS))
        for date, day in truth["dates"].items()
        for currency, cell in day["amounts"].items()
        if cell["lines"]
    }
    return {
        "rejected lines by reason": {
            (reason,): (lines,) for reason, lines in truth["totals"]["rejected_by_reason"].items() if lines
        },
        "received lines by drop": {
            (date,): (drop["accepted"], drop["rejected"])
            for date, drop in truth["drops"].items()
            if drop["lines"]
        },
        "sales": {
            key: (cell["published"], _exact(cell["gross_published"]))
            for key, cell in cells.items()
            if cell["published"]
        },
        "left out": _left_out(truth),
        "daily totals": amounts,
        "invoices": {(date,): (day["invoices"],) for date, day in truth["dates"].items() if day["invoices"]},
    }


def read_truth(path: Path) -> Figures:
    """Reads a ``truth.json``, see :func:`truth_figures`."""
    return truth_figures(json.loads(path.read_text(encoding="utf-8")))


def first_difference(wanted: Figures, actual: Figures) -> str | None:
    """Describes the first wanted figure that differs; None if all are equal."""
    for name, rows in wanted.items():
        actual_rows = actual.get(name, {})
        for key in sorted(rows.keys() | actual_rows.keys()):
            if rows.get(key) != actual_rows.get(key):
                where = " ".join(key)
                return f"{name}, {where}: {_shown(actual_rows.get(key))} instead of {_shown(rows.get(key))}"
    return None


def _queries() -> dict[str, tuple[int, str]]:
    """Number of key columns and SQL query of each figure."""
    sums = ", ".join(f"sum({name})" for name in _SUMS)
    outcomes = ", ".join(f"count(*) filter (outcome = '{outcome}')" for outcome in _OUTCOMES)
    return {
        "rejected lines by reason": (
            1,
            f"""select reason, count(*) from (select unnest(reject_reasons) as reason
                from {_view(RECEIVED_SALES)} where validation_status = 'rejected') group by reason""",
        ),
        "received lines by drop": (
            1,
            f"""select drop_date, count(*) filter (validation_status = 'accepted'),
                count(*) filter (validation_status = 'rejected')
                from {_view(RECEIVED_SALES)} group by drop_date""",
        ),
        "sales": (
            3,
            f"""select business_date, chunk, currency, count(*), sum(gross_amount)
                from {_view(SALES)} group by business_date, chunk, currency""",
        ),
        "left out": (
            1,
            f"select business_date, {outcomes} from {_view(CONFLICTS)} group by business_date",
        ),
        "daily totals": (
            2,
            f"""select business_date, currency, sum(lines), {sums}
                from {_view(DAILY_SALES)} group by business_date, currency""",
        ),
        "invoices": (1, f"select business_date, count(*) from {_view(INVOICES)} group by business_date"),
    }


def _digest(table: Table) -> str:
    """SQL for lines and a digest of all columns by business date, in any order of the rows."""
    values = ", ".join(_plain(field.name, field.dataType) for field in table.schema.fields)
    return (
        f"""select business_date, count(*), sum(hash({values})) from {_view(table)} group by business_date"""
    )


def _plain(name: str, data_type: DataType) -> str:
    """SQL for a value in a form that does not depend on how it is stored."""
    if isinstance(data_type, TimestampType):
        return f"epoch_us({name}::timestamptz)"
    if isinstance(data_type, DecimalType):
        return f"{name}::decimal(38, 3)"
    if isinstance(data_type, (DateType, BooleanType)):
        return f"{name}::{data_type.simpleString()}"
    return f"{name}::varchar"


def _open(database: duckdb.DuckDBPyConnection, table: Table, lake: Path) -> None:
    files = DeltaTable(str(lake / table.name)).file_uris()
    partition = table.partition_by[0]
    database.execute(
        f"""create view {_view(table)} as select * from read_parquet({files!r},
            hive_partitioning = true, hive_types = {{'{partition}': date}}, union_by_name = true)"""
    )


def _view(table: Table) -> str:
    return table.name.split("/")[-1]


def _fetch(database: duckdb.DuckDBPyConnection, query: str, keys: int) -> dict[Key, Measures]:
    rows = database.execute(query).fetchall()
    return {tuple(map(str, row[:keys])): tuple(map(_exact, row[keys:])) for row in rows}


def _exact(value: Any) -> int | Decimal:
    """A number that compares by value: 2, 2.000 and "2.000" are equal."""
    return value if isinstance(value, int) else Decimal(value)


def _left_out(truth: Mapping[str, Any]) -> dict[Key, Measures]:
    left_out: dict[Key, Measures] = {}
    for date, day in truth["dates"].items():
        late = (day["late_duplicates"], day["late_conflicts"])
        outcomes = (day["conflicts"] - day["late_conflicts"], *late)
        if any(outcomes):
            left_out[date,] = outcomes
    return left_out


def _shown(measures: Measures | None) -> str:
    return "nothing" if measures is None else "(" + ", ".join(map(str, measures)) + ")"
