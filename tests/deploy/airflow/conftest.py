from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.jobs.shop import Shop


@pytest.fixture
def shop(spark: SparkSession, tmp_path: Path) -> Shop:
    """An empty shop."""
    return Shop(spark, tmp_path)
