"""Documents of a shop: sales to bill, what was issued, and the laws of documents in plain Python."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from schemas.billing import DOCUMENT_LINES, DOCUMENTS, LOST_NUMBERS, SUM_NAMES
from schemas.gold import INVOICES
from tests.jobs.shop import Shop, line


def sold(
    number: str, date: str, customer: str | None = "C-1", gross: str = "10.00", **more: str
) -> dict[str, Any]:
    return line(
        number, f"{date}T17:00:00Z", customer_id=customer, gross_amount=gross, discount_amount="", **more
    )


def papers(shop: Shop) -> list[tuple[Any, ...]]:
    """Number, date, customer, invoice and net amount of each document, by number."""
    columns = ("document_number", "business_date", "customer_id", "refers_to", "net_amount")
    rows = sorted(shop.rows(DOCUMENTS), key=lambda row: (row["series"], row["running_number"]))
    return [tuple(row[name] for name in columns) for row in rows]


def check_laws(shop: Shop) -> None:
    """The laws of documents, computed from the rows in plain Python."""
    documents, lines = shop.rows(DOCUMENTS), shop.rows(DOCUMENT_LINES)
    numbers: dict[str, list[int]] = defaultdict(list)
    for row in documents:
        numbers[row["series"]].append(row["running_number"])
        assert row["document_number"] == f"{row['series']}{row['running_number']}"
    for row in shop.rows(LOST_NUMBERS):
        numbers[row["series"]] += range(row["first_number"], row["last_number"] + 1)
    for series, given in numbers.items():
        assert sorted(given) == list(range(1, len(given) + 1)), series
    assert sums_of(documents) == sums_of(shop.rows(INVOICES))
    lost = {
        f"{row['series']}{number}"
        for row in shop.rows(LOST_NUMBERS)
        for number in range(row["first_number"], row["last_number"] + 1)
    }
    lines = [row for row in lines if row["document_number"] not in lost]
    by_number = {row["document_number"]: [row[name] for name in SUM_NAMES] for row in documents}
    assert {row["document_number"]: sums for row, sums in summed_lines(lines)} == by_number


def sums_of(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], list[Any]]:
    found: dict[tuple[Any, ...], list[Any]] = {}
    for row in rows:
        key = row["business_date"], row["customer_id"], row["currency"]
        before = found.get(key, [0] * len(SUM_NAMES))
        found[key] = [a + row[name] for a, name in zip(before, SUM_NAMES, strict=True)]
    return {key: sums for key, sums in found.items() if any(sums)}


def summed_lines(lines: list[dict[str, Any]]) -> list[tuple[dict[str, Any], list[Any]]]:
    by_number: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in lines:
        by_number[row["document_number"]].append(row)
    found = []
    for rows in by_number.values():
        amounts = [
            sum(row["sign"] * row[name] for row in rows)
            for name in ("quantity", "gross_amount", "discount_amount", "net_amount")
        ]
        returned = sum(row["sign"] * row["net_amount"] for row in rows if row["line_type"] == "RETURN")
        found.append((rows[0], [sum(row["sign"] for row in rows), *amounts, returned]))
    return found
