"""Local times against Python's own time zones: over both days on which clocks change, in several zones."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tests.support.lines import texts_frame
from transforms.delivered import instant_of

# Half-hour changes, changes at midnight, and a day that a zone skipped whole.
DAYS = {
    "Europe/Berlin": ("2026-03-29", "2026-10-25"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04"),
    "Africa/Cairo": ("2026-04-24", "2026-10-30"),
    "Pacific/Apia": ("2011-12-30",),
    "Asia/Kolkata": ("2026-03-29",),
}


def wanted(local: dt.datetime, zone: ZoneInfo, ambiguous: str) -> dt.datetime | None:
    """The instant by Python: both folds are tried, and one that does not show the local time is none."""
    instants = {
        local.replace(tzinfo=zone, fold=fold).astimezone(dt.UTC)
        for fold in (0, 1)
        if local.replace(tzinfo=zone, fold=fold).astimezone(dt.UTC).astimezone(zone).replace(tzinfo=None)
        == local
    }
    if not instants or (len(instants) > 1 and ambiguous == "reject"):
        return None
    return min(instants) if ambiguous != "later" else max(instants)


@pytest.mark.parametrize("ambiguous", ["reject", "earlier", "later"])
def test_a_local_time_is_the_instant_that_zoneinfo_says(
    spark: SparkSession, interpreted: None, ambiguous: str
) -> None:
    cases = [
        (dt.datetime.fromisoformat(day) + dt.timedelta(minutes=15 * step), zone)
        for zone, days in DAYS.items()
        for day in days
        for step in range(-8, 104)
    ]
    frame = texts_frame(spark, "local", "zone", rows=[(local.isoformat(), zone) for local, zone in cases])
    instant = instant_of(F.col("local").try_cast("timestamp"), F.col("zone"), ambiguous)
    rows = frame.select("n", F.unix_micros(instant).alias("micros")).collect()
    found = {row.n: row.micros for row in rows}
    rejected = 0
    for number, (local, zone) in enumerate(cases):
        right = wanted(local, ZoneInfo(zone), ambiguous)
        rejected += right is None
        expected = None if right is None else round(right.timestamp()) * 1_000_000
        assert found[number] == expected, (local, zone, ambiguous)
    assert rejected > 90
