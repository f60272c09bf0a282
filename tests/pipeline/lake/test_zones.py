"""Zones that Python knows and Java does not are found before any work. No Java knows ``Factory``."""

from __future__ import annotations

import datetime as dt

import pytest
from pyspark.sql import SparkSession

from pipeline.lake import zones
from pipeline.lake.zones import check_zones, differing_zones, unknown_zones, zone_data_version

MOMENTS = [dt.datetime(2027, month, 1, tzinfo=dt.UTC) for month in (1, 7)]


def test_java_knows_what_spark_knows(spark: SparkSession) -> None:
    # Spark also takes short names, which Java alone refuses.
    assert unknown_zones(spark, ["Europe/Berlin", "EST", "UTC", "Factory", "Factory"]) == ["Factory"]
    assert zone_data_version(spark)[:2] == "20"


def test_rules_of_both_are_compared(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    known = ["Europe/Berlin", "America/New_York", "Asia/Kolkata"]
    assert differing_zones(spark, known, MOMENTS) == []
    monkeypatch.setattr(zones, "ZoneInfo", lambda _: dt.timezone(dt.timedelta(hours=1)))
    assert differing_zones(spark, known, MOMENTS) == ["America/New_York", "Asia/Kolkata", "Europe/Berlin"]


def test_the_error_names_zone_and_version(spark: SparkSession) -> None:
    check_zones(spark, ["Europe/Berlin"])
    with pytest.raises(Exception, match=f"time zone Factory: .*of version {zone_data_version(spark)}"):
        check_zones(spark, ["Europe/Berlin", "Factory"])
