"""A rule of the config is judged by Spark's own parser and analyzer before a line is read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from pipeline.lake.conditions import check_rules
from schemas.errors import UsageError
from schemas.landing import ReceivedColumn, contract_with
from schemas.own_rules import OwnRule

SOUND = [
    "quantity > 10000",
    "category is null",
    "customer_id like 'STAFF%'",
    "tax_amount > gross_amount - discount_amount",
    "sold_at >= '2026-01-01' and year(sale_date) = 2026",
    "datediff(drop_date, sale_date) > 3",
    "try_cast(customer_id as int) > 5",
    "try_divide(gross_amount, quantity) > 100 or quantity % 2 = 0 or gross_amount / 2 > 7",
    "QUANTITY > 1 and upper(trim(category)) rlike '^A.*' -- a comment",
    "quantity between 1 and 5 or sale_date not between '2026-01-01' and '2026-12-31'",
    "sale_date > date'2026-01-01' and sold_at < timestamp '2026-01-01 10:00:00+01:00'",
    "category in ('a', 'now') or category = \"it's\"",
    "case when line_type = 'SALE' then quantity > 5 else coalesce(abs(gross_amount) > 5, false) end",
]
REFUSED = [
    ("quantity >", "position 11: Syntax error"),
    ("quantity = 1\n and > 2", "position 19: Syntax error"),
    ("quantity > 1; drop table x", "position 13: Syntax error"),
    ("qty > 1", "position 1: A column, variable, or function parameter with name `qty` cannot be resolved"),
    ("raw is not null", "position 1: A column"),
    ("quantity", "is decimal(12,3), must be true or false"),
    ("null", "is void, must be true or false"),
    ("line_number > 1 and rand() > 0.5", "position 21: rand does not depend on the line alone"),
    ("uuid() = category", "position 1: uuid does not depend on the line alone"),
    ("current_timestamp() > sold_at", "current_timestamp does not depend on the line alone"),
    ("sale_date < current_date", "current_date does not depend on the line alone"),
    ("unix_timestamp() > 5", "current_timestamp does not depend on the line alone"),
    ("sale_date < date'today'", "position 13: date'today' is read from the clock"),
    ("sold_at > timestamp 'now'", "position 11: timestamp 'now' is read from the clock"),
    ("sale_date < 'tomorrow'", "is read from the clock"),
    ("sale_date < to_date('now')", "is read from the clock"),
    ('sold_at > timestamp"now"', 'position 11: timestamp"now" is read from the clock'),
    ("sale_date < date /* a day */ 'today'", "position 13: date /* a day */ 'today' is read from the clock"),
    ("sale_date < date r'today'", "is read from the clock"),
    ("sale_date < date '\\u0074oday'", "is read from the clock"),
    ("sale_date < 'today Europe/Berlin'", "is read from the clock"),
    ("sale_date < try_cast(concat('to', 'day') as date)", "is read from the clock"),
    ("try_to_timestamp('now') > sold_at", "is read from the clock"),
    ("current_user() = category", "current_user does not depend on the line alone"),
    ("raise_error('x') is null", "raise_error does not depend on the line alone"),
    ("count(*) > 1", "position 1: count aggregates several lines"),
    ("row_number() over (order by sold_at) > 5", "position 1: row_number needs several lines"),
    ("*", "* is not allowed"),
    ("explode(array(1)) = 1", "explode returns several lines"),
    ("exists (select 1)", "a subquery is not allowed"),
    ("quantity in (select 1)", "a subquery is not allowed"),
    ("quantity > (select max(1))", "a subquery is not allowed"),
    ("my_udf(quantity) > 1", "position 1: my_udf is no built-in function"),
    ("default.f(quantity)", "default.f is no built-in function"),
    ("exists(split(category, ','), x -> x = 'a')", "position 1: exists has no generated code"),
    ("from_json(category, 'a int').a = 1", "position 1: from_json has no generated code"),
    ("customer_id > 5", "position 1: customer_id is text and may be no bigint: compare it with a text"),
    ("store_id = 1042", "try_cast(store_id as bigint)"),
    ("cast(category as int) = 5", "category is text and may be no int"),
    ("sold_at > 'noon'", "'noon' is no timestamp"),
    ("gross_amount / quantity > 5", "position 1: / fails where the divisor is 0: use try_divide"),
    ("line_number % quantity = 0", "% fails where the divisor is 0"),
    ("line_number div line_number = 0", "div fails where the divisor is 0"),
]


@pytest.fixture(autouse=True)
def _own_tax() -> Iterator[None]:
    with contract_with([ReceivedColumn("tax_amount", "amount", False, "an amount", is_own=True)]):
        yield


def test_sound_conditions_pass(spark: SparkSession) -> None:
    check_rules(spark, [OwnRule(f"rule_{n}", condition) for n, condition in enumerate(SOUND)])


def test_any_other_condition_is_refused_with_rule_position_and_valid_form(spark: SparkSession) -> None:
    told = {}
    for condition, _ in REFUSED:
        with pytest.raises(UsageError, match=r"^rules\.mine\.reject_when = ") as error:
            check_rules(spark, [OwnRule("mine", condition)])
        told[condition] = str(error.value)
    wrong = {condition: told[condition] for condition, wanted in REFUSED if wanted not in told[condition]}
    assert not wrong, "\n".join(wrong.values())
    assert all(
        "\n" not in text and text.endswith("deterministic built-in functions") for text in told.values()
    )


def test_a_refused_warning_is_named_as_one(spark: SparkSession) -> None:
    with pytest.raises(UsageError, match=r"rules\.mine\.warn_when = 'quantity': is dec"):
        check_rules(spark, [OwnRule("mine", "quantity", warns=True)])
