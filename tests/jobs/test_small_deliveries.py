"""A delivery that is far smaller than the one before is refused, unless somebody says that it is whole."""

from __future__ import annotations

import pytest

from jobs.ingest_sales import JOB as INGEST_SALES
from pipeline.lake.ledger import Ledger
from schemas.tables import LEDGER_DROPS, RECEIVED_SALES
from tests.jobs.shop import Shop, line

DATE = "2026-03-02"


def land(shop: Shop, count: int, date: str = DATE) -> None:
    shop.land(date, *[line(f"{date}/{n}", f"{date}T15:00:00Z") for n in range(count)])


def lines(shop: Shop) -> int:
    return len(shop.rows(RECEIVED_SALES, drop_date=DATE))


def test_a_shrunken_delivery_keeps_the_one_before_until_it_is_accepted(shop: Shop) -> None:
    land(shop, 40)
    shop.done()
    land(shop, 19)
    ran = shop.run()
    assert ran.code == 4
    assert "19 accepted lines, the delivery that it replaces holds 40 (audit.min_share_of" in ran.error
    assert f"give --accept {DATE}" in ran.error
    assert (lines(shop), len(shop.sales("transaction_id"))) == (40, 40)
    versions = shop.versions()
    assert "is still blocked: 19 accepted" in shop.run().error
    assert shop.versions() == versions
    shop.done("--accept", DATE)
    assert (lines(shop), len(shop.sales("transaction_id"))) == (19, 19)
    shop.done()


def test_a_manifest_a_lower_limit_or_half_of_the_lines_confirms_a_delivery(shop: Shop) -> None:
    land(shop, 40)
    shop.done()
    land(shop, 20)
    shop.done()
    land(shop, 5)
    assert shop.run().code == 4
    shop.done("--set", "audit.min_share_of_previous=0.2")
    land(shop, 25)
    shop.done()
    land(shop, 1)
    shop.manifest(DATE, {"name": "sales.csv", "rows": 1})
    shop.done()
    shop.manifest(DATE, closed=True)
    (shop.landing / f"drop_date={DATE}" / "sales.csv").unlink()
    shop.done()
    assert lines(shop) == 0


def test_a_lower_limit_counts_however_little_it_differs(shop: Shop) -> None:
    land(shop, 38)
    shop.done()
    land(shop, 19)
    assert shop.run("--set", "audit.min_share_of_previous=0.50002").code == 4
    shop.done()
    assert lines(shop) == 19


def test_the_words_of_another_refusal_do_not_make_it_one_for_its_size(shop: Shop) -> None:
    name = "audit.min_share_of_previous.csv"
    shop.land(DATE, line(), name=name)
    shop.manifest(DATE, {"name": name, "rows": 2})
    assert shop.run().code == 4
    versions = shop.versions()
    assert "is still blocked: manifest says 2 rows in audit.min_share" in shop.run().error
    assert shop.versions() == versions
    assert [row["reason_code"] for row in shop.rows(LEDGER_DROPS)] == ["control_totals"]


def test_a_refusal_that_a_run_did_not_record_keeps_its_reason(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise RuntimeError("cut off")

    land(shop, 40)
    shop.done()
    land(shop, 19)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record_drops", stop)
        assert shop.run().code == 1
    assert shop.run().code == 4
    (refused,) = shop.rows(LEDGER_DROPS, status="blocked")
    assert (refused["reason_code"], refused["min_share_of_previous"]) == ("small_delivery", 0.5)
    shop.done("--accept", DATE)
    assert lines(shop) == 19


def test_a_first_delivery_is_compared_with_those_of_its_weekday(shop: Shop) -> None:
    for date in ("2026-02-02", "2026-02-09", "2026-02-16", "2026-02-23"):
        land(shop, 30, date)
    shop.done()
    land(shop, 14)
    ran = shop.run()
    assert ran.code == 4
    assert "drops of its weekday usually hold 30" in ran.error


def test_files_that_are_gone_change_nothing_and_some_that_are_gone_are_no_smaller_delivery(
    shop: Shop,
) -> None:
    land(shop, 25)
    more = [line(f"{DATE}/more {n}", f"{DATE}T15:00:00Z") for n in range(30)]
    shop.land(DATE, *more, name="more.csv")
    shop.done()
    for path in (shop.landing / f"drop_date={DATE}").iterdir():
        path.unlink()
    ran = shop.done()
    assert "no file is left of 1 ingested drops (2026-03-02): as if they were deleted" in ran.stderr
    assert len(shop.sales("transaction_id")) == 55
    land(shop, 25)
    assert shop.run().code == 4
    assert len(shop.sales("transaction_id")) == 55


def test_a_cleared_folder_is_as_a_deleted_one_whatever_becomes_of_its_manifest(shop: Shop) -> None:
    closed, stays, changed = "2026-03-03", "2026-03-04", "2026-03-05"
    shop.manifest(closed, closed=True)
    for date in (stays, changed):
        land(shop, 1, date)
        shop.manifest(date, {"name": "sales.csv", "rows": 1})
    shop.done(job=INGEST_SALES)
    (shop.landing / f"drop_date={closed}" / "manifest.json").unlink()
    for date in (stays, changed):
        (shop.landing / f"drop_date={date}" / "sales.csv").unlink()
    ran = shop.done("--from", closed, "--to", stays, job=INGEST_SALES)
    assert "no file is left of 2 ingested drops" in ran.stderr
    shop.manifest(changed, {"name": "sales.csv", "rows": 2})
    ran = shop.run(job=INGEST_SALES)
    assert (ran.code, len(shop.rows(RECEIVED_SALES))) == (5, 2)
    shop.manifest(changed, closed=True)
    shop.done(job=INGEST_SALES)
    assert len(shop.rows(RECEIVED_SALES)) == 1
