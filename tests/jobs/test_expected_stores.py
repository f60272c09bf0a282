"""What each store sent is recorded, and a drop without an expected store is not ready."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipeline.lake.ledger import Ledger
from schemas.tables import LEDGER_STORES, RECEIVED_SALES
from tests.jobs.shop import Shop, line

DATE = "2026-03-02"  # a Monday
EXPECTED = ("--set", 'expected_stores=["1042", {store_id: "7", days: [mon, tue], closed: 2026-03-09}]')


def sold(number: int, store: str, at: str = "15:00", **fields: str | None) -> dict[str, str | None]:
    return line(f"{DATE}/{number}", f"{DATE}T{at}:00Z", store_id=store, **fields)


def stores(shop: Shop) -> dict[str, dict[str, Any]]:
    rows = shop.rows(LEDGER_STORES)
    last = max(row["ingest_version"] for row in rows)
    return {row["store_id"]: row for row in rows if row["ingest_version"] == last}


def test_each_store_has_its_lines_amounts_and_times(shop: Shop) -> None:
    euros = {"gross_amount": "7.50", "discount_amount": "0.00", "currency": "EUR"}
    shop.land(DATE, sold(1, "1042", "09:30"), sold(2, "1042", "21:05", **euros), sold(3, "7"))
    shop.land(DATE, sold(4, "1042", "12:00"), sold(5, "bad", quantity="0"), name="more.csv")
    shop.done("--set", "currencies=[USD, EUR]", "--set", "audit.max_rejected_share=1")
    found = stores(shop)
    assert {store: row["lines"] for store, row in found.items()} == {"1042": 3, "7": 1}
    row = found["1042"]
    assert dict(row["gross_amount"]) == {"USD": Decimal(20), "EUR": Decimal("7.5")}
    assert row["first_sold_at"].astimezone(dt.UTC) == dt.datetime(2026, 3, 2, 9, 30, tzinfo=dt.UTC)
    assert row["last_sold_at"].astimezone(dt.UTC) == dt.datetime(2026, 3, 2, 21, 5, tzinfo=dt.UTC)


def test_a_drop_without_an_expected_store_waits_until_the_store_is_there(shop: Shop) -> None:
    shop.land(DATE, sold(1, "1042"), sold(2, "7", quantity="0"))
    ran = shop.run(*EXPECTED, "--set", "audit.max_rejected_share=1")
    assert ran.code == 5
    assert f"drop {DATE} failed: no accepted line of expected stores: 7 (stores.missing: block)" in ran.error
    assert shop.rows(RECEIVED_SALES) == []
    assert shop.rows(LEDGER_STORES) == []
    assert shop.run(*EXPECTED, "--set", "audit.max_rejected_share=1").code == 5
    shop.land(DATE, sold(1, "1042"), sold(2, "7"))
    shop.done(*EXPECTED)
    assert set(stores(shop)) == {"1042", "7"}


def test_a_missing_store_is_a_warning_if_the_config_says_so(shop: Shop) -> None:
    shop.land(DATE, sold(1, "7"))
    ran = shop.done(*EXPECTED, "--set", "stores.missing=warn")
    assert f"drop {DATE}: no accepted line of expected stores: 1042" in ran.result["warnings"]
    assert len(shop.sales("transaction_id")) == 1


def test_stores_of_a_run_that_was_cut_off_are_recorded_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise RuntimeError("cut off")

    shop.land(DATE, sold(1, "1042"))
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record_drops", stop)
        assert shop.run().code != 0
    shop.done()
    assert [(row["store_id"], row["lines"]) for row in shop.rows(LEDGER_STORES)] == [("1042", 1)]


def test_a_file_lists_the_stores(shop: Shop, tmp_path: Path) -> None:
    listed = tmp_path / "stores.yaml"
    listed.write_text('- "1042"\n- {store_id: "8", opened: 2026-03-02}\n')
    shop.land(DATE, sold(1, "1042"))
    ran = shop.run("--set", f"expected_stores={listed}")
    assert "no accepted line of expected stores: 8" in ran.error


def test_receipt_numbers_that_jump_are_listed_if_they_must_not(shop: Shop) -> None:
    shop.land(DATE, *[line(number, f"{DATE}T15:00:00Z", store_id="7") for number in ("16", "17", "20")])
    told = f"drop {DATE}: receipt numbers of stores jump: 7 lacks 2, the first after 17"
    assert told in shop.done("--set", "stores.gapless={transaction_id: integer}").result["warnings"]
