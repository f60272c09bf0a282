"""Rejected lines judged again once the config is mended: from the landing, or from what bronze kept."""

from __future__ import annotations

import shutil

from jobs.replay_quarantine import JOB as REPLAY_QUARANTINE
from jobs.verify_sales import JOB as VERIFY_SALES
from schemas.gold import INVOICES
from schemas.tables import RECEIVED_SALES
from tests.jobs.shop import Shop, line

DATES = ("2026-03-02", "2026-03-03")
REASON = ("--reason", "currency_not_allowed")
MENDED = ("--set", "currencies=[USD, EUR]", "--set", "audit.max_rejected_share=1")
LENIENT = ("--set", "currencies=[USD]", "--set", "audit.max_rejected_share=1")


def land(shop: Shop) -> None:
    for date in DATES:
        shop.land(
            date,
            line("usd", f"{date}T15:00:00Z"),
            line("eur", f"{date}T15:00:00Z", currency="EUR"),
            line("both", f"{date}T15:00:00Z", currency="EUR", quantity="two"),
            line("other", f"{date}T15:00:00Z", quantity="two"),
        )
    shop.land("2026-03-04", line("sound", "2026-03-04T15:00:00Z"))
    shop.done(*LENIENT)


def counts(shop: Shop) -> list[tuple[str, str]]:
    return shop.sales("business_date", "transaction_id")


def test_lines_of_landed_drops(shop: Shop) -> None:
    land(shop)
    before = shop.versions()
    told = shop.done(*REASON, *MENDED, "--dry-run", job=REPLAY_QUARANTINE)
    assert shop.versions() == before
    expected = [
        {
            "drop_date": date,
            "rejected_before": 2,
            "rejected_after": 0,
            "accepted_before": 1,
            "accepted_after": 2,
            "source": "landing",
        }
        for date in DATES
    ]
    assert told.result["replayed"] == expected
    assert "of 4 lines rejected for currency_not_allowed, 0 still would be; +2 accepted lines" in told.stdout
    ran = shop.done(*REASON, *MENDED, job=REPLAY_QUARANTINE)
    assert ran.result["replayed"] == expected
    # The drop without such a line is not touched; its date keeps its revision.
    assert ran.drop_status == dict.fromkeys(DATES, "ingested")
    assert ran.date_status == dict.fromkeys(DATES, "done")
    assert shop.revisions() == {**dict.fromkeys(DATES, 2), "2026-03-04": 1}
    assert counts(shop) == [(d, t) for d in DATES for t in ("eur", "usd")] + [("2026-03-04", "sound")]
    assert {row["currency"] for row in shop.rows(INVOICES)} == {"USD", "EUR"}
    again = shop.done(*REASON, *MENDED, job=REPLAY_QUARANTINE)
    assert again.result["status"] == "unchanged"
    assert "no line is rejected for currency_not_allowed" in again.stdout
    # What it came to is what a lake of today's config holds.
    clean = shop.other("clean")
    clean.done(*MENDED)
    assert counts(clean) == counts(shop)
    shop.done(*MENDED, job=VERIFY_SALES)


def test_lines_of_drops_that_are_landed_no_more(shop: Shop) -> None:
    land(shop)
    for date in DATES:
        shutil.rmtree(shop.landing / f"drop_date={date}")
    told = shop.done(*REASON, *MENDED, "--date", DATES[0], "--dry-run", job=REPLAY_QUARANTINE)
    ran = shop.done(*REASON, *MENDED, "--date", DATES[0], job=REPLAY_QUARANTINE)
    assert told.result["replayed"] == ran.result["replayed"]
    assert [(one["source"], one["accepted_after"]) for one in ran.result["replayed"]] == [("bronze", 2)]
    # Only the date that was asked for.
    assert shop.revisions() == {DATES[0]: 2, DATES[1]: 1, "2026-03-04": 1}
    assert shop.sales("transaction_id", business_date=DATES[0]) == ["eur", "usd"]
    # Every line is still there: accepted or rejected.
    lines = shop.rows(RECEIVED_SALES, drop_date=DATES[0])
    found = sorted((row["transaction_id"], row["validation_status"], *row["reject_reasons"]) for row in lines)
    assert found == [
        ("both", "rejected", "bad_quantity"),
        ("eur", "accepted"),
        ("other", "rejected", "bad_quantity"),
        ("usd", "accepted"),
    ]
    assert shop.done(*REASON, *MENDED, "--date", DATES[0], job=REPLAY_QUARANTINE).result["replayed"] == []
    shop.done(*MENDED, "--date", DATES[0], job=VERIFY_SALES)


def test_an_unknown_reason_is_refused(shop: Shop) -> None:
    ran = shop.run("--reason", "currency", job=REPLAY_QUARANTINE)
    assert ran.code == 2
    assert "currency_not_allowed" in ran.error
