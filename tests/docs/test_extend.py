"""The page about extensions: its config is one, and its cases come out as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.test_rules import JOB as TEST_RULES
from tests.jobs.shop import Shop

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "extend-without-forking.md"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
SQL = re.findall(r"^```sql\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def shop(spark: SparkSession, interpreted: None, tmp_path: Path) -> Shop:
    del interpreted
    return Shop(spark, tmp_path)


def test_the_cases_of_the_page_hold_under_its_config(shop: Shop) -> None:
    config, cases = (shop.folder / name for name in ("mine.yaml", "units.yaml"))
    config.write_text(BLOCKS[0])
    cases.write_text(next(block for block in BLOCKS if block.startswith("cases:")))
    assert len(BLOCKS[0].splitlines()) < 30
    (shop.folder / "gold").mkdir()
    (shop.folder / "gold" / "weekly_products.sql").write_text(SQL[0])
    ran = shop.done("--config", str(config), str(cases), job=TEST_RULES)
    assert "2 cases, 0 failed" in ran.stdout
