"""Deliveries that change: every date, total and invoice they touch follows in the same batch."""

from __future__ import annotations

from jobs.compare_revisions import JOB as COMPARE_REVISIONS
from jobs.status import JOB as STATUS
from schemas.gold import DAILY_SALES, INVOICES
from tests.jobs.shop import Shop, line

MONDAY, TUESDAY = "2026-03-02", "2026-03-03"


def sold(number: str, date: str = MONDAY, **fields: str) -> dict[str, str | None]:
    return line(number, f"{date}T17:00:00Z", **fields)


def invoices(shop: Shop) -> dict[tuple[str, str], str]:
    """Id of each invoice, by business date and customer."""
    rows = shop.rows(INVOICES)
    return {(row["business_date"], row["customer_id"]): row["invoice_id"] for row in rows}


def test_what_is_late_moved_and_taken_back(shop: Shop) -> None:
    shop.land(MONDAY, sold("A"), sold("B", customer_id="C-8"))
    shop.done()
    first = invoices(shop)
    assert set(first) == {(MONDAY, "C-7"), (MONDAY, "C-8")}

    # Late by a day: its sale date is restated, its invoice keeps its id, the other one is as it was.
    shop.land(TUESDAY, sold("C", TUESDAY), sold("late"))
    shop.done()
    assert shop.revisions() == {MONDAY: 2, TUESDAY: 1}
    assert {key: invoice for key, invoice in invoices(shop).items() if key[0] == MONDAY} == first
    lines = {row["customer_id"]: row["lines"] for row in shop.rows(INVOICES, business_date=MONDAY)}
    assert lines == {"C-7": 2, "C-8": 1}
    compared = shop.done("--date", MONDAY, job=COMPARE_REVISIONS).result["comparison"]["changes"]
    assert [(row["table"], row["change"], row["lines"]) for row in compared] == [
        ("silver/sales", "added", 1),
        ("gold/daily_sales", "changed", 1),
        ("gold/invoices", "changed", 1),
    ]

    # B moves to the next day between deliveries: both dates follow, and its customer's invoice with it.
    shop.land(MONDAY, sold("A"))
    shop.land(TUESDAY, sold("C", TUESDAY), sold("late"), sold("B", TUESDAY, customer_id="C-8"))
    shop.done()
    assert shop.revisions() == {MONDAY: 3, TUESDAY: 2}
    assert set(invoices(shop)) == {(MONDAY, "C-7"), (TUESDAY, "C-7"), (TUESDAY, "C-8")}
    assert invoices(shop)[MONDAY, "C-7"] == first[MONDAY, "C-7"]

    # Taken back: declared closed, and empty. Its date keeps what another drop has of it; nothing else stays.
    (shop.landing / f"drop_date={MONDAY}" / "sales.csv").unlink()
    shop.manifest(MONDAY, closed=True)
    shop.done()
    assert shop.sales("transaction_id", business_date=MONDAY) == ["late"]
    (shop.landing / f"drop_date={TUESDAY}" / "sales.csv").unlink()
    shop.manifest(TUESDAY, closed=True)
    ran = shop.done()
    assert ran.date_status == {MONDAY: "done", TUESDAY: "done"}
    assert shop.revisions() == {MONDAY: 5, TUESDAY: 3}
    assert shop.sales("transaction_id") == []
    assert shop.rows(DAILY_SALES) == shop.rows(INVOICES) == []
    assert shop.run().result["status"] == "unchanged"
    assert [one["state"] for one in shop.done(job=STATUS).result["states"]] == ["billed", "billed"]
