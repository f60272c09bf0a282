"""A team's own columns and rules, from the config alone: each goes all the way that a built-in one goes."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from jobs.check_config import JOB as CHECK_CONFIG
from jobs.compare_revisions import JOB as COMPARE_REVISIONS
from jobs.migrate_tables import JOB as MIGRATE_TABLES
from jobs.replay_quarantine import JOB as REPLAY_QUARANTINE
from jobs.verify_sales import JOB as VERIFY_SALES
from pipeline.steps import receiving
from schemas.landing import RECEIVED_NAMES
from schemas.tables import CONFLICTS, LEDGER_RULES, LEDGER_RUNS, RECEIVED_SALES, SALES
from tests.jobs.shop import Shop, line, raising_once
from tests.support.landing import csv_text

DAY, NEXT = "2026-03-02", "2026-03-03"
COLUMNS = {
    "a_text": {"kind": "text"},
    "an_integer": {"kind": "integer"},
    "a_timestamp": {"kind": "timestamp"},
    "a_quantity": {"kind": "quantity"},
    "tax_amount": {"kind": "amount"},
    "a_line_type": {"kind": "line_type"},
    "a_currency": {"kind": "currency"},
    "a_boolean": {"kind": "boolean"},
    "a_date": {"kind": "date"},
    "a_decimal": {"kind": "decimal(6,4)"},
}
GOOD = {
    "a_text": "gold",
    "an_integer": "7",
    "a_timestamp": "2026-03-02T10:00:00Z",
    "a_quantity": "1.5",
    "tax_amount": "0.25",
    "a_line_type": "RETURN",
    "a_currency": "USD",
    "a_boolean": "TRUE",
    "a_date": "2026-03-01",
    "a_decimal": "10.0700",
}
TYPED = {
    "a_text": "gold",
    "an_integer": 7,
    "a_timestamp": dt.datetime(2026, 3, 2, 10, tzinfo=dt.UTC),
    "a_quantity": Decimal("1.500"),
    "tax_amount": Decimal("0.250"),
    "a_line_type": "RETURN",
    "a_currency": "USD",
    "a_boolean": True,
    "a_date": "2026-03-01",
    "a_decimal": Decimal("10.0700"),
}
BAD = {
    "an_integer": ("seven", "bad_an_integer"),
    "a_timestamp": ("noon", "bad_a_timestamp"),
    "a_quantity": ("a few", "bad_a_quantity"),
    "tax_amount": ("0.255", "excess_scale_tax_amount"),
    "a_line_type": ("GIFT", "bad_a_line_type"),
    "a_currency": ("usd", "bad_a_currency"),
    "a_boolean": ("yes", "bad_a_boolean"),
    "a_date": ("2026-02-30", "bad_a_date"),
    "a_decimal": ("0.12345", "excess_scale_a_decimal"),
}
RULES = {
    "too_many_units": {"reject_when": "quantity > 10000"},
    "a_first": {"reject_when": "quantity > 20000 and tax_amount is null"},
    "staff_sale": {"reject_when": "customer_id like 'STAFF%'", "stores": ["1042"]},
    "no_category": {"warn_when": "category is null"},
    "high_tax": {"warn_when": "tax_amount > gross_amount"},
}


@pytest.fixture(autouse=True)
def _few_lines(interpreted: None) -> None:
    del interpreted


def own(number: str, date: str = DAY, **fields: Any) -> dict[str, str | None]:
    """A sound line with columns of the team's own."""
    mine = {name: fields.pop(name) for name in list(fields) if name in COLUMNS}
    return {**line(number, f"{date}T15:00:00Z", **fields), **mine}


def land(shop: Shop, date: str, *lines: dict[str, str | None], without: tuple[str, ...] = ()) -> None:
    names = [name for name in (*RECEIVED_NAMES, *COLUMNS) if name not in without]
    shop.land_bytes(date, csv_text(lines, names).encode())


def parquet(values: dict[str, Any]) -> bytes:
    """A file of one line, its own columns in types of their own."""
    typed = {
        "an_integer": pa.array([values["an_integer"]], pa.int64()),
        "a_boolean": pa.array([True]),
        "a_date": pa.array([dt.date(2026, 3, 1)]),
        "a_decimal": pa.array([Decimal("10.0700")], pa.decimal128(6, 4)),
        "vat": pa.array([Decimal("0.250")], pa.decimal128(18, 3)),
        "a_timestamp": pa.array([dt.datetime(2026, 3, 2, 10, tzinfo=dt.UTC)], pa.timestamp("us", "UTC")),
    }
    texts = {name: pa.array([value], pa.string()) for name, value in values.items() if name not in typed}
    content = io.BytesIO()
    pq.write_table(pa.table({**texts, **typed}), content)
    return content.getvalue()


def with_config(shop: Shop, **config: Any) -> Shop:
    path = shop.folder / "mine.yaml"
    path.write_text(yaml.safe_dump(config))
    shop.arguments[:] = ["--config", str(path)]
    return shop


def test_own_columns_of_each_kind_are_received_checked_hashed_published_and_validated_again(
    shop: Shop,
) -> None:
    with_config(
        shop,
        contract={"columns": COLUMNS},
        columns={"tax_amount": "vat"},
        audit={"max_rejected_share": 1, "max_conflict_share": 1},
    )
    bad = [own(name, **{name: text}) for name, (text, _) in BAD.items()]
    renamed = csv_text([own("good", **GOOD), *bad, own("none")], (*RECEIVED_NAMES, *COLUMNS))
    shop.land_bytes(DAY, renamed.replace("tax_amount", "vat", 1).encode())
    # An equal copy is a duplicate; one that differs in any own column is a conflict.
    late = [own("good", **{**GOOD, name: None}) for name in COLUMNS]
    text = csv_text([own("good", **GOOD), *late], (*RECEIVED_NAMES, *COLUMNS)).replace("tax_amount", "vat", 1)
    shop.land_bytes(NEXT, text.encode())
    # Typed files: the same values, from JSON and from Parquet.
    received = {**GOOD, "an_integer": 7, "a_boolean": True, "a_decimal": 10.07, "vat": 0.25}
    shop.land_json(NEXT, {**own("json", NEXT), **received})
    shop.land_bytes(NEXT, parquet({**own("parquet", NEXT), **received}), "sales.parquet")
    shop.done()
    for number in ("json", "parquet"):
        assert shop.rows(SALES, *COLUMNS, transaction_id=number) == [TYPED]
    assert shop.rows(SALES, *COLUMNS, "duplicates", transaction_id="good") == [{**TYPED, "duplicates": 1}]
    assert shop.rows(SALES, *COLUMNS, transaction_id="none") == [dict.fromkeys(COLUMNS)]
    assert len(shop.rows(CONFLICTS, "tax_amount", transaction_id="good")) == len(COLUMNS)
    rejected = {row["transaction_id"]: row for row in shop.rows(RECEIVED_SALES) if row["raw"]}
    assert {name: row["reject_reasons"] for name, row in rejected.items()} == {
        name: [reason] for name, (_, reason) in BAD.items()
    }
    for name, (bad_text, _) in BAD.items():
        assert f'"{name}":"{bad_text}"' in rejected[name]["raw"]
    shop.done(job=VERIFY_SALES)

    # The files are gone: the lines are validated again from what bronze kept, and come out the same.
    (shop.landing / f"drop_date={DAY}" / "sales.csv").unlink()
    shop.arguments += ["--set", "late.days=8"]
    before = shop.rows(SALES)
    assert shop.done("--reingest").result["dates"] == []
    assert shop.rows(SALES) == before


def test_own_rules_reject_and_warn_and_are_counted_by_drop(shop: Shop) -> None:
    columns = {"tax_amount": {"kind": "amount"}}
    audit = {"max_rejected_share": 1}
    with_config(shop, contract={"columns": columns}, rules=RULES, audit=audit)
    land(
        shop,
        DAY,
        own("good", tax_amount="0.10"),
        own("many", quantity="10000.001"),
        own("more", quantity="20001"),
        own("both", quantity="20001", customer_id=" STAFF-1", line_number="x"),
        own("staff", customer_id="STAFF-1"),
        own("elsewhere", customer_id="STAFF-1", store_id="1043"),
        own("plain", category=None),
        own("taxed", category=" ", tax_amount="10.01"),
        without=tuple(name for name in COLUMNS if name != "tax_amount"),
    )
    ran = shop.done()
    assert {
        row["transaction_id"]: row["reject_reasons"] for row in shop.rows(RECEIVED_SALES) if row["raw"]
    } == {
        "many": ["too_many_units"],
        "more": ["a_first", "too_many_units"],
        "both": ["a_first", "bad_line_number", "staff_sale", "too_many_units"],
        "staff": ["staff_sale"],
    }
    assert shop.sales("transaction_id") == ["elsewhere", "good", "plain", "taxed"]
    assert ran.result["warned"] == {"high_tax": 1, "no_category": 2}
    assert ran.result["rejected"]["too_many_units"] == 3
    assert "no_category" in ran.stdout and "too_many_units" in ran.stdout
    counted = {(row["rule"], row["effect"]): row["lines"] for row in shop.rows(LEDGER_RULES, drop_date=DAY)}
    assert counted == {
        ("a_first", "reject"): 2,
        ("high_tax", "warn"): 1,
        ("no_category", "warn"): 2,
        ("staff_sale", "reject"): 2,
        ("too_many_units", "reject"): 3,
    }
    # A changed rule is a changed pinned setting.
    relaxed = {**RULES, "too_many_units": {"reject_when": "quantity > 20000"}}
    with_config(shop, contract={"columns": columns}, rules=relaxed, audit=audit)
    refused = shop.run()
    assert refused.code == 2 and "rules.own is " in refused.error, refused.stderr
    replayed = shop.done("--reason", "too_many_units", job=REPLAY_QUARANTINE).result["replayed"]
    assert [(drop["rejected_before"], drop["rejected_after"]) for drop in replayed] == [(3, 2)]
    assert "many" in shop.sales("transaction_id")
    unknown = shop.run("--reason", "too_few_units", job=REPLAY_QUARANTINE)
    assert unknown.code == 2 and "staff_sale, too_many_units" in unknown.error
    assert shop.run("--date", "2026-03-09").code == 5  # the config is that of the lake now


def test_a_rule_that_fails_for_a_line_is_named_and_nothing_is_written(shop: Shop) -> None:
    with_config(shop, rules={"second": {"reject_when": "element_at(split(category, ','), 2) = 'x'"}})
    shop.land(DAY, line("one", f"{DAY}T15:00:00Z"))
    refused = shop.run()
    assert refused.code == 2, refused.stderr
    told = (
        "rules.second cannot be computed for a line: element_at(split(category, ','), 2) = 'x': The index 2 "
    )
    assert told in refused.error
    assert shop.rows(RECEIVED_SALES) == []
    # For other stores it is not computed.
    with_config(shop, rules={"second": {"reject_when": FAILING, "stores": ["1043"]}})
    shop.done("--from-now-on")


def test_a_new_column_comes_to_a_lake_by_migration_and_old_lines_hold_null(shop: Shop) -> None:
    shop.land(DAY, line("old", f"{DAY}T15:00:00Z"))
    shop.done()
    config = {"contract": {"columns": {"tax_amount": {"kind": "amount"}, "tier": {"kind": "text"}}}}
    with_config(shop, **config)
    refused = shop.run()
    assert refused.code == 2 and "tax_amount (decimal(18,3))" in refused.error, refused.stderr
    assert "run migrate_tables" in refused.error
    migrated = shop.done(job=MIGRATE_TABLES).result["migrated"]
    assert any("tax_amount" in text for text in migrated)
    assert shop.done(job=MIGRATE_TABLES).result["migrated"] == []
    assert shop.done().result["status"] == "unchanged"
    recorded = {row["settings_sequence"]: row["settings_change"] for row in shop.rows(LEDGER_RUNS)}
    assert recorded == {None: None, 1: "first", 2: "from_now_on"}
    names = (*RECEIVED_NAMES, "tax_amount")
    shop.land_bytes(NEXT, csv_text([{**own("new", NEXT), "tax_amount": "0.5"}], names).encode())
    shop.done()
    assert shop.sales("transaction_id", "tax_amount", "tier") == [
        ("new", "0.500", "None"),
        ("old", "None", "None"),
    ]
    shop.land_bytes(NEXT, csv_text([{**own("new", NEXT), "tax_amount": "0.6"}], names).encode())
    shop.done()
    assert "tax_amount" in shop.done("--date", NEXT, job=COMPARE_REVISIONS).stdout

    # A column that is asked for from now on is a changed setting.
    columns = config["contract"]["columns"]
    with_config(shop, contract={"columns": {**columns, "tier": {"kind": "text", "required": True}}})
    checks = shop.done(job=CHECK_CONFIG).result["checks"]
    told = [(one["state"], one["said"]) for one in checks if one["check"] == "contract.columns"]
    assert [state for state, _ in told] == ["ok", "changed"]
    assert '"required": true' in told[1][1]
    refused = shop.run()
    assert refused.code == 2 and "contract.columns is " in refused.error

    # The lake keeps its columns: a read needs no config, a run that writes must not lose them.
    shop.arguments.clear()
    shop.done(job=VERIFY_SALES)
    assert "contract.columns lacks tax_amount" in shop.run().error
    with_config(shop, contract={"columns": {"tax_amount": {"kind": "text"}, "tier": {"kind": "text"}}})
    assert "contract.columns.tax_amount.kind is amount in the lake, text in this run" in shop.run().error


def test_an_own_amount_is_reconciled_as_gross_is(shop: Shop) -> None:
    with_config(shop, contract={"columns": {"tax_amount": {"kind": "amount"}}})
    names = (*RECEIVED_NAMES, "tax_amount")
    shop.land_bytes(DAY, csv_text([{**own("a"), "tax_amount": "0.5"}], names).encode())
    shop.done()
    _spoil_tax(shop.spark, shop.lake / SALES.name)
    found = shop.run(job=VERIFY_SALES)
    assert found.code == 4
    assert (
        "received 1 lines 10.000 tax_amount 0.500, published 1 lines 10.000 tax_amount 0.600" in found.stderr
    )


def _spoil_tax(spark: SparkSession, path: Path) -> None:
    spark.sql(f"update delta.`{path}` set tax_amount = 0.6")


FAILING = "element_at(split(category, ','), 2) = 'x'"


def test_a_warning_that_fails_for_a_line_takes_its_delivery_back(shop: Shop) -> None:
    shop.land(DAY, line("one", f"{DAY}T15:00:00Z"))
    shop.done()
    with_config(shop, rules={"second": {"warn_when": FAILING}})
    shop.land(DAY, line("one", f"{DAY}T15:00:00Z"), line("two", f"{DAY}T15:00:00Z"))
    for arguments in (["--from-now-on"], []):
        refused = shop.run(*arguments)
        assert refused.code == 2, refused.stderr
        assert f"rules.second cannot be computed for a line: {FAILING}" in refused.error
        assert [row["transaction_id"] for row in shop.rows(RECEIVED_SALES)] == ["one"]
    # No audit was made of it: the drop is read again under the rule that is right.
    with_config(shop, rules={"second": {"warn_when": FAILING.replace("element_at", "try_element_at")}})
    shop.done("--from-now-on")
    assert shop.sales("transaction_id") == ["one", "two"]
    shop.done(job=VERIFY_SALES)


@pytest.mark.parametrize("crashed", ["_roll_back", "_record"])
def test_a_crash_while_such_a_delivery_is_taken_back_is_mended_by_the_next_run(
    shop: Shop, crashed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_config(shop, rules={"second": {"warn_when": FAILING}})
    shop.land(DAY, line("one", f"{DAY}T15:00:00Z"))
    with raising_once(monkeypatch, receiving, crashed, RuntimeError("killed")):
        assert shop.run().code == 1
    with_config(shop, rules={"second": {"warn_when": "category is null"}})
    ran = shop.done("--from-now-on")
    assert "an ingest that was cut off is undone: rules.second cannot be computed" in ran.stderr
    assert shop.sales("transaction_id") == ["one"]
    shop.done(job=VERIFY_SALES)


def test_a_rule_that_fails_for_a_line_that_bronze_kept_is_named(shop: Shop) -> None:
    shop.land(DAY, line("one", f"{DAY}T15:00:00Z"))
    shop.done()
    (shop.landing / f"drop_date={DAY}" / "sales.csv").unlink()
    with_config(shop, rules={"second": {"reject_when": FAILING}})
    refused = shop.run("--reingest")
    assert refused.code == 2, refused.stderr
    assert f"rules.second cannot be computed for a line: {FAILING}" in refused.error
    assert [row["transaction_id"] for row in shop.rows(RECEIVED_SALES)] == ["one"]


def test_columns_may_have_words_of_sql_and_of_the_readers_as_names(shop: Shop) -> None:
    values = {
        "order": ("1.25", "amount"),
        "select": ("a", "text"),
        "c0": ("7", "integer"),
        "c1": ("true", "boolean"),
        "malformed": ("b", "text"),
        "header": ("2026-03-01", "date"),
        "parts": ("c", "text"),
        "old": ("0.5", "quantity"),
        "from": ("99999999999999999999999999999999999999", "decimal(38,0)"),
        "sale": ("0.00000000000000000000000000000000000001", "decimal(38,38)"),
    }
    kinds = {name: {"kind": kind} for name, (_, kind) in values.items()}
    rules = {"odd": {"reject_when": "`order` > 5 or `from` < 0 or `sale` > 0.5"}}
    table = "select business_date, currency, exact_sum(`order`) as taxes from sales group by 1, 2"
    (shop.folder / "taxes.sql").write_text(table)
    gold = {"taxes": {"sql": "taxes.sql", "period": "day", "keys": ["business_date", "currency"]}}
    audit = {"max_rejected_share": 1}
    with_config(shop, contract={"columns": kinds}, rules=rules, gold=gold, audit=audit)
    sound = {name: text for name, (text, _) in values.items()}
    lines = [
        {**line("good", f"{DAY}T15:00:00Z"), **sound},
        {**line("taxed", f"{DAY}T15:00:00Z"), "order": "6"},
    ]
    shop.land_bytes(DAY, csv_text(lines, (*RECEIVED_NAMES, *values)).encode())
    # In another order of columns, and as JSON.
    text = csv_text([{**lines[0], "transaction_id": "turned"}], (*reversed(values), *RECEIVED_NAMES))
    shop.land_bytes(DAY, text.encode(), "turned.csv")
    shop.land_json(DAY, {**lines[0], "transaction_id": "json"})
    shop.done()
    assert shop.sales("transaction_id") == ["good", "json", "turned"]
    published = shop.rows(SALES, *values)
    assert [{name: str(row[name]) for name in values} for row in published] == 3 * [
        {**sound, "order": "1.250", "c1": "True", "old": "0.500", "sale": "1E-38"}
    ]
    shop.done(job=VERIFY_SALES)
    taxes = DeltaTable(str(shop.lake / "gold" / "taxes")).to_pyarrow_table().to_pylist()
    assert [row["taxes"] for row in taxes] == [Decimal("3.750")]
    # From what bronze kept, the same lines come out.
    for path in (shop.landing / f"drop_date={DAY}").iterdir():
        path.unlink()
    shop.done("--reingest", "--set", "late.days=8")
    assert shop.rows(SALES, *values) == published


def test_lines_of_fixed_width_have_columns_of_their_own(shop: Shop) -> None:
    widths = {name: 26 if name == "sold_at" else 12 for name in (*RECEIVED_NAMES, "tax_amount", "tier")}
    ends = list(accumulate(widths.values()))
    positions = {
        name: [end - width + 1, end] for (name, width), end in zip(widths.items(), ends, strict=True)
    }
    profile = {"files": "*.txt", "format": "fixed_width", "positions": positions}
    columns = {"tax_amount": {"kind": "amount"}, "tier": {"kind": "text"}}
    with_config(shop, contract={"columns": columns}, deliveries=[profile])
    sold = line("one", f"{DAY}T15:00:00Z")
    lines = [
        {**sold, "tax_amount": "0.25", "tier": "gold"},
        {**sold, "transaction_id": "two", "tax_amount": None, "tier": "blue"},
        # A line may end before blank text, and with a blank number.
        {**sold, "transaction_id": "three", "tax_amount": "0.50"},
    ]
    texts = ["".join((one.get(name) or "").ljust(width) for name, width in widths.items()) for one in lines]
    shop.land_bytes(DAY, "\n".join([*texts[:2], texts[2].rstrip().ljust(ends[-2]), ""]).encode(), "sales.txt")
    shop.done()
    assert shop.sales("transaction_id", "tax_amount", "tier") == [
        ("one", "0.250", "gold"),
        ("three", "0.500", "None"),
        ("two", "None", "blue"),
    ]
