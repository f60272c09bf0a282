"""test_rules: lines in, reasons or gold rows out; what differs is printed, and the job ends with 4."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from jobs.test_rules import JOB as TEST_RULES
from tests.jobs.shop import Shop

# From another gold table and the team's own column, over a window.
TAXES = """
select p.week, s.store_id, cast(sum(s.tax_amount) as decimal(38, 3)) as tax,
    cast(max(p.net_amount) / sum(max(p.net_amount)) over () as decimal(5, 3)) as share
from sales s join weekly_product_sales p using (product_id)
group by p.week, s.store_id
"""
CASES = """
cases:
  - name: units
    given:
      - {quantity: "10000"}
      - {quantity: "10000.001", tax_amount: "x"}
      - {quantity: "1", category: " "}
      - {quantity: "1", tax_amount: "0.5"}
    expect:
      lines:
        - accepted
        - rejected: [too_many_units, bad_tax_amount]
        - warned: [no_category]
        - accepted
  - name: totals
    drop_date: 2026-11-27
    given:
      - {gross_amount: "12.50", tax_amount: "0.5"}
      - {gross_amount: "7.50", discount_amount: "1"}
      - {gross_amount: "7.50", discount_amount: "1", transaction_id: T-2}
      - {gross_amount: "99", quantity: "10001"}
    expect:
      gold:
        daily_sales:
          - {business_date: 2026-11-27, category: Fruit, net_amount: 19.0, lines: 2}
        taxes:
          - {week: 2026-11-23, store_id: "1", tax: 0.5, share: 1}
"""


@pytest.fixture
def ruled(shop: Shop, interpreted: None) -> Shop:
    del interpreted
    config = {
        "contract": {"columns": {"tax_amount": {"kind": "amount"}}},
        "rules": {
            "too_many_units": {"reject_when": "quantity > 10000"},
            "no_category": {"warn_when": "category is null"},
        },
        "gold": {"taxes": {"sql": "taxes.sql", "period": "week", "keys": ["week", "store_id"]}},
    }
    (shop.folder / "taxes.sql").write_text(TAXES)
    (shop.folder / "mine.yaml").write_text(yaml.safe_dump(config))
    shop.arguments += ["--config", str(shop.folder / "mine.yaml")]
    return shop


def written(shop: Shop, text: str, name: str = "cases.yaml") -> str:
    path = Path(shop.folder / name)
    path.write_text(dedent(text))
    return str(path)


def test_cases_that_hold_pass_and_touch_no_lake(ruled: Shop) -> None:
    ran = ruled.done(written(ruled, CASES), job=TEST_RULES)
    assert [check["state"] for check in ran.result["checks"]] == ["passed", "passed"]
    assert "2 cases, 0 failed" in ran.stdout
    assert not ruled.lake.exists()


def test_what_differs_is_printed_beside_what_was_expected(ruled: Shop) -> None:
    wrong = CASES.replace("- warned: [no_category]", "- rejected: [no_category]").replace("19.0", "18.99")
    path = written(ruled, wrong)
    ran = ruled.run(path, job=TEST_RULES)
    assert ran.code == 4
    told = " ".join(ran.stdout.split())
    assert f"{path}: units: line 3 expected found rejected: no_category warned: no_category" in told
    assert f"{path}: totals: gold/daily_sales expected found" in told
    assert "net_amount: 18.99, lines: 2" in told
    assert "net_amount: 19, lines: 2" in told
    assert "2 cases, 2 failed" in told
    assert [check["state"] for check in ran.result["checks"]] == ["failed", "failed"]


def test_a_text_is_no_number_and_a_null_is_no_text(ruled: Shop) -> None:
    cases = """
    cases:
      - name: forms
        given:
          - {store_id: "0042", category: "null", transaction_id: T-1}
          - {store_id: "0042", category: "null", transaction_id: T-2}
        expect:
          gold:
            daily_sales:
              - {store_id: STORE, category: CATEGORY, net_amount: "20.0", business_date: "2026-03-02"}
    """
    for store, category, code in (
        ('"0042"', '"null"', 0),
        ('"42"', '"null"', 4),
        ('"0042"', "null", 4),
    ):
        text = cases.replace("STORE", store).replace("CATEGORY", category)
        assert ruled.run(written(ruled, text), job=TEST_RULES).code == code, (store, category)


def test_a_given_line_is_read_as_one_of_a_file(ruled: Shop) -> None:
    cases = """
    cases:
      - name: nothing
        given: [{category: n/a}, {store_id: "cafe\u0301"}]
        expect:
          lines: [warned: [no_category], rejected: [coffee]]
    """
    rules = {
        "no_category": {"warn_when": "category is null"},
        "coffee": {"reject_when": "length(store_id) = 4"},
    }
    path = Path(ruled.folder / "mine.yaml")
    path.write_text(yaml.safe_dump({"rules": rules, "nulls": ["", "n/a"]}))
    ruled.done(written(ruled, cases), job=TEST_RULES)


def test_a_rule_that_fails_for_a_given_line_is_named(ruled: Shop) -> None:
    failing = {"second": {"warn_when": "element_at(split(category, ','), 2) = 'x'"}}
    Path(ruled.folder / "mine.yaml").write_text(yaml.safe_dump({"rules": failing}))
    text = "cases: [{name: one, given: [{}], expect: {lines: [accepted]}}]"
    ran = ruled.run(written(ruled, text), job=TEST_RULES)
    assert ran.code == 2 and "rules.second cannot be computed for a line" in ran.error


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cases: []", "cases: Tuple should have at least 1 item"),
        (CASES.replace("drop_date", "drop_day"), "cases.1.drop_day: Extra inputs are not permitted"),
        (CASES.replace('"10000"', "10000"), "must be in quotes, as a file holds it: '10000'"),
        (CASES.replace("tax_amount", "vat"), "'vat' is no column of the contract; they are store_id"),
        (CASES.replace("daily_sales", "yearly"), "'yearly' is no gold table; they are daily_sales"),
        (CASES.replace("net_amount: 19", "net: 19"), "'net' is no column of it; they are business_date"),
        (
            CASES.replace("lines: 2}", "lines: 2}\n          - {lines: 3}"),
            "expect.gold.daily_sales: rows name different columns: name the same in each",
        ),
        (CASES.replace("totals", "units"), "cases: name 'units' stands twice"),
        (CASES.replace("        - accepted\n", ""), "expect.lines has 2 entries, given 4"),
    ],
)
def test_a_file_that_is_not_valid_is_refused_by_key(ruled: Shop, text: str, told: str) -> None:
    ran = ruled.run(written(ruled, text), job=TEST_RULES)
    assert ran.code == 2
    assert told in ran.error, ran.error
