"""What Spark's analyzer says of a declared gold table, before any work."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from pipeline.gold_config import DeclaredGold, SqlFile
from pipeline.lake.declared_gold import resolve_declared
from schemas.errors import UsageError
from schemas.gold import Period


def declared(sql: str, *reconcile: str) -> DeclaredGold:
    return DeclaredGold(
        sql=SqlFile("day.sql", sql),
        period=Period.DAY,
        keys=("business_date", "store_id"),
        reconcile=reconcile,
    )


def selecting(columns: str) -> str:
    return f"select business_date, store_id, {columns} from sales group by 1, 2"


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
