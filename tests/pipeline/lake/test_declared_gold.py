"""What Spark's analyzer says of a declared gold table, before any work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from pipeline.gold_config import DeclaredGold, SqlFile
from pipeline.lake.declared_gold import resolve_declared
from schemas.errors import UsageError
from schemas.gold import Period
from schemas.landing import ReceivedColumn, contract_with


def declared(sql: str, *reconcile: str) -> DeclaredGold:
    return DeclaredGold(
        sql=SqlFile("day.sql", sql),
        period=Period.DAY,
        keys=("business_date", "store_id"),
        reconcile=reconcile,
    )


def selecting(columns: str) -> str:
    return f"select business_date, store_id, {columns} from sales group by 1, 2"


RANKED = "select business_date, store_id, cast({} as string) as told from sales"
SOUND = [
    selecting("concat_ws(',', sort_array(collect_set(product_id))) as p, size(collect_set(channel)) as n"),
    selecting("exact_sum(quantity) as units, exact_sum(line_number) as n"),
    RANKED.format("rank() over (partition by business_date order by store_id)"),
    RANKED.format("sum(net_amount) over (partition by store_id)"),
    RANKED.format("sum(net_amount) over (order by store_id)"),
    RANKED.format(
        "row_number() over (partition by store_id, sale_date order by quantity, line_number, transaction_id)"
    ),
    """with days as (select business_date, store_id as shop, sum(net_amount) as net from sales group by 1, 2)
    select business_date, shop as store_id, row_number() over (partition by business_date order by net, shop)
    as n from days where net > 1""",
    """select business_date, store_id, row_number() over (order by sum(net_amount), store_id, business_date)
    as n from sales group by business_date, store_id having count(*) > 1""",
    """select business_date, store_id, lines - lag(lines) over
    (order by business_date, store_id, category, currency) as more from daily_sales""",
]


@pytest.fixture(autouse=True)
def _own_weight() -> Iterator[None]:
    with contract_with([ReceivedColumn("weight", "decimal", False, "", precision=9, scale=5, is_own=True)]):
        yield


def test_rows_that_follow_from_the_lines_alone_are_accepted(spark: SparkSession) -> None:
    for sql in SOUND:
        resolve_declared(spark, {"days": declared(sql)})


def test_columns_and_order_come_from_the_sql(spark: SparkSession) -> None:
    tables = {
        "later": declared(
            "select d.*, e.net > 0 as is_positive from daily_sales d join days e using (store_id)"
        ),
        "days": declared(selecting("cast(sum(net_amount) as decimal(38,3)) as net, count(*) as lines")),
    }
    tables["later"] = declared("select business_date, store_id, net > 0 as is_positive from days")
    days, later = resolve_declared(spark, tables)
    assert (days.name, later.name) == ("gold/days", "gold/later")
    assert days.schema.simpleString() == (
        "struct<business_date:date,store_id:string,net:decimal(38,3),lines:bigint>"
    )
    assert (days.period_column, days.grain, later.sources) == ("business_date", ("store_id",), ("days",))
    (changed, follows) = resolve_declared(
        spark, {**tables, "days": declared(selecting("count(*) as lines, 1 as net"))}
    )
    assert days.digest != changed.digest
    assert later.digest != follows.digest


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        (selecting("sum(net_amout) as net"), "line 1, column 37: "),
        (selecting("sum(product_id, 3) as net"), "requires 1 parameters but the actual number is 2"),
        (selecting("first(product_id) as product"), "First is not allowed, since it depends on the order"),
        (selecting("collect_list(product_id)[0] as product"), "CollectList is not allowed"),
        (selecting("max_by(product_id, net_amount) as best"), "MaxBy is not allowed"),
        (selecting("current_catalog() as at"), "CurrentCatalog is not allowed"),
        (selecting("max(java_method('java.util.UUID', 'randomUUID')) as at"), "on-deterministic"),
        ("select business_date, shuffle(array(store_id))[0] as store_id from sales", "depends on chance"),
        (selecting("concat_ws(',', collect_set(product_id)) as p"), "CollectSet is not allowed"),
        (selecting("count(*)"), "the column 'count(1)' needs a name"),
        (selecting("count(*) as `n of lines`"), "the column 'n of lines' needs a name"),
        (selecting("max(store_id collate UTF8_LCASE) as s"), "Collate is not allowed"),
        (selecting("exact_sum(weight) as weight"), "exact_sum(weight): it has more than 3 decimals"),
        (
            "select business_date, store_id from sales where sale_date < try_cast('to' || 'day' as date)",
            "is read from the clock",
        ),
        ("select business_date, store_id from sales where sale_date < 'today'", "is read from the clock"),
        (
            "select business_date, store_id from sales where sold_at < try_to_timestamp('now')",
            "'now' is read from the clock",
        ),
        (RANKED.format("row_number() over (order by store_id)"), "RowNumber over (order by store_id): "),
        (RANKED.format("lag(store_id) over (order by store_id)"), "Lag over (order by store_id): "),
        (
            RANKED.format("sum(net_amount) over (order by store_id rows 1 preceding)"),
            "Sum over (order by store_id): ",
        ),
        ("select distinct business_date from sales", "it selects business_date alone"),
        (selecting("avg(line_number) as mean"), "mean is double, which rounds"),
        (selecting("cast(sum(cast(net_amount as double)) as decimal(18,3)) as n"), "binary floating-point"),
        (selecting("array(1) as numbers"), "numbers is array<int>: a gold table holds text"),
        ("select store_id, business_date as day from sales", "does not select the column 'business_date'"),
        (
            "select string(business_date) as business_date, store_id from sales",
            "is string, must be",
        ),
    ],
)
def test_sql_that_a_gold_table_must_not_have_is_refused(spark: SparkSession, sql: str, problem: str) -> None:
    with pytest.raises(UsageError) as error:
        resolve_declared(spark, {"days": declared(sql)})
    assert str(error.value).startswith("gold.days: day.sql: ")
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def test_only_sums_of_decimals_are_reconciled(spark: SparkSession) -> None:
    for column, sql in (("net", "sum(net_amount) as net"), ("channel", "max(channel) as channel")):
        with pytest.raises(UsageError, match=f"reconcile: '{column}' is not a number of silver/sales"):
            resolve_declared(spark, {"days": declared(selecting(sql), column)})
    assert not spark.catalog.listTables()  # no view is left behind
