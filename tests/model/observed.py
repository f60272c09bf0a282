"""What a lake's tables hold, in the words of the reference. Read without Spark."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from schemas.billing import DOCUMENT_LINES, DOCUMENTS
from schemas.gold import DAILY_SALES, INVOICES, WEEKLY_PRODUCT_SALES
from schemas.tables import CONFLICTS, LEDGER_CHUNKS, LEDGER_DATES, RECEIVED_SALES, SALES, Table
from tests.jobs.shop import DATA_TABLES, Shop
from tests.model.reference import CONFLICT_COLUMNS, NOTHING, SALES_COLUMNS, Content, Line, Sums, in_order

SUMS = tuple(vars(Sums()))
Gold = dict[tuple[Any, ...], tuple[Any, ...]]


def content(shop: Shop) -> dict[dt.date, Content]:
    """Content of each business date that has a row."""
    sales, conflicts = _by_date(shop, SALES, SALES_COLUMNS), _by_date(shop, CONFLICTS, CONFLICT_COLUMNS)
    return {
        date: Content(in_order(sales.get(date, ())), in_order(conflicts.get(date, ())))
        for date in sales.keys() | conflicts.keys()
    }


def gold(shop: Shop) -> dict[dt.date, tuple[Gold, Gold]]:
    """Daily sales and invoices of each business date: sums and the revision, by what they are summed by."""
    found: dict[dt.date, tuple[Gold, Gold]] = defaultdict(lambda: ({}, {}))
    for position, (table, names) in enumerate(
        ((DAILY_SALES, ("store_id", "category", "currency")), (INVOICES, ("customer_id", "currency")))
    ):
        for row in rows(shop, table):
            grain = tuple(row[name] for name in names)
            sums = tuple(row[name] for name in (*SUMS, "sales_revision"))
            there = found[row["business_date"]][position]
            assert grain not in there, f"{table.name}: {row['business_date']} {grain} twice"
            there[grain] = sums
    return dict(found)


def weekly(shop: Shop) -> dict[dt.date, Gold]:
    """Weekly product sales of each week: sums by product name and currency."""
    found: dict[dt.date, Gold] = defaultdict(dict)
    for row in rows(shop, WEEKLY_PRODUCT_SALES):
        grain = (row["product_name"], row["currency"])
        assert grain not in found[row["week"]], f"{row['week']} {grain} twice"
        found[row["week"]][grain] = tuple(row[name] for name in SUMS)
    return dict(found)


@dataclass(frozen=True)
class Paper:
    """An issued document."""

    series: str
    number: int
    kind: str
    date: dt.date
    grain: tuple[Any, ...]  # customer and currency
    refers_to: str | None
    sums: tuple[Any, ...]


def papers(shop: Shop) -> dict[str, Paper]:
    """Every document, by its number."""
    found = {}
    for row in rows(shop, DOCUMENTS):
        assert row["document_number"] not in found, f"document {row['document_number']} twice"
        found[row["document_number"]] = Paper(
            row["series"], row["running_number"], row["kind"], row["business_date"],
            (row["customer_id"], row["currency"]), row["refers_to"], tuple(row[name] for name in SUMS),
        )  # fmt: skip
    return found


def paper_lines(shop: Shop) -> dict[str, tuple[Any, ...]]:
    """The sums of each document's lines, by its number."""
    found: dict[str, list[Any]] = defaultdict(lambda: [0] * len(SUMS))
    for row in rows(shop, DOCUMENT_LINES):
        returned = row["net_amount"] if row["line_type"] == "RETURN" else 0
        amounts = (row["quantity"], row["gross_amount"], row["discount_amount"], row["net_amount"], returned)
        sums = found[row["document_number"]]
        for position, amount in enumerate((1, *amounts)):
            sums[position] += row["sign"] * amount
    return {number: tuple(sums) for number, sums in found.items()}


def bronze(shop: Shop) -> Counter[tuple[Any, ...]]:
    """Accepted lines of bronze."""
    return Counter(
        (
            row["drop_date"], row["source_file"], row["store_id"], row["transaction_id"], row["line_number"],
            row["sold_at"], row["sale_date"], row["business_date"], row["is_adjustment"], row["gross_amount"],
            row["currency"],
        )
        for row in rows(shop, RECEIVED_SALES)
        if row["validation_status"] == "accepted"
    )  # fmt: skip


def as_bronze(line: Line) -> tuple[Any, ...]:
    """A line of the reference as :func:`bronze` tells it."""
    sale = line.sale
    return (
        line.drop_date, line.source_file, sale.store_id, sale.transaction_id, sale.line_number, sale.moment,
        line.sale_date, line.business_date, line.is_adjustment, Decimal(sale.gross_amount), sale.currency,
    )  # fmt: skip


def revisions(shop: Shop) -> dict[dt.date, tuple[int, str]]:
    """Latest revision of each date that is done, and the run that made it."""
    found: dict[dt.date, tuple[int, str]] = {}
    for row in rows(shop, LEDGER_DATES):
        if row["status"] == "done":
            known = found.get(row["business_date"], (0, ""))
            found[row["business_date"]] = max(known, (row["revision"], row["run_id"]))
    return found


def balance(shop: Shop) -> dict[tuple[str, dt.date], list[dict[str, Any]]]:
    """The ledger's control totals by run and date."""
    found: dict[tuple[str, dt.date], list[dict[str, Any]]] = defaultdict(list)
    for row in rows(shop, LEDGER_CHUNKS):
        found[row["run_id"], row["business_date"]].append(row)
    return dict(found)


def versions(shop: Shop) -> dict[str, int]:
    """Latest version of every table of bronze, silver and gold, whatever tables there are."""
    found = shop.versions()
    assert set(found) <= {table.name for table in DATA_TABLES}
    for log in sorted(shop.lake.glob("*/*/_delta_log")):
        name = f"{log.parent.parent.name}/{log.parent.name}"
        if not name.startswith("ledger/"):
            found[name] = max(
                (int(path.stem) for path in log.glob("*.json") if path.stem.isdigit()), default=-1
            )
    return found


def rows(shop: Shop, table: Table) -> list[dict[str, Any]]:
    return shop._read(table)


def _by_date(shop: Shop, table: Table, columns: tuple[str, ...]) -> dict[dt.date, list[tuple[Any, ...]]]:
    found: dict[dt.date, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows(shop, table):
        found[row["business_date"]].append(tuple(row[name] for name in columns))
    return found


def of_date(contents: dict[dt.date, Content], date: dt.date) -> Content:
    return contents.get(date, NOTHING)
