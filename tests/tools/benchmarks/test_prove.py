"""Tables that hold the same are equal however they are stored; the first figure that is not is named."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyspark.sql.pandas.types import to_arrow_schema

from schemas.gold import DAILY_SALES, INVOICES
from schemas.tables import CONFLICTS, RECEIVED_SALES, SALES, Table
from tools.benchmarks.prove import Figures, figures, first_difference, truth_figures

DAY = dt.date(2026, 11, 1)
SOLD_AT = dt.datetime(2026, 11, 1, 14, 30, tzinfo=dt.UTC)
SUMS: dict[str, Any] = {
    "lines": 2,
    "units": Decimal(3),
    "gross_amount": Decimal(20),
    "discount_amount": Decimal(1),
    "net_amount": Decimal(19),
    "returns_amount": Decimal(0),
}
LINE: dict[str, Any] = {
    "business_date": DAY, "drop_date": DAY, "chunk": "A-G", "currency": "USD", "sold_at": SOLD_AT,
    "gross_amount": Decimal("10.5"), "duplicates": 0, "channel": None,
}  # fmt: skip

TRUTH: dict[str, Any] = {
    "totals": {"rejected_by_reason": {"zero_quantity": 1, "malformed_line": 0}},
    "drops": {"2026-11-01": {"lines": 3, "accepted": 2, "rejected": 1}},
    "dates": {
        "2026-11-01": {
            "conflicts": 1, "late_duplicates": 0, "late_conflicts": 0, "invoices": 1,
            "chunks": {"A-G": {"USD": {"published": 2, "gross_published": "21.000"}}},
            "amounts": {"USD": {name: str(value) for name, value in SUMS.items()} | {"lines": 2}},
        }
    },
}  # fmt: skip


def write(lake: Path, table: Table, *rows: dict[str, Any]) -> None:
    complete = [{name: row.get(name) for name in table.columns} for row in rows]
    frame = pa.Table.from_pylist(complete, schema=to_arrow_schema(table.schema, timezone="UTC"))
    write_deltalake(str(lake / table.name), frame, partition_by=list(table.partition_by), mode="overwrite")


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    rejected = {"drop_date": DAY, "validation_status": "rejected", "reject_reasons": ["zero_quantity"]}
    accepted = {"drop_date": DAY, "validation_status": "accepted", "reject_reasons": []}
    write(tmp_path, RECEIVED_SALES, rejected, accepted, accepted)
    write(tmp_path, SALES, LINE, LINE)
    write(tmp_path, CONFLICTS, {"business_date": DAY, "outcome": "conflict"})
    write(tmp_path, DAILY_SALES, {"business_date": DAY, "currency": "USD", **SUMS})
    write(tmp_path, INVOICES, {"business_date": DAY, "currency": "USD", **SUMS})
    return tmp_path


def test_tables_that_hold_the_truth(lake: Path) -> None:
    assert first_difference(truth_figures(TRUTH), figures(lake)) is None


def test_another_column_of_one_line_differs(lake: Path) -> None:
    wanted = figures(lake)
    write(lake, SALES, LINE, LINE | {"channel": "store"})
    found = figures(lake)
    assert first_difference(truth_figures(TRUTH), found) is None
    difference = first_difference(wanted, found)
    assert difference is not None
    assert difference.startswith("digest of silver/sales, 2026-11-01: (2, ")


def test_the_same_lines_in_another_order_and_number_of_files_are_equal(lake: Path) -> None:
    other = LINE | {"channel": "store"}
    write(lake, SALES, LINE, other)
    wanted = figures(lake)
    write(lake, SALES, other)
    narrow = {name: value for name, value in LINE.items() if value is not None}
    rows = pa.Table.from_pylist([dict.fromkeys(SALES.columns) | narrow])
    write_deltalake(
        str(lake / SALES.name),
        rows.cast(to_arrow_schema(SALES.schema, timezone="UTC")),
        partition_by=list(SALES.partition_by),
        mode="append",
    )
    assert first_difference(wanted, figures(lake)) is None


@pytest.mark.parametrize(
    ("found", "difference"),
    [
        ({("A", "USD"): (2, Decimal("1.50"))}, None),
        ({("A", "USD"): (2, Decimal("1.51"))}, "sales, A USD: (2, 1.51) instead of (2, 1.5)"),
        ({}, "sales, A USD: nothing instead of (2, 1.5)"),
        (
            {("A", "USD"): (2, Decimal("1.5")), ("B", "USD"): (1, Decimal(1))},
            "sales, B USD: (1, 1) instead of nothing",
        ),
    ],
    ids=["equal", "another sum", "too little", "too much"],
)
def test_first_difference(found: dict[Any, Any], difference: str | None) -> None:
    wanted: Figures = {"sales": {("A", "USD"): (2, Decimal("1.5"))}}
    assert first_difference(wanted, {"sales": found, "more": {}}) == difference
