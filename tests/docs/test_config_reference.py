"""The JSON Schema and the page of the config are those of the settings, and the schema judges as they do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from pipeline.settings import load_settings
from schemas.errors import UsageError
from scripts.config_reference import PAGE, SCHEMA, meanings, page_text, schema_text

ROOT = Path(__file__).resolve().parents[2]
EXTEND = (ROOT / "docs" / "how-to" / "extend-without-forking.md").read_text(encoding="utf-8")
CONFIG = re.findall(r"^```yaml\n(.*?)^```$", EXTEND, flags=re.DOTALL | re.MULTILINE)[0]


def errors(text: str) -> list[str]:
    # An editor knows dates as text.
    config = json.loads(json.dumps(yaml.safe_load(text), default=str))
    validator = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    return [error.message for error in validator.iter_errors(config)]


def test_the_files_are_written_anew_where_a_setting_changes() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), "run python -m scripts.config_reference"
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_text(page), "run python -m scripts.config_reference"


def test_every_key_has_a_meaning() -> None:
    groups = {name.partition(".")[0] for name in meanings() if "." in name}
    assert [name for name, text in meanings().items() if not text and name not in groups] == []


def test_the_configs_of_the_bundle_and_of_the_docs_are_valid() -> None:
    configs = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "configs").glob("*.yaml"))]
    for text in (*configs, CONFIG):
        assert errors(text) == []
    Draft202012Validator.check_schema(json.loads(SCHEMA.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ("late: {days: 3, history_before: 2026-01-31}", True),
        ('deadlines: {publish_sales: "06:00", bill_customers: null}', True),
        ("business_day: {starts_at: 14:30}", True),  # 870 in YAML 1.1
        ('expected_stores: ["1042", {store_id: "1043", days: [mon], opened: 2024-05-02}]', True),
        ("currencies: [USD, {code: HRK, valid_until: 2022-12-31}]", True),
        ("billing: {series: {invoice: 'R-'}}", True),
        ("deliveries: [{files: '*.csv', delimiter: ';', header: [a, b]}]", True),
        ("gold: {given_up: null}", True),
        ("rules: {many: {warn_when: 'quantity > 1', stores: ['1']}}", True),
        ("contract: {columns: {tax: {kind: amount}}}", True),
        ("contract: {columns: {tax: {kind: 'decimal(10, 2)'}}}", True),
        ("rules: {many: {reject_when: null, warn_when: 'quantity > 1'}}", True),
        ("late: {dayz: 3}", False),
        ("lates: {days: 3}", False),
        ("late: {days: -1}", False),
        ('deadlines: {publish_sales: "6am"}', False),
        ("audit: {max_rejected_share: 2}", False),
        ("stores: {missing: ignore}", False),
        ("gold: {weekly: {period: week, keys: [week]}}", False),
        ("gold: {weekly: {sql: a.sql, period: year, keys: [week]}}", False),
        ("contract: {columns: {tax: {}}}", False),
        ("contract: {columns: {tax: {kind: money}}}", False),
        ("contract: {columns: {Steuer: {kind: amount}}}", False),
        ("rules: {Viele: {reject_when: 'quantity > 1'}}", False),
        ("rules: {many: {}}", False),
        ("rules: {many: {reject_when: 'quantity > 1', warn_when: 'quantity > 2'}}", False),
        ("rules: {many: {reject_when: 'quantity > 1', stores: []}}", False),
        ("gold: {Weekly: null}", False),
    ],
)
def test_the_schema_judges_as_the_settings_do(text: str, is_valid: bool, tmp_path: Path) -> None:
    assert (errors(text) == []) is is_valid, errors(text)
    config = tmp_path / "mine.yaml"
    config.write_text(text)
    accepted: Any = True
    try:
        load_settings(str(config), [], {})
    except UsageError as error:
        accepted = str(error)
    assert (accepted is True) is is_valid, accepted
