"""Time zones as Java knows them. Python computes deadlines, Java dates sales: both must know a zone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from schemas.errors import UsageError


def check_zones(spark: SparkSession, zones: Iterable[str]) -> None:
    """Checks that Java knows zones, before a task fails with them.

    Raises:
        UsageError: it does not. The message names the zones and the version of Java's data.
    """
    unknown = unknown_zones(spark, zones)
    if unknown:
        raise UsageError(
            f"time zone {', '.join(unknown)}: Java does not know it, its time zone data are of version "
            f"{zone_data_version(spark)}: update Java, or choose a zone that it knows"
        )


def unknown_zones(spark: SparkSession, zones: Iterable[str]) -> list[str]:
    """Returns the zones that Java does not know, in order, each once."""
    return [zone for zone in sorted(set(zones)) if _rules(spark, zone) is None]


def differing_zones(spark: SparkSession, zones: Iterable[str], moments: Sequence[dt.datetime]) -> list[str]:
    """Returns the zones that Java knows, and whose offset differs from Python's at one of the moments."""
    return [zone for zone in sorted(set(zones)) if _differs(spark, zone, moments)]


def zone_data_version(spark: SparkSession) -> str:
    """Returns the version of Java's time zone data, for example 2025a."""
    return str(_jvm(spark).java.time.zone.ZoneRulesProvider.getVersions("UTC").lastKey())


def _differs(spark: SparkSession, zone: str, moments: Sequence[dt.datetime]) -> bool:
    rules, jvm = _rules(spark, zone), _jvm(spark)
    if rules is None:
        return False
    for moment in moments:
        java = rules.getOffset(jvm.java.time.Instant.ofEpochSecond(int(moment.timestamp()))).getTotalSeconds()
        if moment.astimezone(ZoneInfo(zone)).utcoffset() != dt.timedelta(seconds=java):
            return True
    return False


def _rules(spark: SparkSession, zone: str) -> Any | None:
    """Returns Java's rules of a zone, looked up as Spark does; None if there are none."""
    try:
        return _jvm(spark).org.apache.spark.sql.catalyst.util.DateTimeUtils.getZoneId(zone).getRules()
    except (Py4JError, PySparkException):
        return None


def _jvm(spark: SparkSession) -> Any:
    return spark._jvm
