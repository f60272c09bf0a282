"""The first look at the SQL of a gold table, without Spark."""

from __future__ import annotations

import pytest

from pipeline.planning.gold_queries import in_order, read_query, unknown_columns

WEEK = "cast(date_trunc('week', business_date) as date)"
GROUPED = f"select {WEEK} as week, product_id, sum(net_amount) as net_amount from sales"


@pytest.mark.parametrize(
    ("sql", "sources"),
    [
        (f"{GROUPED} group by 1, 2", ("sales",)),
        ("with a as (select * from sales) select * from a join days d on a.x = d.x", ("days", "sales")),
        ("select * from sales where x in (select x from Days)", ("days", "sales")),
        ("select * from sales union all select * from (select * from weeks) w", ("sales", "weeks")),
    ],
)
def test_what_a_query_selects_from(sql: str, sources: tuple[str, ...]) -> None:
    assert read_query(sql, "week").sources == sources


@pytest.mark.parametrize(
    ("sql", "is_separable"),
    [
        (f"{GROUPED} group by {WEEK}, product_id", True),
        (f"{GROUPED} where channel = 'web' group by 1, 2 having count(*) > 1", True),
        (f"{GROUPED} group by week, product_id", True),
        # Lines of several weeks could meet.
        (f"{GROUPED} group by product_id, 2", False),
        (f"{GROUPED} group by rollup(1, 2)", False),
        ("select date'2026-03-02' as week, product_id from sales group by 1, 2", False),
        (
            f"select {WEEK} as week, sum(sum(net_amount)) over () from sales group by 1",
            False,
        ),
        (f"{GROUPED} where net_amount > (select avg(net_amount) from sales) group by 1, 2", False),
        (f"with s as (select * from sales) {GROUPED} group by 1, 2", False),
        (f"select {WEEK} as week, * from sales join days using (business_date) group by all", False),
        (f"select {WEEK} as week, product_id from sales", False),
        (f"{GROUPED} group by 1, 2 union all {GROUPED} group by 1, 2", False),
    ],
)
def test_which_queries_may_run_over_several_periods_at_once(sql: str, is_separable: bool) -> None:
    assert read_query(sql, "week").is_separable is is_separable


def test_a_period_of_a_group_of_lines_is_found_period_by_period() -> None:
    # The lines have a column of that name: one group holds lines of several weeks.
    latest = "cast(date_trunc('week', max(business_date)) as date)"
    sql = f"select {latest} as sale_date, product_id from sales group by sale_date, product_id"
    assert not read_query(sql, "sale_date").is_separable


def test_dates_in_digits_are_sound() -> None:
    sql = "select * from sales where sale_date > date'2026-01-01' and sold_at < cast('2026-02' as timestamp)"
    assert read_query(sql, "week").sources == ("sales",)


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("select from", "line 1, column 11: Expected table name"),
        ("select a,\n sum(b from sales", "line 2, column"),
        ("drop table sales", "must be one SELECT"),
        ("select 1; select 2", "must be one SELECT"),
        ("insert into sales select 1", "must be one SELECT"),
        ("select * from other.sales", "other.sales is not allowed: select from sales"),
        ("select * from delta.`/lake/gold/x`", "is not allowed: select from sales"),
        ("select * from range(3)", "is not allowed: select from sales"),
        ("select * from sales version as of 3", "is not allowed: select from sales"),
        ("select\n current_timestamp() as now from sales", "line 2, column 2: current_timestamp"),
        ("select current_date from sales", "the same lines must always give the same rows"),
        ("select rand() from sales", "the same lines must always give the same rows"),
        ("select * from sales where sale_date < date'today'", "line 1, column 43: CAST('today' AS DATE) is"),
        ('select * from sales where sold_at < timestamp"now"', "is not allowed: write it in digits"),
        ("select * from sales where sale_date < cast(r'tomorrow' as date)", "write it in digits"),
        ("select * from sales order by 1 limit 3", "LIMIT is not allowed"),
        ("select * from sales tablesample (10 percent)", "TABLESAMPLE is not allowed"),
    ],
)
def test_what_a_query_must_not_do(sql: str, problem: str) -> None:
    with pytest.raises(ValueError) as error:
        read_query(sql, "week")
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def test_columns_that_nothing_gives_are_named_with_their_position() -> None:
    columns = ("business_date", "net_amount", "channel")
    sql = "with w as (select net_amount as n, chanel from sales) select n, w.n as m\nfrom w where amount > 0"
    assert unknown_columns(sql, columns) == [
        "line 1, column 36: no column 'chanel'",
        "line 2, column 14: no column 'amount'",
    ]
    assert unknown_columns("select transform(array(net_amount), x -> x + 1) as a from sales", columns) == []
    assert unknown_columns("select s.*, s.CHANNEL from sales s", columns) == []


def test_a_table_follows_those_that_it_selects_from() -> None:
    assert in_order({"c": ("b", "sales"), "a": ("sales",), "b": ("a",)}) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="a -> b -> a is a circle"):
        in_order({"x": ("a",), "a": ("b",), "b": ("a",)})
