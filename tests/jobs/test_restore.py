"""Earlier revisions: brought back with what follows from them, and compared."""

from __future__ import annotations

import csv

import pytest

from jobs.compare_revisions import JOB as COMPARE_REVISIONS
from jobs.maintain_tables import JOB as MAINTAIN_TABLES
from jobs.restore_sales import JOB as RESTORE_SALES
from jobs.verify_sales import JOB as VERIFY_SALES
from schemas.gold import DAILY_SALES, INVOICES
from schemas.lake import LakeTables
from schemas.tables import CONFLICTS, LEDGER_DATES, RECEIVED_SALES, SALES
from tests.jobs.shop import Shop, line

DATE = "2026-03-02"
LENIENT = ("--set", "audit.max_conflict_share=1")


def sold(number: str, **fields: str) -> dict[str, str | None]:
    return line(number, f"{DATE}T15:00:00Z", **fields)


def content(shop: Shop) -> list[list[str]]:
    """What readers see, but for the number of the revision."""
    tables = [shop.rows(table) for table in (SALES, CONFLICTS, DAILY_SALES, INVOICES)]
    return [
        sorted(str({k: v for k, v in row.items() if k != "sales_revision"}) for row in rows)
        for rows in tables
    ]


def three_revisions(shop: Shop) -> list[list[list[str]]]:
    seen = []
    for lines in (
        [sold("A"), sold("B")],
        [sold("A"), sold("B", gross_amount="7.00"), sold("C"), sold("C", gross_amount="8.00")],
        [sold("B")],
    ):
        shop.land(DATE, *lines)
        shop.land("2026-03-03", line("next", "2026-03-03T15:00:00Z"))
        shop.done(*LENIENT)
        seen.append(content(shop))
    return seen


def check_refusals(shop: Shop) -> None:
    for arguments, text in (
        (("--date", DATE, "--revision", "9"), f"{DATE} has no such revision; it has: 1, 2, 3"),
        (("--date", DATE, "--revision", "3"), f"readers of {DATE} already see it"),
        (("--date", "2020-01-01", "--revision", "1"), "no such revision; it has: none"),
        (("--revision", "1"), "restore_sales needs one --date"),
    ):
        ran = shop.run(*arguments, job=RESTORE_SALES)
        assert ran.code == 2
        assert text in ran.error


def check_what_is_gone(shop: Shop) -> None:
    shop.done("--retain-hours", "0", job=MAINTAIN_TABLES)
    seen = content(shop)
    gone = shop.run("--date", DATE, "--revision", "1", job=RESTORE_SALES)
    assert gone.code == 2
    assert "its files are gone" in gone.error
    assert content(shop) == seen


def check_comparisons(shop: Shop) -> None:
    out = shop.folder / "differences"
    ran = shop.done(
        "--date", DATE, "--revision", "1", "--with", "2", "--out", str(out), job=COMPARE_REVISIONS
    )
    assert ran.result["comparison"]["changes"] == [
        {"table": "silver/sales", "change": "added", "currency": "USD", "lines": 1, "net": "9.000"},
        {"table": "silver/sales", "change": "changed", "currency": "USD", "lines": 1, "net": "-3.000"},
        {"table": "gold/daily_sales", "change": "changed", "currency": "USD", "lines": 1, "net": "6.000"},
        {"table": "gold/invoices", "change": "changed", "currency": "USD", "lines": 1, "net": "6.000"},
    ]
    parts = list((out / "sales").glob("*.csv"))
    rows = [row for part in parts for row in csv.DictReader(part.read_text().splitlines())]
    assert sorted((row["transaction_id"], row["change"]) for row in rows) == [
        ("B", "changed"),
        ("C", "added"),
    ]
    # Without revisions, the last two: A and C went, B has its first price again.
    last = shop.done("--date", DATE, job=COMPARE_REVISIONS)
    assert (last.result["comparison"]["revision"], last.result["comparison"]["with"]) == (2, 3)
    lines = [row for row in last.result["comparison"]["changes"] if row["table"] == "silver/sales"]
    assert [(row["change"], row["lines"]) for row in lines] == [("changed", 1), ("removed", 2)]
    none = shop.run("--date", DATE, "--with", "7", job=COMPARE_REVISIONS)
    assert (none.code, "it has: 1, 2, 3" in none.error) == (2, True)
    # Delivered again with equal content, a date keeps its revision; only --republish gives it another one.
    shop.done(*LENIENT, "--date", "2026-03-03", "--republish")
    same = shop.done("--date", "2026-03-03", job=COMPARE_REVISIONS)
    assert "no line and no invoice differs" in same.stdout


def test_revisions_are_compared_and_come_back_as_they_were(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = three_revisions(shop)
    check_comparisons(shop)
    check_refusals(shop)
    told = shop.done("--date", DATE, "--revision", "2", "--dry-run", job=RESTORE_SALES)
    assert told.result["planned"] == [f"restore {DATE}: revision 2 becomes revision 4"]
    ran = shop.done("--date", DATE, "--revision", "2", job=RESTORE_SALES)
    assert ran.date_status == {DATE: "done"}
    assert content(shop) == seen[1]
    last = [row["reason"] for row in shop.rows(LEDGER_DATES, business_date=DATE) if row["revision"] == 4]
    assert last == ["restored from revision 2"]
    # It stands, and is proven by the bronze of its time.
    restored = [row["sales_revision"] for row in shop.rows(INVOICES, business_date=DATE)]
    ran = shop.done(*LENIENT)  # issues documents of what was restored
    assert (ran.date_status, ran.drop_status) == ({}, {})
    assert [row["sales_revision"] for row in shop.rows(INVOICES, business_date=DATE)] == restored
    assert shop.run(*LENIENT).result["status"] == "unchanged"
    shop.done(*LENIENT, job=VERIFY_SALES)
    shop.done(*LENIENT, "--date", DATE, "--republish")
    assert content(shop) == seen[2]
    # A delivery that changes takes the place of what was restored, too.
    shop.done("--date", DATE, "--revision", "1", job=RESTORE_SALES)
    assert content(shop) == seen[0]
    shop.land(DATE, sold("B"), sold("D"))
    shop.done(*LENIENT)
    assert shop.sales("transaction_id", business_date=DATE) == ["B", "D"]
    monkeypatch.setattr(LakeTables, "every", (RECEIVED_SALES, SALES))
    check_what_is_gone(shop)
