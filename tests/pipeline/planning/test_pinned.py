"""Pinned settings: a run with other ones must say what is to be done; each delivery keeps its own."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pipeline.planning.pinned import (
    Change,
    Chunking,
    PinnedSettings,
    SettingsRecord,
    Wishes,
    decide_change,
    describe_differences,
    differing,
)
from schemas.errors import UsageError

LAKE: dict[str, Any] = {
    "business_day.timezone": "America/New_York",
    "business_day.starts_at": "00:00",
    "business_day.store_timezones": {"1043": "America/Chicago"},
    "chunks.key": "product_name",
    "chunks.ranges": ["A-G", "H-N", "O-U", "V-Z"],
    "currencies": {"USD": 2},
    "late.days": 7,
    "late.history_before": None,
}
NOTHING = Wishes()
REINGEST, REPUBLISH, FROM_NOW_ON = Wishes(reingest=True), Wishes(republish=True), Wishes(from_now_on=True)
BOTH = Wishes(reingest=True, republish=True)
EVERY_WISH = (NOTHING, REINGEST, REPUBLISH, FROM_NOW_ON, BOTH)

LINES = {"late.days": 3}
CHUNKS = {"chunks.key": "category"}
RANGES = {"chunks.ranges": ["A-Z"]}
KEYS = {"business_day.timezone": "Europe/Paris"}


def lake(**values: Any) -> PinnedSettings:
    return PinnedSettings([SettingsRecord(1, Change.FIRST, {**LAKE, **values})])


def decide(changed: dict[str, Any], wishes: Wishes) -> Change | None:
    return decide_change(lake(), {**LAKE, **changed}, wishes)


def refusal(changed: dict[str, Any], wishes: Wishes) -> str:
    with pytest.raises(UsageError) as caught:
        decide(changed, wishes)
    return str(caught.value)


@pytest.mark.parametrize("wishes", EVERY_WISH)
def test_a_new_lake_takes_what_it_is_given_and_equal_settings_change_nothing(wishes: Wishes) -> None:
    assert decide_change(None, LAKE, wishes) is Change.FIRST
    assert decide({}, wishes) is None
    # A value is compared as a value, whatever the order of its names.
    stores = {"1": "UTC", "2": "Europe/Paris"}
    turned = dict(reversed(stores.items()))
    pinned = lake(**{"business_day.store_timezones": stores})
    assert decide_change(pinned, {**LAKE, "business_day.store_timezones": turned}, wishes) is None


def test_the_last_record_is_what_a_run_is_held_against() -> None:
    records = [SettingsRecord(1, Change.FIRST, LAKE), SettingsRecord(2, Change.REINGEST, {**LAKE, **LINES})]
    pinned = PinnedSettings(records)
    assert pinned.current is records[1]
    assert decide_change(pinned, {**LAKE, **LINES}, NOTHING) is None
    with pytest.raises(UsageError, match=r"late\.days is 3 in the lake, 7 in this run"):
        decide_change(pinned, LAKE, NOTHING)


@pytest.mark.parametrize(
    ("changed", "wishes", "change"),
    [
        (LINES, REINGEST, Change.REINGEST),
        (LINES, BOTH, Change.REINGEST),
        (LINES, FROM_NOW_ON, Change.FROM_NOW_ON),
        ({"currencies": {"USD": 2, "EUR": 2}}, FROM_NOW_ON, Change.FROM_NOW_ON),
        (CHUNKS, REPUBLISH, Change.REPUBLISH),
        (CHUNKS, BOTH, Change.REPUBLISH),
        (RANGES, REPUBLISH, Change.REPUBLISH),
        (RANGES, FROM_NOW_ON, Change.FROM_NOW_ON),
        (LINES | CHUNKS, BOTH, Change.REINGEST_REPUBLISH),
        (LINES | CHUNKS, FROM_NOW_ON, Change.FROM_NOW_ON),
        (KEYS, REINGEST, Change.REINGEST),
        (KEYS | RANGES, BOTH, Change.REINGEST_REPUBLISH),
    ],
)
def test_what_a_command_may_ask_for(changed: dict[str, Any], wishes: Wishes, change: Change) -> None:
    assert decide(changed, wishes) is change


@pytest.mark.parametrize(
    ("changed", "wishes", "options"),
    [
        (LINES, NOTHING, {"--reingest", "--from-now-on"}),
        (LINES, REPUBLISH, {"--reingest", "--from-now-on"}),
        (CHUNKS, NOTHING, {"--republish", "--from-now-on"}),
        (CHUNKS, REINGEST, {"--republish", "--from-now-on"}),
        (LINES | CHUNKS, NOTHING, {"--reingest", "--republish", "--from-now-on"}),
        (LINES | CHUNKS, REINGEST, {"--republish", "--from-now-on"}),
        (LINES | CHUNKS, REPUBLISH, {"--reingest", "--from-now-on"}),
        (KEYS, FROM_NOW_ON, {"--from-now-on", "--reingest"}),
    ],
)
def test_a_refusal_names_the_options_that_would_do(
    changed: dict[str, Any], wishes: Wishes, options: set[str]
) -> None:
    said = refusal(changed, wishes)
    assert set(re.findall(r"--[a-z-]+", said)) == options
    for name, value in changed.items():
        assert name in said
        assert str(LAKE[name]).replace("'", '"') in said
        assert str(value).replace("'", '"') in said
    assert "currencies" not in said  # it did not change


def test_a_refusal_tells_each_setting_with_both_values() -> None:
    said = refusal(LINES | RANGES | {"late.history_before": "2026-01-01"}, NOTHING)
    assert said.startswith("settings that decide content differ: ")
    assert 'chunks.ranges is ["A-G", "H-N", "O-U", "V-Z"] in the lake, ["A-Z"] in this run' in said
    assert "late.days is 7 in the lake, 3 in this run" in said
    assert 'late.history_before is null in the lake, "2026-01-01" in this run' in said
    assert "validate and date all drops again" in said
    assert "place all lines in the new chunks" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("business_day.timezone", "Europe/Paris"),
        ("business_day.starts_at", "04:00"),
        ("business_day.store_timezones", {}),
    ],
)
def test_settings_that_decide_keys_cannot_change_from_now_on(name: str, value: Any) -> None:
    for changed in ({name: value}, {name: value, **LINES}, {name: value, **CHUNKS}):
        said = refusal(changed, FROM_NOW_ON)
        assert f"--from-now-on cannot be used for {name}, which decide" in said
        assert "--reingest" in said
    # Nothing is to be done about them where they did not change.
    assert decide(LINES, FROM_NOW_ON) is Change.FROM_NOW_ON


def test_a_setting_that_only_one_side_has_differs() -> None:
    assert differing({"a": 1}, {"a": 1}) == []
    assert differing({"a": 1, "b": 2}, {"a": 1, "c": 3}) == ["b", "c"]
    assert differing({"a": [1, 2]}, {"a": [2, 1]}) == ["a"]
    said = describe_differences({"a": "\u00e4"}, {"b": True}, ["a", "b"])
    assert 'a is "\u00e4" in the lake, null in this run; b is null in the lake, true in this run' in said


def record(sequence: int, change: Change, key: str) -> SettingsRecord:
    return SettingsRecord(sequence, change, {"chunks.key": key, "chunks.ranges": ["A-Z"]})


def keys(pinned: PinnedSettings, *sequences: int) -> list[str]:
    return [pinned.chunking_of(sequence).key for sequence in sequences]


def test_from_now_on_each_delivery_keeps_the_chunks_that_it_was_ingested_under() -> None:
    records = [
        record(1, Change.FIRST, "one"),
        record(2, Change.FROM_NOW_ON, "two"),
        record(3, Change.FROM_NOW_ON, "three"),
    ]
    pinned = PinnedSettings(records)
    assert keys(pinned, 1, 2, 3, 4) == ["one", "two", "three", "three"]
    # A delivery of which no record is known is of the time before the first.
    assert keys(pinned, 0) == ["one"]


def test_a_republish_places_every_delivery_of_before_and_none_of_after() -> None:
    records = [
        record(1, Change.FIRST, "one"),
        record(2, Change.FROM_NOW_ON, "two"),
        record(3, Change.REPUBLISH, "three"),
        record(4, Change.FROM_NOW_ON, "four"),
    ]
    pinned = PinnedSettings(records)
    assert keys(pinned, 0, 1, 2, 3, 4) == ["three", "three", "three", "three", "four"]
    assert (
        keys(PinnedSettings([*records, record(5, Change.REINGEST_REPUBLISH, "five")]), 0, 2, 4, 5)
        == ["five"] * 4
    )


def test_a_reingest_alone_leaves_lines_in_the_chunks_of_now() -> None:
    # It changes no setting of chunks; a delivery that was not validated again yet keeps its own.
    records = [
        record(1, Change.FIRST, "one"),
        record(2, Change.FROM_NOW_ON, "two"),
        record(3, Change.REINGEST, "two"),
    ]
    assert keys(PinnedSettings(records), 1, 2, 3) == ["one", "two", "two"]


def test_a_lake_that_was_migrated_starts_with_its_record() -> None:
    records = [record(1, Change.MIGRATED, "one"), record(2, Change.FROM_NOW_ON, "two")]
    assert keys(PinnedSettings(records), 0, 1, 2) == ["one", "one", "two"]


@pytest.mark.parametrize(
    ("changes", "since"),
    [
        ([Change.FIRST], 0),
        ([Change.MIGRATED, Change.REPUBLISH, Change.FROM_NOW_ON], 0),
        ([Change.FIRST, Change.REINGEST], 2),
        ([Change.FIRST, Change.REINGEST, Change.REPUBLISH, Change.FROM_NOW_ON], 2),
        ([Change.FIRST, Change.REINGEST_REPUBLISH], 2),
        ([Change.FIRST, Change.REINGEST, Change.FROM_NOW_ON, Change.REINGEST], 4),
    ],
)
def test_deliveries_of_before_the_last_reingest_are_validated_again(
    changes: list[Change], since: int
) -> None:
    records = [record(n, change, "one") for n, change in enumerate(changes, start=1)]
    assert PinnedSettings(records).validated_since == since


def test_chunking_reads_its_ranges() -> None:
    chunking = lake().current.chunking
    assert chunking == Chunking("product_name", ("A-G", "H-N", "O-U", "V-Z"))
    assert [found.name for found in chunking.key_ranges] == ["A-G", "H-N", "O-U", "V-Z"]
    # Two records of the same settings are one chunking.
    assert hash(chunking) == hash(lake().current.chunking)
