"""Deliveries of many nights, each with something late, repeated, contradicting or changed; and their lake."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from schemas.gold import DAILY_SALES, INVOICES
from schemas.lake import TABLES
from schemas.tables import CONFLICTS, RECEIVED_SALES, SALES, Table
from tests.support.landing import write_csv
from tests.support.lines import received_line
from tests.support.tables import table_path

FIRST = dt.date(2026, 3, 2)
COMPARED = (RECEIVED_SALES, SALES, CONFLICTS, DAILY_SALES, INVOICES)
PRODUCTS = ("Apple", "Honey", "Orange", "Zebra", "7 Up")
LENIENT = ("--set", "audit.max_conflict_share=1")


@dataclass
class Nights:
    """A landing and a lake below a folder."""

    folder: Path
    lake: Path

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    @property
    def arguments(self) -> list[str]:
        """Where they are, for a job."""
        return ["--landing", str(self.landing), "--lake", str(self.lake), *LENIENT]

    def deliver(self, night: int) -> None:
        """A night's drop; every second night the drop before it is delivered again, changed."""
        lines = _sales(night)
        if night:
            lines += [_sale(night - 1, 90), _sale(night - 1, 0), _sale(night - 1, 1, gross_amount="77.00")]
        write_csv(self.landing, str(_date(night)), lines)
        if night % 2:
            again = [*_sales(night - 1), _sale(night - 1, 91 + night)]
            write_csv(self.landing, str(_date(night - 1)), again)

    def rows(self, table: Table) -> list[dict[str, Any]]:
        """A table's rows; none where it is not there."""
        path = table_path(self.lake, table)
        if not (path / "_delta_log").exists():
            return []
        found: list[dict[str, Any]] = DeltaTable(str(path)).to_pyarrow_table().to_pylist()
        return found

    def content(self) -> dict[str, list[str]]:
        """What readers see, but for revisions: a night cut short may have published one more."""
        return {
            table.name: sorted(
                str({name: value for name, value in row.items() if name != "sales_revision"})
                for row in self.rows(table)
            )
            for table in COMPARED
        }

    def sales_of(self, night: int) -> frozenset[tuple[str, str]]:
        """Transactions and amounts of a business date, as a reader sees them now."""
        table = DeltaTable(str(table_path(self.lake, SALES)))
        rows = table.to_pyarrow_table(filters=[("business_date", "=", _date(night))]).to_pylist()
        assert len({row["transaction_id"] for row in rows}) == len(rows)
        return frozenset((row["transaction_id"], str(row["gross_amount"])) for row in rows)

    def unreferred_files(self) -> list[Path]:
        """Data files that no table's newest version refers to."""
        found: list[Path] = []
        for table in TABLES:
            path = table_path(self.lake, table)
            if (path / "_delta_log").exists():
                kept = {Path(uri.removeprefix("file://")) for uri in DeltaTable(str(path)).file_uris()}
                there = {p for p in path.rglob("*.parquet") if "_delta_log" not in p.parts}
                found += sorted(there - kept)
        return found


def _date(night: int) -> dt.date:
    return FIRST + dt.timedelta(days=night)


def _sales(night: int) -> list[dict[str, str | None]]:
    return [_sale(night, number) for number in range(25)]


def _sale(night: int, number: int, **fields: str) -> dict[str, str | None]:
    return received_line(
        transaction_id=f"{night}-{number}",
        sold_at=f"{_date(night)}T15:{number % 60:02d}:00Z",
        product_name=PRODUCTS[number % len(PRODUCTS)],
        customer_id=f"C-{number % 7}",
        **fields,
    )
