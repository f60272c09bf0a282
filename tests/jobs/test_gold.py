"""A gold table of weeks follows every change of a business date of the week."""

from __future__ import annotations

from decimal import Decimal

from delta.tables import DeltaTable

from jobs.build_daily_sales import JOB as BUILD_DAILY_SALES
from jobs.ingest_sales import JOB as INGEST_SALES
from jobs.migrate_tables import JOB as MIGRATE_TABLES
from jobs.publish_sales import JOB as PUBLISH_SALES
from jobs.repair_lake import JOB as REPAIR_LAKE
from jobs.restore_sales import JOB as RESTORE_SALES
from jobs.status import JOB as STATUS
from jobs.verify_sales import JOB as VERIFY_SALES
from schemas.gold import WEEKLY_PRODUCT_SALES
from tests.jobs.shop import Shop, line

MON, SUN, NEXT = "2026-03-02", "2026-03-08", "2026-03-09"
WEEK = MON


def sold(number: str, date: str, **fields: str) -> dict[str, str | None]:
    return line(number, f"{date}T17:00:00Z", **fields)


def weeks(shop: Shop) -> dict[tuple[str, str], tuple[int, Decimal]]:
    """Lines and net amount by week and product."""
    return {
        (row["week"], row["product_id"]): (row["lines"], row["net_amount"])
        for row in shop.rows(WEEKLY_PRODUCT_SALES)
    }


def test_a_late_line_a_withdrawn_drop_and_a_restore_restate_the_week(shop: Shop) -> None:
    shop.land(MON, sold("A", MON), sold("B", MON, product_id="P-2"))
    shop.land(SUN, sold("C", SUN))
    shop.land(NEXT, sold("D", NEXT))
    shop.done()
    first = {(WEEK, "P-1"): (2, Decimal(18)), (WEEK, "P-2"): (1, Decimal(9)), (NEXT, "P-1"): (1, Decimal(9))}
    assert weeks(shop) == first
    assert shop.run().result["status"] == "unchanged"
    shop.done(job=VERIFY_SALES)

    # Published, then built by a command that names another date of the week.
    shop.land(NEXT, sold("D", NEXT), sold("late", SUN))
    shop.done()
    assert weeks(shop) == {**first, (WEEK, "P-1"): (3, Decimal(27))}
    shop.done(job=VERIFY_SALES)

    # Without Monday's drop, the week is built from what is left of it.
    (shop.landing / f"drop_date={MON}" / "sales.csv").unlink()
    shop.manifest(MON, closed=True)
    shop.done()
    assert weeks(shop) == {(WEEK, "P-1"): (2, Decimal(18)), (NEXT, "P-1"): (1, Decimal(9))}

    shop.done("--date", MON, "--revision", "1", job=RESTORE_SALES)
    assert weeks(shop) == {**first, (WEEK, "P-1"): (3, Decimal(27))}
    shop.done(job=VERIFY_SALES)
    assert [one["state"] for one in shop.done(job=STATUS).result["states"]] == ["billed"] * 3


def test_a_week_is_built_from_all_of_its_dates_whatever_date_is_asked_for(shop: Shop) -> None:
    shop.land(MON, sold("A", MON))
    shop.land(SUN, sold("C", SUN))
    shop.done()
    shop.land(SUN, sold("C", SUN), sold("late", MON))
    shop.done(job=INGEST_SALES)
    shop.done(job=PUBLISH_SALES)
    built = shop.done("--date", MON, job=BUILD_DAILY_SALES)
    assert built.result["built"] == {"gold/daily_sales": [MON], "gold/weekly_product_sales": [MON, SUN]}
    assert weeks(shop) == {(WEEK, "P-1"): (3, Decimal(27))}


def test_a_week_that_is_not_built_yet_is_no_fault(shop: Shop) -> None:
    shop.land(MON, sold("A", MON))
    shop.land(SUN, sold("C", SUN))
    shop.done()
    shop.land(SUN, sold("C", SUN), sold("C2", SUN))
    shop.done(job=INGEST_SALES)
    shop.done(job=PUBLISH_SALES)
    # The week holds Sunday's first revision: Monday is sound, and Sunday waits for its gold.
    shop.done("--date", MON, job=VERIFY_SALES)
    assert shop.run(job=VERIFY_SALES).code == 5
    shop.land(SUN, sold("C", SUN))
    shop.done(job=INGEST_SALES)
    assert shop.run(job=VERIFY_SALES).code == 5


def test_a_wrong_week_is_built_again_and_no_date_published(shop: Shop) -> None:
    shop.land(MON, sold("A", MON), sold("B", MON))
    shop.land(SUN, sold("C", SUN))
    shop.done()
    shop.land(MON, sold("A", MON))
    shop.done()
    shop.done("--date", MON, "--revision", "1", job=RESTORE_SALES)
    right, revisions = weeks(shop), shop.revisions()
    table = DeltaTable.forPath(shop.spark, str(shop.lake / WEEKLY_PRODUCT_SALES.name))
    table.update("true", {"lines": "lines + 1"})
    assert shop.run(job=VERIFY_SALES).code == 4
    repaired = shop.done(job=REPAIR_LAKE).result["repaired"]
    assert repaired == [
        f"date {date}: its gold built again, since it did not hold what its sales give" for date in (MON, SUN)
    ]
    assert (weeks(shop), shop.revisions()) == (right, revisions)  # the restore of Monday stands, too
    shop.done(job=VERIFY_SALES)


def test_a_lake_without_the_table_gets_it(shop: Shop) -> None:
    """As where the table is declared by a newer version of the batch."""
    shop.land(MON, sold("A", MON))
    shop.done()
    table = shop.lake / WEEKLY_PRODUCT_SALES.name
    table.rename(shop.folder / "gone")
    _forget(shop, "gold/weekly_product_sales")
    waiting = shop.run(job=VERIFY_SALES)
    assert waiting.code == 5
    assert "gold of 1 dates is not built from their newest revision yet" in waiting.error
    built = shop.done()
    assert built.result["built"]["gold/weekly_product_sales"] == [MON]
    assert weeks(shop) == {(WEEK, "P-1"): (1, Decimal(9))}
    assert shop.done(job=MIGRATE_TABLES).result["status"] == "unchanged"


def _forget(shop: Shop, table: str) -> None:
    """Removes what the ledger has of a table, and what the session's Delta knows of it."""
    builds = f"delta.`{shop.lake}/ledger/builds`"
    shop.spark.sql(f"DELETE FROM {builds} WHERE table = '{table}'")
    shop.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]
