"""A changed config: published dates change only where asked. And the audit of conflicts."""

from __future__ import annotations

from schemas.tables import LEDGER_RUNS
from tests.jobs.shop import Shop, line
from tests.support.landing import csv_text

DATE = "2026-03-02"


def test_ranges_change_a_date_only_with_republish(shop: Shop) -> None:
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"), line("L", "2026-02-28T15:00:00Z", product_name="Hat"))
    shop.done()
    ranges = ["--set", "chunks.ranges=[A-M, N-Z]"]
    before = shop.versions()
    refused = shop.run(*ranges)
    assert (refused.code, "give --republish" in refused.error) == (2, True)
    assert shop.versions() == before
    assert shop.sales("transaction_id", "chunk") == [("A", "A-G"), ("L", "H-N")]
    shop.done(*ranges, "--republish")
    assert shop.sales("transaction_id", "chunk") == [("A", "A-M"), ("L", "A-M")]
    assert shop.revisions() == {"2026-02-28": 2, DATE: 2}
    hashes = [row["config_hash"] for row in shop.rows(LEDGER_RUNS, status="done")]
    assert len(set(hashes)) == 2


def test_late_days_change_a_date_only_with_reingest(shop: Shop) -> None:
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"), line("L", "2026-02-28T15:00:00Z"))
    shop.done()
    late = ["--set", "late.days=1"]
    refused = shop.run(*late)
    assert (refused.code, "late.days is 7 in the lake, 1 in this run" in refused.error) == (2, True)
    shop.done(*late, "--reingest")
    # Its old date is emptied, its new one must take it up: or it is nowhere.
    moved = [("A", DATE, "False"), ("L", DATE, "True")]
    assert shop.sales("transaction_id", "business_date", "is_adjustment") == moved
    assert shop.revisions() == {"2026-02-28": 2, DATE: 2}


def test_another_profile_holds_for_later_deliveries_or_for_all(shop: Shop) -> None:
    def land(date: str, gross: str, end: str) -> None:
        row = line(f"{date}{end}", f"{date}T15:00:00Z", gross_amount="GROSS", discount_amount=None)
        text = csv_text([row]).replace(",", ";").replace("GROSS", gross)
        shop.land_bytes(date, text.encode(), f"till{end}.txt")

    def profiles(decimal: str) -> list[str]:
        return ["--set", f'deliveries=[{{files: "*.txt", delimiter: ";", decimal: "{decimal}"}}]']

    land(DATE, "10.50", "1")
    shop.done(*profiles("."))
    land("2026-03-03", "11,50", "2")
    shop.arguments = profiles(",")
    refused = shop.run()
    assert (refused.code, "deliveries is " in refused.error) == (2, True)
    assert shop.sales("gross_amount") == ["10.500"]
    shop.done("--from-now-on")
    assert shop.sales("gross_amount") == ["10.500", "11.500"]
    versions = shop.versions()
    assert shop.done().result["status"] == "unchanged"
    assert shop.versions() == versions
    # Under the new profile for all, the first delivery no longer is of its form.
    ran = shop.run("--reingest")
    assert (ran.code, shop.sales("gross_amount")) == (4, ["10.500", "11.500"])
    assert "drop 2026-03-02 is blocked: 1 of 1 lines rejected" in ran.error


def test_another_normal_form_changes_a_text_only_with_reingest(shop: Shop) -> None:
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z", customer_id="Zoe\u0301"))
    shop.done("--set", "text.normalize=none")
    assert shop.sales("customer_id") == ["Zoe\u0301"]
    composed = ["--set", "text.normalize=nfc"]
    refused = shop.run(*composed)
    assert (refused.code, 'text.normalize is "none" in the lake, "nfc"' in refused.error) == (2, True)
    shop.done(*composed, "--reingest")
    assert shop.sales("customer_id") == ["Zo\u00e9"]


def test_reingest_under_new_rules_publishes_what_they_change(shop: Shop) -> None:
    """The files and so their fingerprints are the same: their content alone makes the date stale."""
    yen = line("Y", f"{DATE}T15:00:00Z", currency="JPY", gross_amount="10", discount_amount="1")
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"), yen)
    half = ["--set", "audit.max_rejected_share=0.5"]
    shop.done(*half)
    assert shop.sales("transaction_id") == ["A"]
    shop.done(*half, "--set", "currencies=[USD, JPY]", "--reingest")
    assert shop.sales("transaction_id") == ["A", "Y"]


def test_too_many_conflicts_block_their_date_alone(shop: Shop) -> None:
    shop.land(DATE, line("A", f"{DATE}T15:00:00Z"), line("C", "2026-03-01T15:00:00Z"))
    shop.land("2026-03-03", line("A", f"{DATE}T15:00:00Z", gross_amount="11.00"))
    ran = shop.run()
    assert ran.code == 4
    assert (
        "date 2026-03-02 is blocked: 50.00% of its lines conflict, audit.max_conflict_share allows 1.00%"
        in ran.error
    )
    assert ran.date_status == {"2026-03-01": "done", DATE: "blocked"}
    assert shop.sales("transaction_id") == ["C"]
    shop.done("--set", "audit.max_conflict_share=0.5")
    assert shop.sales("transaction_id", "gross_amount") == [("A", "10.000"), ("C", "10.000")]
