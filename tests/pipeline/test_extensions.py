"""Own columns and rules in the config: their form is checked, and they are pinned only if there are any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.planning.pinned import Change, PinnedSettings, SettingsRecord, Wishes, decide_change
from pipeline.settings import Settings, load_settings
from schemas.errors import UsageError
from schemas.landing import RECEIVED_NAMES, contract_with, own_columns, received_names
from transforms.rules import MOST_RULES, REJECT_REASONS

TAX = {"tax_amount": {"kind": "amount"}}


def settings(tmp_path: Path, **config: Any) -> Settings:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(config))
    return load_settings(str(path), [], {})


def test_own_columns_are_columns_of_the_contract_for_every_other_key(tmp_path: Path) -> None:
    profile = {"files": "*.txt", "columns": {"rate": "Satz"}, "constants": {"a_date": "2026-01-01"}}
    loaded = settings(
        tmp_path,
        contract={
            "columns": {
                "rate": {"kind": "decimal(6, 4)"},
                "a_date": {"kind": "date"},
                "tier": {"kind": "text"},
            }
        },
        columns={"tier": "level"},
        chunks={"key": "tier"},
        deliveries=[profile],
    )
    assert loaded.received_names["tier"] == "level"
    assert list(loaded.received_names) == [*RECEIVED_NAMES, "a_date", "rate", "tier"]
    column = next(column for column in loaded.contract.received if column.name == "rate")
    assert (column.kind, column.precision, column.scale, column.may_be_absent) == ("decimal", 6, 4, True)
    # The contract of this process is as before: a run puts the columns in force for itself.
    assert own_columns() == () and received_names() == RECEIVED_NAMES


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (
            {"tax_amount": {"kind": "money"}},
            "contract.columns.tax_amount.kind = 'money': must be one of text, ",
        ),
        ({"rate": {"kind": "decimal(39,2)"}}, "decimal(p,s) must have 1 to 38 digits"),
        ({"rate": {"kind": "decimal(2,3)"}}, "decimal(p,s) must have 1 to 38 digits, s of them"),
        ({"Tax": {"kind": "text"}}, "'Tax' must be lower-case letters, digits and _"),
        ({"quantity": {"kind": "text"}}, "'quantity' is a column of the contract already"),
        ({"net_amount": {"kind": "amount"}}, "'net_amount' is a name that the tables use for themselves"),
        ({"typed_tax": {"kind": "amount"}}, "'typed_tax' is a name that the tables use for themselves"),
        ({"tax": {"kind": "amount", "needed": True}}, "contract.columns.tax.needed = True: Extra inputs"),
        ({"tax": {}}, "contract.columns.tax.kind = {}: Field required"),
    ],
)
def test_a_column_of_another_form_is_refused_by_key(tmp_path: Path, columns: Any, told: str) -> None:
    with pytest.raises(UsageError) as error:
        settings(tmp_path, contract={"columns": columns})
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"Mine": {"reject_when": "true"}}, "'Mine' must be lower-case letters"),
        (
            {"zero_quantity": {"reject_when": "true"}},
            "'zero_quantity' is a reject reason of the contract already",
        ),
        ({"bad_tax_amount": {"reject_when": "true"}}, "'bad_tax_amount' is a reject reason"),
        ({"mine": {}}, "a rule has either reject_when or warn_when"),
        (
            {"mine": {"reject_when": "true", "warn_when": "true"}},
            "a rule has either reject_when or warn_when",
        ),
        ({"mine": {"reject_when": "true", "stores": [1042]}}, "a store must be in quotes"),
        ({"mine": {"reject_when": "true", "stores": ["1042 "]}}, "'1042 ' has blanks around it"),
        ({"mine": {"reject_when": "true", "stores": []}}, "stores must name one store at least"),
        (
            {f"rule_{n}": {"reject_when": "true"} for n in range(MOST_RULES)},
            "with these columns there can be ",
        ),
    ],
)
def test_a_rule_of_another_form_is_refused_by_key(tmp_path: Path, rules: Any, told: str) -> None:
    with pytest.raises(UsageError) as error:
        settings(tmp_path, rules=rules)
    assert told in str(error.value)


def test_a_rule_that_stands_twice_is_refused(tmp_path: Path) -> None:
    rule = "  many: {reject_when: 'quantity > 1'}\n"
    path = tmp_path / "mine.yaml"
    path.write_text(f"rules:\n{rule}{rule}")
    with pytest.raises(UsageError, match=r"not YAML: key 'many' stands twice .*line 3, column 3"):
        load_settings(str(path), [], {})


def test_as_many_rules_as_bits_are_left_are_taken(tmp_path: Path) -> None:
    most = MOST_RULES - len(REJECT_REASONS)
    rules = {f"rule_{n:02}": {"reject_when": "true"} for n in range(most)}
    assert len(settings(tmp_path, rules=rules, contract={"columns": {}}).own_rules) == most
    with pytest.raises(UsageError, match=f"there can be {most - 2}"):
        settings(tmp_path, rules=rules, contract={"columns": TAX})


def test_columns_have_as_many_reasons_as_bits_are_left(tmp_path: Path) -> None:
    columns = {f"amount_{n:02}": {"kind": "amount", "required": True} for n in range(20)}
    with pytest.raises(UsageError, match=r"contract\.columns have \d+ reject reasons too many"):
        settings(tmp_path, contract={"columns": columns})


def test_a_lake_of_before_keeps_its_settings_until_there_is_a_column_or_a_rule(tmp_path: Path) -> None:
    plain = settings(tmp_path)
    before = {name: v for name, v in plain.pinned.items() if name not in ("contract.columns", "rules.own")}
    lake = PinnedSettings([SettingsRecord(1, Change.FIRST, before)])
    assert decide_change(lake, plain.pinned, Wishes()) is None
    for config in ({"contract": {"columns": TAX}}, {"rules": {"mine": {"reject_when": "quantity > 1"}}}):
        changed = settings(tmp_path, **config)
        assert changed.rules_digest != plain.rules_digest
        with pytest.raises(UsageError, match=r"contract\.columns is \{\} in|rules\.own is \{\} in the lake"):
            decide_change(lake, changed.pinned, Wishes())
        assert decide_change(lake, changed.pinned, Wishes(from_now_on=True)) is Change.FROM_NOW_ON


def test_the_order_of_own_columns_in_the_config_means_nothing(tmp_path: Path) -> None:
    one = settings(tmp_path, contract={"columns": {**TAX, "a": {"kind": "text"}}}).contract
    other = settings(tmp_path, contract={"columns": {"a": {"kind": "text"}, **TAX}}).contract
    with contract_with(one.received):
        names = received_names()
    with contract_with(other.received):
        assert received_names() == names == (*RECEIVED_NAMES, "a", "tax_amount")
