"""Gold tables of a config: built, restated, checked, verified and repaired as the built-in ones."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from delta.tables import DeltaTable
from deltalake import DeltaTable as Reader

from jobs.build_daily_sales import JOB as BUILD_DAILY_SALES
from jobs.check_config import JOB as CHECK_CONFIG
from jobs.ingest_sales import JOB as INGEST_SALES
from jobs.migrate_tables import JOB as MIGRATE_TABLES
from jobs.publish_sales import JOB as PUBLISH_SALES
from jobs.repair_lake import JOB as REPAIR_LAKE
from jobs.status import JOB as STATUS
from jobs.verify_sales import JOB as VERIFY_SALES
from tests.jobs.shop import Shop, line

MON, SUN, NEXT = "2026-03-02", "2026-03-08", "2026-03-09"
WEEKLY = """
select cast(date_trunc('week', business_date) as date) as week_start, product_id, currency,
    cast(sum(net_amount) as decimal(38, 3)) as net_amount
from sales group by 1, 2, 3
"""
# Over a window: the rows of several weeks at once would not be those of each week alone.
SHARES = """
select week_start, product_id, net_amount / sum(net_amount) over () as share from weekly_products
"""
SHARE = ("week_start", "product_id", "share")
CONFIG = """
gold:
  shares: {sql: sql/shares.sql, period: week, keys: [week_start, product_id]}
  weekly_products:
    sql: sql/weekly.sql
    period: week
    keys: [week_start, product_id, currency]
    reconcile: [net_amount]
"""


@pytest.fixture
def declaring(shop: Shop) -> Shop:
    """A shop whose config declares a table of weeks, and one that selects from it."""
    (shop.folder / "sql").mkdir()
    write(shop, "weekly.sql", WEEKLY)
    write(shop, "shares.sql", SHARES)
    configure(shop, CONFIG)
    shop.arguments = ["--config", str(shop.folder / "mine.yaml")]
    return shop


def write(shop: Shop, name: str, text: str) -> None:
    (shop.folder / "sql" / name).write_text(text)


def configure(shop: Shop, text: str) -> None:
    (shop.folder / "mine.yaml").write_text(text)


def sold(number: str, date: str, **fields: str) -> dict[str, str | None]:
    return line(number, f"{date}T17:00:00Z", **fields)


def rows(shop: Shop, table: str, *columns: str) -> list[tuple[Any, ...]]:
    found = Reader(str(Path(shop.lake) / "gold" / table)).to_pyarrow_table().to_pylist()
    return sorted(tuple(str(row[name]) for name in columns) for row in found)


def weeks(shop: Shop) -> list[tuple[Any, ...]]:
    return rows(shop, "weekly_products", "week_start", "product_id", "net_amount")


def test_a_declared_table_follows_late_lines_and_its_changed_sql(declaring: Shop) -> None:
    shop = declaring
    shop.land(MON, sold("A", MON), sold("B", MON, product_id="P-2"))
    shop.land(NEXT, sold("D", NEXT))
    ran = shop.done()
    assert ran.result["built"]["gold/weekly_products"] == [MON, NEXT]
    first = [(MON, "P-1", "9.000"), (MON, "P-2", "9.000"), (NEXT, "P-1", "9.000")]
    assert weeks(shop) == first
    # Each week's shares add up to 1, although one commit holds both weeks.
    shares = [(week, product, Decimal(share)) for week, product, share in rows(shop, "shares", *SHARE)]
    assert shares == [(MON, "P-1", Decimal("0.5")), (MON, "P-2", Decimal("0.5")), (NEXT, "P-1", Decimal(1))]
    assert shop.run().result["status"] == "unchanged"

    shop.land(SUN, sold("late", MON), sold("C", SUN))
    shop.done()
    assert weeks(shop) == [(MON, "P-1", "27.000"), *first[1:]]

    # A changed SQL text makes all dates stale, of the table and of the one that selects from it.
    revisions = shop.revisions()
    write(shop, "weekly.sql", WEEKLY.replace("from sales", ", count(*) as lines from sales"))
    waiting = shop.run(job=VERIFY_SALES)
    assert (waiting.code, "gold of 3 dates is not built" in waiting.error) == (5, True)
    assert {one["state"] for one in shop.done(job=STATUS).result["states"]} == {"done"}
    checked = shop.done("--set", "late.days=9", job=CHECK_CONFIG)
    found = {one["check"]: (one["state"], one["dates"], one["lines"]) for one in checked.result["checks"]}
    assert found == {
        "contract.columns": ("ok", 0, 0),
        "late.days": ("changed", 3, 5),
        "gold.daily_sales": ("ok", 0, 0),
        "gold.weekly_product_sales": ("ok", 0, 0),
        "gold.invoices": ("ok", 0, 0),
        "gold.weekly_products": ("stale", 3, 5),
        "gold.shares": ("stale", 3, 5),
    }
    said = next(one["said"] for one in checked.result["checks"] if one["check"] == "late.days")
    assert said.startswith("late.days is 7 in the lake, 9 in this run; --reingest applies it")
    assert "weekly_products" in checked.stdout
    built = shop.done().result["built"]
    assert built["gold/weekly_products"] == built["gold/shares"] == [MON, SUN, NEXT]
    assert built["gold/daily_sales"] == []
    assert rows(shop, "weekly_products", "product_id", "lines") == [("P-1", "1"), ("P-1", "3"), ("P-2", "1")]
    assert shop.revisions() == revisions

    # Columns only grow.
    write(shop, "weekly.sql", WEEKLY)
    refused = shop.run()
    assert (refused.code, "the SQL selects no column lines" in refused.error) == (2, True)


def test_a_table_that_the_config_forgets_is_named_until_it_is_given_up(declaring: Shop) -> None:
    shop = declaring
    shop.land(MON, sold("A", MON))
    shop.done()
    before = weeks(shop)
    configure(shop, "gold: {shares: null}")
    for job in (STATUS, CHECK_CONFIG):
        refused = shop.run(job=job)
        assert (refused.code, "the lake holds gold/weekly_products, which" in refused.error) == (2, True)
    configure(shop, "gold: {shares: null, weekly_products: null}")
    shop.land(SUN, sold("late", MON))
    assert "gold/weekly_products" not in shop.done().result["built"]
    assert weeks(shop) == before
    # Declared again, it is behind by what came in between.
    configure(shop, CONFIG)
    assert shop.done().result["built"]["gold/weekly_products"] == [MON]
    assert weeks(shop) == [(MON, "P-1", "18.000")]


def test_wrong_rows_are_not_committed_and_hold_back_their_period_alone(declaring: Shop) -> None:
    shop = declaring
    write(shop, "weekly.sql", WEEKLY.replace("from sales", "from sales where product_id <> 'P-2'"))
    shop.land(MON, sold("A", MON), sold("B", MON, product_id="P-2"))
    shop.land(NEXT, sold("D", NEXT))
    failed = shop.run()
    assert failed.code == 4
    sums = "its net_amount sums up to 9.000, that of silver/sales to 18.000"
    assert f"gold/weekly_products {MON} USD: {sums}; readers keep what they have" in failed.result["error"]
    assert "gold/shares of 1 dates was not built" in failed.result["error"]
    assert weeks(shop) == [(NEXT, "P-1", "9.000")]
    # What the config does not declare goes on.
    assert failed.result["built"]["gold/invoices"] == [MON, NEXT]
    assert failed.result["built"]["gold/weekly_products"] == [NEXT]
    write(shop, "weekly.sql", WEEKLY)
    shop.done()
    right = [(MON, "P-1", "9.000"), (MON, "P-2", "9.000"), (NEXT, "P-1", "9.000")]
    assert weeks(shop) == right

    # A row that is changed later is found, and built again.
    table = DeltaTable.forPath(shop.spark, str(shop.lake / "gold" / "weekly_products"))
    table.update(f"week_start = date'{MON}' and product_id = 'P-1'", {"net_amount": "net_amount + 1"})
    found = shop.run(job=VERIFY_SALES)
    assert found.code == 4
    sums = "its net_amount sums up to 19.000, that of silver/sales to 18.000"
    assert f"gold/weekly_products {MON} USD: {sums}" in found.result["error"]
    assert f"gold/weekly_products {MON} USD: 1 rows (net 10.000) are wrong" in found.result["error"]
    assert NEXT not in found.result["error"]
    shop.done(job=REPAIR_LAKE)
    assert weeks(shop) == right


def test_values_that_cannot_be_computed_hold_back_their_period_alone(declaring: Shop) -> None:
    shop = declaring
    mean = "cast(sum(net_amount) / (count(*) - 1) as decimal(38, 3)) as net_amount"
    write(shop, "weekly.sql", WEEKLY.replace("cast(sum(net_amount) as decimal(38, 3)) as net_amount", mean))
    configure(shop, CONFIG.replace("    reconcile: [net_amount]\n", ""))
    shop.land(MON, sold("A", MON), sold("B", MON))
    shop.land(NEXT, sold("D", NEXT))
    failed = shop.run()
    assert failed.code == 4
    assert "gold/weekly_products cannot be built: " in failed.result["error"]
    assert weeks(shop) == [(MON, "P-1", "18.000")]
    assert failed.result["built"]["gold/invoices"] == [MON, NEXT]


DAYS = """
select business_date as `from`, store_id, category, currency, net_amount, lines as period,
    cast(lines as int) as copies
from daily_sales
"""


def test_a_new_table_is_built_from_no_old_row_of_another(declaring: Shop) -> None:
    shop = declaring
    configure(shop, "{}")
    shop.land(MON, sold("A", MON))
    shop.done()
    # Published, but gold was not built since.
    shop.land(SUN, sold("late", MON))
    shop.done(job=INGEST_SALES)
    shop.done(job=PUBLISH_SALES)
    write(shop, "days.sql", DAYS)
    # Columns may have the names that checks use.
    table = "{sql: sql/days.sql, period: day, keys: [from, store_id, category, currency, copies]}"
    configure(shop, f"gold: {{days: {table}}}")
    for arguments, said in (
        (["--dry-run"], ["gold/days: would be built"]),
        ([], ["gold/days: built for the first time"]),
        ([], []),
    ):
        assert shop.done(*arguments, job=MIGRATE_TABLES).result["migrated"] == said
    assert rows(shop, "days", "from", "net_amount", "period") == [(MON, "18.000", "2")]
    shop.done()
    shop.done(job=VERIFY_SALES)
    DeltaTable.forPath(shop.spark, str(shop.lake / "gold" / "days")).update("true", {"period": "period + 1"})
    assert f"gold/days {MON} USD: 1 rows (net 18.000) are wrong" in shop.run(job=VERIFY_SALES).error


def test_a_build_of_one_date_brings_what_it_selects_from_up_to_date(declaring: Shop) -> None:
    shop = declaring
    configure(shop, CONFIG.replace("  shares: {", "  # shares: {"))
    shop.land(MON, sold("A", MON))
    shop.done()
    shop.land("2026-03-03", sold("B", "2026-03-03", product_id="P-2"))
    shop.done(job=INGEST_SALES)
    shop.done(job=PUBLISH_SALES)
    configure(shop, CONFIG)
    # Monday of the table that it selects from is fresh, the Tuesday of the same week is not.
    shop.done("--date", MON, job=BUILD_DAILY_SALES)
    shop.done()
    assert len(rows(shop, "shares", *SHARE)) == 2
    shop.done(job=VERIFY_SALES)
