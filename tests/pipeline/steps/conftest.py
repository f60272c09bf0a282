from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.jobs.shop import Shop


@pytest.fixture
def shop(spark: SparkSession, interpreted: None, tmp_path: Path) -> Shop:
    """An empty shop, of a few lines."""
    return Shop(spark, tmp_path)
